// Assembler: writes the few forms of instructions that thunks are made of. Memory is always [rdi +
// displacement]: the Cpu. Encodings: Intel SDM vol. 2 chapter 2.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "support/assert.hpp"

namespace banyan::interp {

class Assembler {
public:
    // `place`: where the code will run, for jumps out of it.
    explicit Assembler(const uint8_t* place) : place_(place) {}

    std::span<const uint8_t> code() const { return {code_.data(), used_}; }
    const uint8_t* here() const { return place_ + used_; }

    void bytes(std::initializer_list<uint8_t> list) {
        for (uint8_t b : list)
            byte(b);
    }
    void bytes(std::span<const uint8_t> list) {
        for (uint8_t b : list)
            byte(b);
    }
    void word(uint16_t value) {
        bytes({static_cast<uint8_t>(value), static_cast<uint8_t>(value >> 8)});
    }
    void dword(uint32_t value) {
        word(static_cast<uint16_t>(value));
        word(static_cast<uint16_t>(value >> 16));
    }
    void qword(uint64_t value) {
        dword(static_cast<uint32_t>(value));
        dword(static_cast<uint32_t>(value >> 32));
    }

    // [rdi + at] with a register or opcode extension.
    void opcode(std::initializer_list<uint8_t> prefix_and_opcode, unsigned reg, int32_t at) {
        bytes(prefix_and_opcode);
        byte(static_cast<uint8_t>(0x87U | ((reg & 7U) << 3)));
        dword(static_cast<uint32_t>(at));
    }
    void load64(unsigned reg, int32_t at) { opcode({rex_w(reg), 0x8B}, reg, at); }
    void store64(unsigned reg, int32_t at) { opcode({rex_w(reg), 0x89}, reg, at); }
    void load8(unsigned reg, int32_t at) { opcode({rex(reg), 0x0F, 0xB6}, reg, at); }
    void load16(unsigned reg, int32_t at) { opcode({rex(reg), 0x0F, 0xB7}, reg, at); }
    void store16(unsigned reg, int32_t at) { opcode({0x66, rex(reg), 0x89}, reg, at); }
    void test8(int32_t at, uint8_t mask) {
        opcode({0xF6}, 0, at);
        byte(mask);
    }
    void or8(int32_t at, uint8_t mask) {
        opcode({0x80}, 1, at);
        byte(mask);
    }
    void set8(int32_t at, uint8_t value) {
        opcode({0xC6}, 0, at);
        byte(value);
    }
    void set16(int32_t at, uint16_t value) {
        opcode({0x66, 0xC7}, 0, at);
        word(value);
    }
    void load_mmx(unsigned reg, int32_t at) { opcode({0x0F, 0x6F}, reg, at); }
    void store_mmx(unsigned reg, int32_t at) { opcode({0x0F, 0x7F}, reg, at); }
    void load_xmm(unsigned reg, int32_t at) { opcode({rex(reg), 0x0F, 0x28}, reg, at); }
    void store_xmm(unsigned reg, int32_t at) { opcode({rex(reg), 0x0F, 0x29}, reg, at); }
    // VMOVAPS: of 16 or 32 bytes.
    void load_vex(unsigned reg, int32_t at, unsigned size) { vmovaps(0x28, reg, at, size); }
    void store_vex(unsigned reg, int32_t at, unsigned size) { vmovaps(0x29, reg, at, size); }
    // VMOVAPS of all 64 bytes of ZMM16 to ZMM31.
    void load_high_zmm(unsigned reg, int32_t at) { vmovaps_zmm(0x28, reg, at); }
    void store_high_zmm(unsigned reg, int32_t at) { vmovaps_zmm(0x29, reg, at); }
    // VINSERTF64X4, VEXTRACTF64X4: the upper 32 bytes of ZMM0 to ZMM15.
    void insert_zmm_high(unsigned reg, int32_t at) { upper_half(0x1A, reg, reg, at); }
    void extract_zmm_high(unsigned reg, int32_t at) { upper_half(0x1B, reg, 0, at); }
    // KMOVQ.
    void load_opmask(unsigned reg, int32_t at) { opcode({0xC4, 0xE1, 0xF8, 0x90}, reg, at); }
    void store_opmask(unsigned reg, int32_t at) { opcode({0xC4, 0xE1, 0xF8, 0x91}, reg, at); }

    void jump(const uint8_t* target) {
        byte(0xE9);
        relative(target);
    }
    void jump_if_not_zero(const uint8_t* target) {
        bytes({0x0F, 0x85});
        relative(target);
    }
    void call(const uint8_t* target) {
        byte(0xE8);
        relative(target);
    }

private:
    static uint8_t rex(unsigned reg) { return static_cast<uint8_t>(0x40U | ((reg >> 1) & 4U)); }
    static uint8_t rex_w(unsigned reg) { return rex(reg) | 8U; }
    void byte(uint8_t b) {
        BANYAN_ASSERT(used_ < code_.size());
        code_[used_++] = b;
    }
    void relative(const uint8_t* target) { dword(static_cast<uint32_t>(target - (here() + 4))); }
    void vmovaps(uint8_t op, unsigned reg, int32_t at, unsigned size) {
        const uint8_t r_and_map = static_cast<uint8_t>(0x61U | (reg < 8 ? 0x80U : 0U));
        opcode({0xC4, r_and_map, static_cast<uint8_t>(size == 32 ? 0x7CU : 0x78U), op}, reg, at);
    }

    void vmovaps_zmm(uint8_t op, unsigned reg, int32_t at) {
        const uint8_t r_and_map = static_cast<uint8_t>(0x61U | (~reg & 8U) << 4 | (~reg & 16U));
        opcode({0x62, r_and_map, 0x7C, 0x48, op}, reg, at);
    }
    void upper_half(uint8_t op, unsigned reg, unsigned vvvv, int32_t at) {
        const uint8_t r_and_map = static_cast<uint8_t>(0x73U | (~reg & 8U) << 4);
        const uint8_t w_and_vvvv = static_cast<uint8_t>(0x85U | (~vvvv & 15U) << 3);
        opcode({0x62, r_and_map, w_and_vvvv, 0x48, op}, reg, at);
        byte(1);
    }

    const uint8_t* place_;
    size_t used_ = 0;
    std::array<uint8_t, 1024> code_{};
};

}  // namespace banyan::interp
