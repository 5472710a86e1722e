// What the tests of native instructions share: a TestMachine with vector state in reach.
#pragma once

#include <array>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <vector>

#include "cpu/interp/native_x87_state.hpp"
#include "cpu/interp/test_machine.hpp"
#include "cpu/interp/xsave.hpp"

namespace banyan::interp {

class NativeMachine : public TestMachine {
public:
    static constexpr uint64_t kPageTable = kPageTables + 0x3000;
    static constexpr uint64_t kMissing = 0x50000;  // a page that tests take away

    // 64-bit code with x87, SSE and AVX on.
    void enter_vectors(uint8_t cpl = 0) {
        enter_long(cpl);
        cpu().cr4 |= x86::kCr4OsFxsr | x86::kCr4OsXmmExcpt | x86::kCr4OsXsave;
        cpu().xcr0 = 7;
        X87State(cpu().vectors).initialise();
        cpu().mode_changed();
    }
    // Maps memory by 4 KiB pages, so that single ones can be taken away.
    void use_small_pages() {
        for (uint64_t page = 0; page < 512; ++page)
            put<uint64_t>(kPageTable + page * 8, page << 12 | 0x67);
        put<uint64_t>(kPageTables + 0x2000, kPageTable | 0x67);
        cpu().flush_tlb();
    }
    void unmap(uint64_t address) {
        put<uint64_t>(kPageTable + (address >> 12) * 8, 0);
        cpu().flush_tlb();
    }
    void map(uint64_t address) {
        put<uint64_t>(kPageTable + (address >> 12) * 8, (address & ~uint64_t{0xFFF}) | 0x67);
        cpu().flush_tlb();
    }
    void set_cr0(uint64_t bits) {
        cpu().cr0 |= bits;
        cpu().mode_changed();
    }

    // Runs the bytes from kCode and then HLT. The vector of the exception, if one came.
    std::optional<unsigned> run_code(std::initializer_list<int> bytes) {
        code(bytes);
        put<uint8_t>(kCode + bytes.size(), 0xF4);
        cpu().code->clear();
        cpu().activity = x86::Activity::running;
        cpu().rip = kCode - cpu().base[x86::kCs];
        run();
        return handler();
    }

    template <class T>
    void set_xmm(unsigned reg, std::initializer_list<T> lanes) {
        std::memcpy(cpu().vectors.ymm[reg].data(), lanes.begin(), lanes.size() * sizeof(T));
    }
    template <class T>
    T xmm(unsigned reg, unsigned lane = 0) {
        T value;
        std::memcpy(&value, cpu().vectors.ymm[reg].data() + lane * sizeof(T), sizeof(value));
        return value;
    }
    X87State x87() { return X87State(cpu().vectors); }
    // A stack register as a number.
    long double st(unsigned i) {
        long double value = 0;
        std::memcpy(&value, x87().st(i).data(), 10);
        return value;
    }
    template <class T>
    void put_all(uint64_t address, std::initializer_list<T> values) {
        for (const T value : values) {
            put<T>(address, value);
            address += sizeof(T);
        }
    }
};

constexpr std::optional<unsigned> raised(x86::Vector vector) {
    return static_cast<unsigned>(vector);
}

}  // namespace banyan::interp
