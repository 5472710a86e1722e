#include "vm/guest_memory.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <thread>
#include <vector>

namespace banyan {
namespace {

class RecordingObserver final : public WriteObserver {
public:
    explicit RecordingObserver(uint64_t pages) : told(pages) {}
    void on_code_page_written(Gpa gpa, uint64_t) override { told[gpa.value / kPageSize] = 1; }
    std::vector<uint8_t> told;  // for each page
};

std::span<std::byte> pages_in(std::vector<std::byte>& bytes) {
    void* start = bytes.data();
    size_t space = bytes.size();
    const size_t size = bytes.size() - kPageSize;
    return {static_cast<std::byte*>(std::align(kPageSize, size, start, space)), size};
}

// Both threads go on when both have come.
class Meeting {
public:
    void wait() {
        const unsigned end = (come_.fetch_add(1) / 2 + 1) * 2;
        while (come_.load() < end) {
        }
    }

private:
    std::atomic<unsigned> come_{0};
};

// A device's stores and an engine's first decoding of the same pages, at the same time: the engine
// sees the store, or is told of it.
TEST(GuestMemory, StoreThatAnEngineDoesNotSeeIsReported) {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "the bytes of a guest are shared without locks, as the guest itself does it";
#endif
    constexpr uint64_t kPages = 512;
    constexpr uint32_t kRounds = 100;
    std::vector<std::byte> bytes((kPages + 1) * kPageSize);
    GuestMemory memory;
    ASSERT_TRUE(memory.add_region(Gpa{0}, pages_in(bytes), MemoryKind::ram).has_value());
    RecordingObserver observer(kPages);
    memory.set_write_observer(&observer);
    Meeting meeting;
    std::thread device([&] {
        for (uint32_t round = 1; round <= kRounds; ++round) {
            meeting.wait();
            for (uint64_t page = 0; page < kPages; ++page)
                EXPECT_TRUE(memory.write_object(Gpa{page * kPageSize}, round));
            meeting.wait();
        }
    });

    uint32_t missed = 0;
    std::vector<uint32_t> seen(kPages);
    for (uint32_t round = 1; round <= kRounds; ++round) {
        observer.told.assign(kPages, 0);
        for (uint64_t page = 0; page < kPages; ++page)
            memory.clear_page_flag(Gpa{page * kPageSize}, kPageHasCode);
        meeting.wait();
        for (uint64_t page = 0; page < kPages; ++page) {
            memory.set_page_flag(Gpa{page * kPageSize}, kPageHasCode);
            EXPECT_TRUE(memory.read_object(Gpa{page * kPageSize}, seen[page]));
        }
        meeting.wait();
        for (uint64_t page = 0; page < kPages; ++page)
            missed += seen[page] != round && observer.told[page] == 0 ? 1U : 0U;
    }
    device.join();

    EXPECT_EQ(missed, 0U);
}

}  // namespace
}  // namespace banyan
