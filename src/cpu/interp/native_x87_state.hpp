// X87State: the x87 part of a Cpu, which it keeps in the form of FXSAVE64 (Intel SDM vol. 1 table
// 10-2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "cpu/interp/cpu.hpp"

namespace banyan::interp {

class X87State {
public:
    static constexpr uint16_t kInitialControl = 0x037F;
    static constexpr uint16_t kExceptions = 0x3F;
    static constexpr uint16_t kErrorSummary = 0x80;
    static constexpr uint16_t kBusy = 0x8000;

    explicit X87State(Cpu::Vectors& vectors) : image_(vectors.fxsave.data()) {}

    uint16_t control() const { return get<uint16_t>(0); }
    uint16_t status() const { return get<uint16_t>(2); }
    uint8_t tags() const {
        return get<uint8_t>(4);
    }  // one bit a register that is not empty, by physical number
    uint16_t opcode() const { return get<uint16_t>(6); }
    uint64_t instruction_pointer() const { return get<uint64_t>(8); }
    uint64_t data_pointer() const { return get<uint64_t>(16); }
    unsigned top() const { return (status() >> 11) & 7U; }
    bool error_pending() const { return (status() & kErrorSummary) != 0; }
    std::span<std::byte, 10> st(unsigned i) const {
        return std::span<std::byte, 10>(image_ + 32 + 16 * i, 10);
    }

    // Control and status depend on each other: the summary bits say whether an exception is
    // unmasked.
    void set_control_and_status(uint16_t control, uint16_t status);
    void set_tags(uint8_t tags) { put(4, tags); }
    void set_pointers(uint16_t opcode, uint64_t instruction, uint64_t data) {
        put(6, static_cast<uint16_t>(opcode & 0x7FFU));
        put(8, instruction);
        put(16, data);
    }
    // FNINIT: registers keep their contents, but are empty.
    void initialise();
    // Sets TOP, and moves the stack places so that the registers keep their physical numbers. With
    // 0 both are the same.
    void rotate_to(unsigned top);

    // The tag word with two bits a register, as FNSTENV stores it.
    uint16_t full_tags() const;
    void set_full_tags(uint16_t full);

private:
    template <class T>
    T get(size_t at) const {
        T value;
        std::memcpy(&value, image_ + at, sizeof(value));
        return value;
    }
    template <class T>
    void put(size_t at, T value) {
        std::memcpy(image_ + at, &value, sizeof(value));
    }
    unsigned classify(unsigned i) const;

    std::byte* image_;
};

}  // namespace banyan::interp
