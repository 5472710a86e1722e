// Program: the whole memory of a guest and the state that it starts in.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "arch/x86/register_state.hpp"
#include "lockstep/layout.hpp"

namespace banyan::lockstep {

class Image {
public:
    Image() : bytes_(kRamSize) {}

    template <class T>
    void put(uint64_t gpa, T value) {
        std::memcpy(&bytes_.at(gpa), &value, sizeof(value));
    }
    template <class T>
    T get(uint64_t gpa) const {
        T value;
        std::memcpy(&value, &bytes_.at(gpa), sizeof(value));
        return value;
    }
    std::vector<uint8_t>& bytes() { return bytes_; }
    const std::vector<uint8_t>& bytes() const { return bytes_; }

private:
    std::vector<uint8_t> bytes_;
};

// What a whole program has in common.
struct Settings {
    bool supervisor = false;  // CPL 0, else CPL 3 with calls into the kernel
    bool smap = false;
    bool alignment_check = false;    // CR0.AM
    bool simd_exceptions = false;    // some are not masked in MXCSR
    uint64_t exception_limit = 200;  // then the program ends
    // Linear addresses.
    uint64_t window() const { return supervisor ? kKernelWindow : kUserWindow; }
    uint64_t fs_base() const { return window() + kData + 0x800; }
    uint64_t gs_base() const { return window() + kData + 0x2800; }
    uint64_t stack_top() const { return window() + kStack + kStackSize - 0x40; }
};

struct Program {
    uint64_t seed = 0;
    uint64_t number = 0;
    Settings settings;
    Image image;
    x86::RegisterState state;
};

}  // namespace banyan::lockstep
