#include "lockstep/handlers.hpp"

#include "arch/x86/registers.hpp"
#include "lockstep/assembler.hpp"
#include "lockstep/layout.hpp"
#include "support/assert.hpp"

namespace banyan::lockstep {

namespace {

// Shorter names for what this file is full of.
const Operand kRax = reg(ZYDIS_REGISTER_RAX);
const Operand kRcx = reg(ZYDIS_REGISTER_RCX);
const Operand kRdx = reg(ZYDIS_REGISTER_RDX);
const Operand kRbx = reg(ZYDIS_REGISTER_RBX);
const Operand kRsi = reg(ZYDIS_REGISTER_RSI);
const Operand kRsp = reg(ZYDIS_REGISTER_RSP);
const Operand kEax = reg(ZYDIS_REGISTER_EAX);
const Operand kEcx = reg(ZYDIS_REGISTER_ECX);
const Operand kEdx = reg(ZYDIS_REGISTER_EDX);

// The stack of the common handler: five registers, the stub's vector, then what the CPU pushed.
enum FrameOffset : int64_t {
    kFrameVector = 40,
    kFrameError = 48,
    kFrameRip = 56,
    kFrameCs = 64,
    kFrameRflags = 72,
    kFrameRsp = 80,
    kFrameSs = 88,
};

constexpr uint8_t kFaultStackIndex = 1;
constexpr uint8_t kRandomTimeStackIndex = 2;
constexpr uint8_t kCheckpointStackIndex = 3;
constexpr uint8_t kPortStackIndex = 4;

bool has_error_code(unsigned vector) {
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21;
}

Operand frame(int64_t offset) {
    return mem(8, ZYDIS_REGISTER_RSP, offset);
}

// RBX is the kernel window's start throughout the common handler.
Operand memory(uint64_t gpa, unsigned size = 8) {
    return mem(size, ZYDIS_REGISTER_RBX, static_cast<int64_t>(gpa));
}

class Writer {
public:
    Writer(std::span<uint8_t> bytes, uint64_t linear) : a_(bytes, linear) {}

    Handlers write();

private:
    void op(ZydisMnemonic mnemonic, std::initializer_list<Operand> operands = {}) {
        const bool done = a_.emit(mnemonic, operands);
        BANYAN_ASSERT(done);
    }
    void mov(const Operand& to, const Operand& from) { op(ZYDIS_MNEMONIC_MOV, {to, from}); }
    void jump(ZydisMnemonic mnemonic, Label to) { a_.branch(mnemonic, to); }
    Label here() {
        const Label label = a_.make_label();
        a_.bind(label);
        return label;
    }

    uint64_t write_stub(unsigned vector);
    void write_common();
    void write_log();
    void write_dispatch();
    void write_entry_search();
    void write_repair(unsigned error_bit, unsigned reason, unsigned bit, bool set);
    void write_page_fault();
    void write_skip();
    void write_return();
    void write_bail();
    void write_msr(x86::Msr msr, uint64_t per_cpu);
    void write_finish();
    uint64_t write_counter(uint64_t gpa);
    uint64_t write_port_interrupt(uint64_t gpa);
    uint64_t write_checkpoint();
    uint64_t write_wake();
    uint64_t write_syscall();

