// Stream: what instruction families (families.hpp) need to emit code: the assembler, random
// choices, and what registers hold.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "lockstep/assembler.hpp"
#include "lockstep/program.hpp"
#include "lockstep/random.hpp"

namespace banyan::lockstep {

// A memory operand with the segment prefix that it needs.
struct Place {
    Operand operand;
    ZydisInstructionAttributes prefixes = 0;
};

class Stream {
public:
    static constexpr unsigned kMaxDepth = 2;  // of nested loops

    // `supervisor`: this code runs at CPL 0. `main`: it is the program itself, not a kernel
    // function of a program of user mode; FS and GS are the program's own.
    Stream(Assembler& assembler, Random& random_numbers, const Settings& program_settings,
           bool at_cpl0, bool in_main);

    // Loads the pointers: three registers that nothing else writes.
    void load_pointers();

    bool emit(ZydisMnemonic mnemonic, std::initializer_list<Operand> operands = {},
              ZydisInstructionAttributes prefixes = 0) {
        return a.emit(mnemonic, operands, prefixes);
    }
    bool mov(const Operand& to, const Operand& from) {
        return a.emit(ZYDIS_MNEMONIC_MOV, {to, from});
    }

    bool is_free(unsigned gpr_number) const { return (reserved_ & (1U << gpr_number)) == 0; }
    bool are_free(std::initializer_list<unsigned> registers) const;
    void reserve(unsigned gpr_number) { reserved_ |= 1U << gpr_number; }
    void release(unsigned gpr_number) { reserved_ &= ~(1U << gpr_number); }
    unsigned free_gpr();
    unsigned free_gpr_but(unsigned other);
    // The counter of loops that are nested this deep.
    unsigned counter(unsigned depth) const { return counters_[depth]; }

    // A register operand to read, or to write: AH..DH among the bytes.
    Operand source(unsigned size);
    Operand target(unsigned size);
    // Somewhere in the data pages; may emit a MOV or MOVZX for the index before it. No flags
    // change.
    Place memory(unsigned size);
    // A linear address for an access of this size. `aligned`: to 32 bytes, mostly.
    uint64_t address(unsigned size, bool aligned = false);
    unsigned size() { return random.pick({1U, 2U, 4U, 8U, 4U, 8U}); }
    Operand immediate(unsigned size);

    uint64_t window() const { return supervisor ? kKernelWindow : kUserWindow; }
    bool in_loop() const { return repeats > 1; }

    Assembler& a;
    Random& random;
    const Settings& settings;
    const bool supervisor;
    const bool main;
    // How often the code that is being made will run, and how many instructions may still be run in
    // all.
    uint64_t repeats = 1;
    uint64_t budget = 120'000;
    std::vector<uint64_t> functions;                       // linear addresses
    std::vector<std::pair<uint64_t, uint64_t>> templates;  // offset and length: code to be copied

private:
    struct Pointer {
        unsigned gpr;
        uint64_t address;
    };

    ZydisRegister byte_register(unsigned number);
    Place with_index(unsigned size, const Pointer& pointer, uint64_t target);

    void choose_registers();

    uint32_t reserved_ = 1U << x86::kRsp;
    std::array<unsigned, kMaxDepth> counters_{};
    std::vector<Pointer> pointers_;
};

}  // namespace banyan::lockstep
