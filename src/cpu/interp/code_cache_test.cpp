#include "cpu/interp/code_cache.hpp"

#include <array>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <vector>

#include "cpu/interp/test_machine.hpp"

namespace banyan::interp {
namespace {

using M = TestMachine;

// 32-bit code segments with bases of their own, which paging maps to the same bytes: what is
// written through one is seen in both.
TEST(CodeCache, CodeOfSegmentsWithBasesIsForgottenWhenWritten) {
    constexpr uint16_t kLow = M::kFree;
    constexpr uint16_t kHigh = M::kFree + 8;  // 2 MiB above
    constexpr int kAdd = 0x30;                // where `add ecx, 1; retf` is
    TestMachine m;
    m.enter_long();
    m.put<uint64_t>(M::kPageTables + 0x2008, 0xE7);
    m.put<uint64_t>(M::kGdt + kLow, 0x00CF9B000000FFFF);
    m.put<uint64_t>(M::kGdt + kHigh, 0x00CF9B200000FFFF);
    m.code({0x9A, kAdd, 0,        1, 0, kLow,  0,   // call low:add
            0x9A, kAdd, 0,        1, 0, kHigh, 0,   // call high:add
            0xC6, 0x05, kAdd + 2, 0, 1, 0,     16,  // mov byte [add + 2], 16
            0x9A, kAdd, 0,        1, 0, kLow,  0,   // call low:add
            0xE9, 0x20, 0,        0, 0});           // jmp
    m.code({0x83, 0xC1, 1, 0xCB}, M::kCode + kAdd);
    m.code({0x9A, kAdd, 0, 1, 0, kHigh, 0, 0xF4}, M::kCode + 0x41);
    m.cpu().seg[x86::kCs] = {kLow, {0xC09B}, 0xFFFFFFFF, 0};
    m.cpu().mode_changed();

    m.run();

    EXPECT_EQ(m.cpu().rip, M::kCode + 0x49);
    EXPECT_EQ(m.cpu().gpr[x86::kRcx], 34U);
}

// Code in a window that shows other memory from now on: what runs is what is seen.
TEST(CodeCache, CodeOfAWindowIsForgottenWhenItShowsOtherMemory) {
    constexpr uint64_t kPlace = 0x200000;  // behind the RAM
    std::vector<std::byte> bytes(3 * kPageSize);
    void* start = bytes.data();
    size_t space = bytes.size();
    auto* pages = static_cast<std::byte*>(std::align(kPageSize, 2 * kPageSize, start, space));
    for (const unsigned page : {0U, 1U}) {  // mov ecx, number; hlt
        const std::array<uint8_t, 6> code{0xB9, static_cast<uint8_t>(page + 1), 0, 0, 0, 0xF4};
        std::memcpy(pages + page * kPageSize, code.data(), code.size());
    }
    TestMachine m;
    const auto window = m.memory.add_window({pages, 2 * kPageSize}, 1);
    ASSERT_TRUE(window.has_value());
    for (const unsigned page : {0U, 1U, 0U}) {
        m.memory.place_window(*window, std::array{WindowPlace{Gpa{kPlace}, page * kPageSize,
                                                              kPageSize, MemoryKind::rom}});
        m.enter_protected();
        m.cpu().rip = kPlace;
        m.run();
        EXPECT_EQ(m.cpu().gpr[x86::kRcx], page + 1);
    }
}

}  // namespace
}  // namespace banyan::interp
