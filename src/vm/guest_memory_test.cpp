#include "vm/guest_memory.hpp"

#include <algorithm>
#include <array>
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

// Memory of `pages` pages, each filled with its number.
class Bank {
public:
    explicit Bank(uint8_t first, size_t pages) : bytes_((pages + 1) * kPageSize) {
        for (size_t page = 0; page < pages; ++page)
            std::fill_n(span().begin() + static_cast<std::ptrdiff_t>(page * kPageSize), kPageSize,
                        std::byte(first + page));
    }
    std::span<std::byte> span() { return pages_in(bytes_); }

private:
    std::vector<std::byte> bytes_;
};

class RecordingLayout final : public LayoutObserver {
public:
    void on_layout_changed(std::span<const Change> changes) override {
        told.assign(changes.begin(), changes.end());
        ++calls;
    }
    std::vector<Change> told;
    unsigned calls = 0;
};

int first_byte(const GuestMemory& memory, uint64_t gpa) {
    uint8_t byte = 0;
    return memory.read_object(Gpa{gpa}, byte) ? byte : -1;
}

TEST(GuestMemory, WindowShowsPartsOfItsMemoryWhereItIsToldTo) {
    Bank ram(0x10, 2);
    Bank shadow(0x40, 4);
    GuestMemory memory;
    ASSERT_TRUE(memory.add_region(Gpa{0}, ram.span(), MemoryKind::ram).has_value());
    const auto window = memory.add_window(shadow.span(), 2);
    ASSERT_TRUE(window.has_value());
    EXPECT_EQ(first_byte(memory, 0x8000), -1) << "not placed yet";

    memory.place_window(*window,
                        std::array{WindowPlace{Gpa{0x8000}, 0x1000, 0x2000, MemoryKind::ram},
                                   WindowPlace{Gpa{0xA000}, 0, 0x1000, MemoryKind::rom}});
    EXPECT_EQ(first_byte(memory, 0x8000), 0x41);
    EXPECT_EQ(first_byte(memory, 0x9FFF), 0x42);
    EXPECT_EQ(first_byte(memory, 0xA000), 0x40);
    EXPECT_TRUE(memory.write_object(Gpa{0x9000}, uint8_t{7}));
    EXPECT_FALSE(memory.write_object(Gpa{0xA000}, uint8_t{7})) << "ROM";
    EXPECT_EQ(memory.regions().size(), 3U);

    memory.place_window(*window,
                        std::array{WindowPlace{Gpa{0xC000}, 0x2000, 0x1000, MemoryKind::ram}});
    EXPECT_EQ(first_byte(memory, 0x8000), -1);
    EXPECT_EQ(first_byte(memory, 0xA000), -1);
    EXPECT_EQ(first_byte(memory, 0xC000), 7) << "the memory is the same, wherever it is seen";
}

TEST(GuestMemory, EarlierRegionsAreSeenWhereAWindowLiesOverThem) {
    Bank ram(0x10, 2);
    Bank other(0x40, 1);
    GuestMemory memory;
    ASSERT_TRUE(memory.add_region(Gpa{0}, ram.span(), MemoryKind::ram).has_value());
    const auto window = memory.add_window(other.span(), 1);
    memory.place_window(*window, std::array{WindowPlace{Gpa{0x1000}, 0, 0x1000, MemoryKind::ram}});
    EXPECT_EQ(first_byte(memory, 0x1000), 0x11);
}

TEST(GuestMemory, ObserverIsToldOfWhatChanged) {
    Bank bank(0x40, 2);
    GuestMemory memory;
    RecordingLayout observer;
    memory.add_layout_observer(observer);
    const auto window = memory.add_window(bank.span(), 2);
    const std::array places{WindowPlace{Gpa{0x1000}, 0, 0x1000, MemoryKind::ram},
                            WindowPlace{Gpa{0x4000}, 0x1000, 0x1000, MemoryKind::rom}};
    memory.place_window(*window, places);
    ASSERT_EQ(observer.told.size(), 2U);
    EXPECT_FALSE(observer.told[0].before.has_value());
    EXPECT_EQ(observer.told[1].now->start, Gpa{0x4000});
    memory.place_window(*window, places);
    EXPECT_EQ(observer.calls, 1U) << "nothing has changed";
    memory.place_window(*window, std::span(places).first(1));
    ASSERT_EQ(observer.told.size(), 1U);
    EXPECT_EQ(observer.told[0].before->kind, MemoryKind::rom);
    EXPECT_FALSE(observer.told[0].now.has_value());
    memory.remove_layout_observer(observer);
}

TEST(GuestMemory, FlatViewHasNothingTwice) {
    Bank ram(0x10, 1);
    Bank other(0x40, 4);
    GuestMemory memory;
    ASSERT_TRUE(memory.add_region({0x1000}, ram.span(), MemoryKind::ram));
    const auto window = memory.add_window(other.span(), 1);
    memory.place_window(*window, std::array{WindowPlace{Gpa{0}, 0, 0x4000, MemoryKind::rom}});
    const auto view = memory.flat_view();
    ASSERT_EQ(view.size(), 3U);
    EXPECT_EQ(view[0].size, 0x1000U);
    EXPECT_EQ(view[1].kind, MemoryKind::ram);
    EXPECT_EQ(view[2].start, Gpa{0x2000});
    EXPECT_EQ(view[2].size, 0x2000U);
    EXPECT_EQ(view[2].host, other.span().data() + 0x2000);
    EXPECT_EQ(view[2].page_flags, view[0].page_flags + 2);
}

// A reader meets a window before its move or after it, never a mixture, which would lie outside of
// its memory.
TEST(GuestMemory, ReadersMeetAWindowHereOrThere) {
    Bank bank(0x40, 4);
    GuestMemory memory;
    const auto window = memory.add_window(bank.span(), 1);
    const WindowPlace small{Gpa{0x10000}, 0x3000, 0x1000, MemoryKind::ram};
    const WindowPlace large{Gpa{0x10000}, 0, 0x4000, MemoryKind::ram};
    std::atomic<bool> done{false};
    std::thread mover([&] {
        for (unsigned i = 0; i < 20000; ++i)
            memory.place_window(*window, std::span(i % 2 == 0 ? &small : &large, 1));
        done = true;
    });
    while (!done.load()) {
        const auto region = memory.find(Gpa{0x10000});
        if (!region) continue;
        const auto offset = static_cast<uint64_t>(region->host - bank.span().data());
        EXPECT_EQ(offset + region->size, 0x4000U);
    }
    mover.join();
}

}  // namespace
}  // namespace banyan