    Assembler a_;
    Label common_, skip_, bail_, done_, finish_, page_fault_, retry_;
};

uint64_t Writer::write_stub(unsigned vector) {
    const uint64_t address = a_.here();
    if (!has_error_code(vector)) op(ZYDIS_MNEMONIC_PUSH, {imm(0)});
    op(ZYDIS_MNEMONIC_PUSH, {imm(vector)});
    jump(ZYDIS_MNEMONIC_JMP, common_);
    return address;
}

void Writer::write_common() {
    a_.bind(common_);
    for (const Operand& r : {kRax, kRcx, kRdx, kRbx, kRsi})
        op(ZYDIS_MNEMONIC_PUSH, {r});
    mov(kRbx, imm(kKernelWindow));
    mov(kRax, memory(kPerCpu + kPerCpuExceptions));
    op(ZYDIS_MNEMONIC_CMP, {kRax, memory(kPerCpu + kPerCpuLimit)});
    jump(ZYDIS_MNEMONIC_JNB, finish_);
    op(ZYDIS_MNEMONIC_INC, {memory(kPerCpu + kPerCpuExceptions)});
    write_log();
    write_dispatch();
}

// 64 bytes: vector, error code, RIP, CS, RFLAGS, RSP, SS, CR2.
void Writer::write_log() {
    op(ZYDIS_MNEMONIC_SHL, {kRax, imm(6)});
    op(ZYDIS_MNEMONIC_LEA, {kRsi, mem(8, ZYDIS_REGISTER_RBX, kLog, ZYDIS_REGISTER_RAX, 1)});
    for (int64_t at = kFrameVector; at <= kFrameSs; at += 8) {
        mov(kRax, frame(at));
        if (at == kFrameRflags)
            op(ZYDIS_MNEMONIC_AND, {kRax, imm(~uint64_t{x86::kArithmeticFlags})});
        mov(mem(8, ZYDIS_REGISTER_RSI, at - kFrameVector), kRax);
    }
    mov(kRax, reg(ZYDIS_REGISTER_CR2));
    mov(mem(8, ZYDIS_REGISTER_RSI, 56), kRax);
}

void Writer::write_dispatch() {
    const Label fpu = a_.make_label();
    const Label x87 = a_.make_label();
    const Label simd = a_.make_label();
    mov(kEax, mem(4, ZYDIS_REGISTER_RSP, kFrameVector));
    const auto when = [&](x86::Vector vector, Label to) {
        op(ZYDIS_MNEMONIC_CMP, {kEax, imm(static_cast<unsigned>(vector))});
        jump(ZYDIS_MNEMONIC_JZ, to);
    };
    const Label single_step = a_.make_label();
    when(x86::Vector::pf, page_fault_);
    when(x86::Vector::db, single_step);
    when(x86::Vector::bp, done_);
    when(x86::Vector::nm, fpu);
    when(x86::Vector::mf, x87);
    when(x86::Vector::xm, simd);
    jump(ZYDIS_MNEMONIC_JMP, skip_);
    a_.bind(single_step);
    op(ZYDIS_MNEMONIC_BTR, {mem(4, ZYDIS_REGISTER_RSP, kFrameRflags), imm(8)});
    jump(ZYDIS_MNEMONIC_JMP, done_);
    a_.bind(fpu);
    op(ZYDIS_MNEMONIC_CLTS);
    jump(ZYDIS_MNEMONIC_JMP, done_);
    a_.bind(x87);
    op(ZYDIS_MNEMONIC_FNCLEX);
    jump(ZYDIS_MNEMONIC_JMP, skip_);
    a_.bind(simd);  // the flags may differ: conformance/exclusions.hpp says why
    op(ZYDIS_MNEMONIC_STMXCSR, {memory(kPerCpu + 0xF00, 4)});
    op(ZYDIS_MNEMONIC_AND, {memory(kPerCpu + 0xF00, 4), imm(~uint64_t{0x3F})});
    op(ZYDIS_MNEMONIC_LDMXCSR, {memory(kPerCpu + 0xF00, 4)});
    jump(ZYDIS_MNEMONIC_JMP, skip_);
}

// RSI becomes the address of the page-table entry.
void Writer::write_entry_search() {
    const Label kernel = a_.make_label();
    const Label have_table = a_.make_label();
    mov(kRax, reg(ZYDIS_REGISTER_CR2));
    mov(kRcx, kRax);
    op(ZYDIS_MNEMONIC_SHR, {kRcx, imm(12)});
    op(ZYDIS_MNEMONIC_AND, {kEcx, imm(511)});
    op(ZYDIS_MNEMONIC_SHR, {kRax, imm(21)});
    mov(kRdx, imm(kKernelWindow >> 21));
    op(ZYDIS_MNEMONIC_CMP, {kRax, kRdx});
    jump(ZYDIS_MNEMONIC_JZ, kernel);
    op(ZYDIS_MNEMONIC_CMP, {kRax, imm(kUserWindow >> 21)});
    jump(ZYDIS_MNEMONIC_JNZ, skip_);
    mov(kRsi, reg(ZYDIS_REGISTER_CR3));
    op(ZYDIS_MNEMONIC_AND, {kRsi, imm(kRootA ^ kRootB)});
    op(ZYDIS_MNEMONIC_ADD, {kRsi, imm(kUserTableA)});
    jump(ZYDIS_MNEMONIC_JMP, have_table);
    a_.bind(kernel);
    mov(kRsi, imm(kKernelTable));
    a_.bind(have_table);
    op(ZYDIS_MNEMONIC_ADD, {kRsi, kRbx});
    op(ZYDIS_MNEMONIC_LEA, {kRsi, mem(8, ZYDIS_REGISTER_RSI, 0, ZYDIS_REGISTER_RCX, 8)});
}

// If the error code's bit is set (that of P: clear) and the entry has the reason, changes the entry
// and forgets the reason.
void Writer::write_repair(unsigned error_bit, unsigned reason, unsigned bit, bool set) {
    const Operand entry = mem(8, ZYDIS_REGISTER_RSI);
    const Label next = a_.make_label();
    op(ZYDIS_MNEMONIC_BT, {mem(4, ZYDIS_REGISTER_RSP, kFrameError), imm(error_bit)});
    jump(error_bit == 0 ? ZYDIS_MNEMONIC_JB : ZYDIS_MNEMONIC_JNB, next);
    op(ZYDIS_MNEMONIC_BTR, {entry, imm(reason)});
    jump(ZYDIS_MNEMONIC_JNB, next);
    op(set ? ZYDIS_MNEMONIC_BTS : ZYDIS_MNEMONIC_BTR, {entry, imm(bit)});
    jump(ZYDIS_MNEMONIC_JMP, retry_);
    a_.bind(next);
}

void Writer::write_page_fault() {
    a_.bind(page_fault_);
    write_entry_search();
    write_repair(0, 9, 0, true);     // kMapOnFault
    write_repair(1, 10, 1, true);    // kWritableOnFault
    write_repair(4, 11, 63, false);  // kExecutableOnFault
    jump(ZYDIS_MNEMONIC_JMP, skip_);
    a_.bind(retry_);
    mov(kRax, reg(ZYDIS_REGISTER_CR2));
    op(ZYDIS_MNEMONIC_INVLPG, {mem(1, ZYDIS_REGISTER_RAX)});
    jump(ZYDIS_MNEMONIC_JMP, done_);
}

// The upper half of RIP's low 32 bits tells the three places of the code from everything else.
void Writer::write_skip() {
    a_.bind(skip_);
    const Label known = a_.make_label();
    mov(kRax, frame(kFrameRip));
    mov(kEcx, kEax);
    op(ZYDIS_MNEMONIC_SHR, {kEcx, imm(16)});
    for (const uint64_t window : {kUserWindow, kUserWindow + kCodeAlias, kKernelWindow}) {
        op(ZYDIS_MNEMONIC_CMP, {kEcx, imm((window + kCode) >> 16 & 0xFFFF)});
        jump(ZYDIS_MNEMONIC_JZ, known);
    }
    jump(ZYDIS_MNEMONIC_JMP, bail_);
    a_.bind(known);
    op(ZYDIS_MNEMONIC_MOVZX, {kEcx, reg(ZYDIS_REGISTER_AX)});
    op(ZYDIS_MNEMONIC_MOVZX, {kEdx, mem(1, ZYDIS_REGISTER_RBX, kLengths, ZYDIS_REGISTER_RCX, 1)});
    op(ZYDIS_MNEMONIC_TEST, {kEdx, kEdx});
    jump(ZYDIS_MNEMONIC_JZ, bail_);
    op(ZYDIS_MNEMONIC_ADD, {frame(kFrameRip), kRdx});
    op(ZYDIS_MNEMONIC_MOVZX, {kEdx, mem(1, ZYDIS_REGISTER_RBX, kFlagMasks, ZYDIS_REGISTER_RCX, 1)});
    mov(kEcx, kEdx);
    op(ZYDIS_MNEMONIC_AND, {kEcx, imm(2)});
    op(ZYDIS_MNEMONIC_SHL, {kEcx, imm(10)});
    op(ZYDIS_MNEMONIC_AND, {kEdx, imm(0xD5)});
    op(ZYDIS_MNEMONIC_OR, {kEdx, kEcx});
    op(ZYDIS_MNEMONIC_NOT, {kRdx});
    op(ZYDIS_MNEMONIC_AND, {frame(kFrameRflags), kRdx});
}

void Writer::write_return() {
    a_.bind(done_);
    for (const Operand& r : {kRsi, kRbx, kRdx, kRcx, kRax})
        op(ZYDIS_MNEMONIC_POP, {r});
    op(ZYDIS_MNEMONIC_ADD, {kRsp, imm(16)});
    op(ZYDIS_MNEMONIC_IRETQ);
}

void Writer::write_msr(x86::Msr msr, uint64_t per_cpu) {
    mov(kEcx, imm32(msr));
    mov(kEax, memory(kPerCpu + per_cpu, 4));
    mov(kEdx, memory(kPerCpu + per_cpu + 4, 4));
    op(ZYDIS_MNEMONIC_WRMSR);
}

// Control was lost: on with the next part of the program.
void Writer::write_bail() {
    a_.bind(bail_);
    const auto copy = [&](uint64_t from, int64_t to) {
        mov(kRax, memory(from));
        mov(frame(to), kRax);
    };
    copy(kControl + kControlResume, kFrameRip);
    copy(kPerCpu + kPerCpuCs, kFrameCs);
    copy(kPerCpu + kPerCpuRsp, kFrameRsp);
    copy(kPerCpu + kPerCpuSs, kFrameSs);
    mov(frame(kFrameRflags), imm(x86::kFlagsFixed | x86::kIf));
    write_msr(x86::kMsrFsBase, kPerCpuFsBase);
    write_msr(x86::kMsrGsBase, kPerCpuGsBase);
    mov(kEcx, imm32(x86::kMsrKernelGsBase));
    mov(kEax, imm32(static_cast<uint32_t>(kKernelWindow + kPerCpu)));
    mov(kEdx, imm32((kKernelWindow + kPerCpu) >> 32));
    op(ZYDIS_MNEMONIC_WRMSR);
    jump(ZYDIS_MNEMONIC_JMP, done_);
}

void Writer::write_finish() {
    a_.bind(finish_);
    const Label again = here();
    op(ZYDIS_MNEMONIC_CLI);
    op(ZYDIS_MNEMONIC_HLT);
    jump(ZYDIS_MNEMONIC_JMP, again);
}

uint64_t Writer::write_counter(uint64_t gpa) {
    const uint64_t address = a_.here();
    op(ZYDIS_MNEMONIC_PUSH, {kRax});
    mov(kRax, imm(kKernelWindow + gpa));
    op(ZYDIS_MNEMONIC_INC, {mem(8, ZYDIS_REGISTER_RAX)});
    op(ZYDIS_MNEMONIC_POP, {kRax});
    op(ZYDIS_MNEMONIC_IRETQ);
    return address;
}

// Counts, and mixes the interrupted RIP into a checksum.
uint64_t Writer::write_port_interrupt(uint64_t gpa) {
    constexpr int64_t kChecksums = 8 * kPortVectors;  // behind the counts
    const uint64_t address = a_.here();
    op(ZYDIS_MNEMONIC_PUSH, {kRax});
    op(ZYDIS_MNEMONIC_PUSH, {kRcx});
    mov(kRax, imm(kKernelWindow + gpa));
    op(ZYDIS_MNEMONIC_INC, {mem(8, ZYDIS_REGISTER_RAX)});
    mov(kRcx, frame(16));
    op(ZYDIS_MNEMONIC_ROL, {mem(8, ZYDIS_REGISTER_RAX, kChecksums), imm(5)});
    op(ZYDIS_MNEMONIC_XOR, {mem(8, ZYDIS_REGISTER_RAX, kChecksums), kRcx});
    op(ZYDIS_MNEMONIC_POP, {kRcx});
    op(ZYDIS_MNEMONIC_POP, {kRax});
    op(ZYDIS_MNEMONIC_IRETQ);
    return address;
}

// Sleeps until somebody has set kWoken; other interrupts may come meanwhile.
uint64_t Writer::write_checkpoint() {
    const uint64_t address = a_.here();
    op(ZYDIS_MNEMONIC_PUSH, {kRax});
    mov(kRax, imm(kKernelWindow + kUncompared + kWoken));
    const Label again = here();
    op(ZYDIS_MNEMONIC_STI);
    op(ZYDIS_MNEMONIC_HLT);
    op(ZYDIS_MNEMONIC_CLI);
    op(ZYDIS_MNEMONIC_CMP, {mem(1, ZYDIS_REGISTER_RAX), imm(0)});
    jump(ZYDIS_MNEMONIC_JZ, again);
    mov(mem(1, ZYDIS_REGISTER_RAX), imm(0));
    op(ZYDIS_MNEMONIC_POP, {kRax});
    op(ZYDIS_MNEMONIC_IRETQ);
    return address;
}

uint64_t Writer::write_wake() {
    const uint64_t address = a_.here();
    op(ZYDIS_MNEMONIC_PUSH, {kRax});
    mov(kRax, imm(kKernelWindow + kUncompared + kWoken));
    mov(mem(1, ZYDIS_REGISTER_RAX), imm(1));
    op(ZYDIS_MNEMONIC_POP, {kRax});
    op(ZYDIS_MNEMONIC_IRETQ);
    return address;
}

// Calls one of the kernel functions by the low bits of RAX. All registers but RAX, RCX and R11 come
// back.
uint64_t Writer::write_syscall() {
    const uint64_t address = a_.here();
    const auto per_cpu = [](uint64_t offset) {
        return mem(8, ZYDIS_REGISTER_NONE, static_cast<int64_t>(offset));
    };
    const auto with_gs = [&](const Operand& to, const Operand& from) {
        const bool done = a_.emit(ZYDIS_MNEMONIC_MOV, {to, from}, ZYDIS_ATTRIB_HAS_SEGMENT_GS);
        BANYAN_ASSERT(done);
    };
    op(ZYDIS_MNEMONIC_SWAPGS);
    with_gs(per_cpu(kPerCpuUserRsp), kRsp);
    with_gs(kRsp, per_cpu(kPerCpuKernelRsp));
    const unsigned saved[] = {1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (const unsigned r : saved)
        op(ZYDIS_MNEMONIC_PUSH, {reg(gpr(r))});
    op(ZYDIS_MNEMONIC_AND, {kEax, imm(7)});
    mov(kRcx, imm(kKernelWindow + kSyscalls));
    op(ZYDIS_MNEMONIC_CALL, {mem(8, ZYDIS_REGISTER_RCX, 0, ZYDIS_REGISTER_RAX, 8)});
    op(ZYDIS_MNEMONIC_CLI);
    // A function may leave the kernel's segments here. SYSRET would keep them, and the IRET of an
    // interrupt drop them, at whatever time it comes.
    mov(kEcx, imm(kUserSs));
    mov(reg(ZYDIS_REGISTER_DS), reg(ZYDIS_REGISTER_CX));
    mov(reg(ZYDIS_REGISTER_ES), reg(ZYDIS_REGISTER_CX));
    for (size_t i = std::size(saved); i-- > 0;)
        op(ZYDIS_MNEMONIC_POP, {reg(gpr(saved[i]))});
    with_gs(kRsp, per_cpu(kPerCpuUserRsp));
    op(ZYDIS_MNEMONIC_SWAPGS);
    const bool done = a_.emit_bytes(std::array<uint8_t, 3>{0x48, 0x0F, 0x07});  // SYSRET with REX.W
    BANYAN_ASSERT(done);
    return address;
}

Handlers Writer::write() {
    for (Label* label : {&common_, &skip_, &bail_, &done_, &finish_, &page_fault_, &retry_})
        *label = a_.make_label();
    Handlers handlers;
    for (unsigned vector = 0; vector < handlers.vectors.size(); ++vector) {
        const bool shared = vector > 32;  // 32 stands for all that nobody uses
        handlers.vectors[vector] = {shared ? handlers.vectors[32].address : write_stub(vector),
                                    kFaultStackIndex, vector == 3 || vector == 4};
    }
    write_common();
    write_page_fault();
    write_skip();
    write_return();
    write_bail();
    write_finish();
    for (uint64_t i = 0; i < kServices; ++i) {
        handlers.vectors[kServiceVector + i] = {write_counter(kPerCpu + kPerCpuServices + i * 8), 0,
                                                true};
    }
    for (uint64_t i = 0; i < kPortVectors; ++i) {
        handlers.vectors[kPortVector + i] = {
            write_port_interrupt(kPerCpu + kPerCpuInterrupts + i * 8), kPortStackIndex, false};
    }
    handlers.vectors[kRandomTimeVector] = {write_counter(kUncompared + kRandomTimeCount),
                                           kRandomTimeStackIndex, false};
    handlers.vectors[kCheckpointVector] = {write_checkpoint(), kCheckpointStackIndex, true};
    handlers.vectors[kWakeVector] = {write_wake(), kRandomTimeStackIndex, false};
    handlers.vectors[kExitVector] = {a_.address(finish_), kCheckpointStackIndex, true};
    handlers.syscall = write_syscall();
    a_.finish();
    BANYAN_ASSERT(!a_.overflowed());
    return handlers;
}

}  // namespace

Handlers assemble_handlers(std::span<uint8_t> bytes, uint64_t linear) {
    return Writer(bytes, linear).write();
}

}  // namespace banyan::lockstep
