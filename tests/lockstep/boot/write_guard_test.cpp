#include "lockstep/boot/write_guard.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

namespace banyan::lockstep {
namespace {

constexpr size_t kPage = WriteGuard::kPageSize;

class WriteGuardTest : public testing::Test {
protected:
    explicit WriteGuardTest(size_t pages = 8) : size(pages * kPage) {
        void* place =
            ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memory = {static_cast<std::byte*>(place), size};
    }
    ~WriteGuardTest() override { ::munmap(memory.data(), size); }

    void write(size_t page, int value) { memory[page * kPage + 5] = std::byte(value); }

    size_t size;
    std::span<std::byte> memory;
};

TEST_F(WriteGuardTest, KeepsWhatWasThereBeforeTheFirstWrite) {
    WriteGuard guard(memory);
    write(3, 1);
    guard.start();
    write(3, 2);
    write(3, 3);
    write(1, 4);

    ASSERT_EQ(guard.written().size(), 2U);
    EXPECT_EQ(guard.written()[0].place, &memory[3 * kPage]);
    EXPECT_EQ(guard.written()[0].before[5], std::byte{1});
    EXPECT_EQ(memory[3 * kPage + 5], std::byte{3});
    EXPECT_EQ(guard.written()[1].place, &memory[kPage]);
}

TEST_F(WriteGuardTest, StartsAnewAndStops) {
    WriteGuard guard(memory);
    guard.start();
    write(0, 1);
    guard.start();
    EXPECT_TRUE(guard.written().empty());
    write(0, 2);
    ASSERT_EQ(guard.written().size(), 1U);
    EXPECT_EQ(guard.written()[0].before[5], std::byte{1});

    guard.stop();
    write(7, 1);
    EXPECT_TRUE(guard.written().empty());
    EXPECT_FALSE(guard.on());
}

class ManyPages : public WriteGuardTest {
protected:
    ManyPages() : WriteGuardTest(WriteGuard::kMaxPages + 2) {}
};

TEST_F(ManyPages, SaysWhenThereWereTooMany) {
    WriteGuard guard(memory);
    guard.start();
    for (size_t page = 0; page < WriteGuard::kMaxPages; ++page)
        write(page, 1);
    EXPECT_FALSE(guard.overflowed());
    write(WriteGuard::kMaxPages, 1);
    EXPECT_TRUE(guard.overflowed());

    guard.start();
    write(WriteGuard::kMaxPages + 1, 1);
    EXPECT_FALSE(guard.overflowed());
    EXPECT_EQ(guard.written().size(), 1U);
}

}  // namespace
}  // namespace banyan::lockstep
