// Cpu: one vCPU of the interpreter: architectural state, memory accesses, faults and the run loop.
//
// A plain structure: instruction families (op.hpp) work on its members directly. Only the vCPU's
// own thread touches it, except `events`.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <string_view>

#include "arch/x86/register_state.hpp"
#include "cpu/interp/arithmetic.hpp"
#include "cpu/interp/code_context.hpp"
#include "cpu/interp/debugger.hpp"
#include "cpu/interp/jump_table.hpp"
#include "cpu/interp/mode_cache.hpp"
#include "cpu/interp/op.hpp"
#include "cpu/interp/tlb.hpp"
#include "support/counter.hpp"
#include "vm/engine.hpp"

namespace banyan::interp {

class Accelerator;
class CodeCache;
class CpuModel;
class CodeCoherence;
struct Block;

// A fault or trap to be delivered. `error_code` only where the vector has one.
struct PendingFault {
    bool active = false;
    bool has_error = false;
    bool trap = false;      // rip is already that of the next instruction
    bool software = false;  // INT n, INT3, INTO: gate privilege is checked, not external
    x86::Vector vector{};
    uint32_t error = 0;
    uint64_t address = 0;  // page faults: CR2
};

// What other threads (and the CPU itself) want looked at between two blocks.
enum Event : uint32_t {
    kEventInterrupt = 1 << 0,  // CpuInterrupts::interrupt_pending() may be true
    kEventNmi = 1 << 1,
    kEventInit = 1 << 2,
    kEventSipi = 1 << 3,
    kEventKick = 1 << 4,  // Vcpu::kick()
    kEventCode = 1 << 5,  // code was written by others, or write mappings must go (CodeCoherence)
    kEventStop = 1 << 6,  // the CPU itself asks to leave the loop: `stop` says why
};

// What deliver() is to deliver.
struct Interruption {
    uint8_t vector = 0;
    bool has_error = false;
    uint32_t error = 0;
    bool external = true;       // not INT n, INT3, INTO: sets EXT, skips the gate's DPL check
    bool int3_or_into = false;  // INT3 and INTO ignore VM86 redirection
};

// The operand of CMPXCHG16B.
struct Pair128 {
    uint64_t low = 0;
    uint64_t high = 0;
    friend bool operator==(const Pair128&, const Pair128&) = default;
};

// One 16-byte compare-and-exchange; on failure `expected` becomes what is there. The compilers'
// builtins would call a library that may take a lock.
inline bool compare_exchange(Pair128* target, Pair128& expected, Pair128 replacement) {
    bool equal;
    __asm__ volatile("lock cmpxchg16b %[t]"
                     : [t] "+m"(*target), "+a"(expected.low), "+d"(expected.high), "=@ccz"(equal)
                     : "b"(replacement.low), "c"(replacement.high)
                     : "memory");
    return equal;
}

// What debug exceptions need to remember from one instruction to the next; see debug.hpp.
struct DebugTraps {
    bool step = false;       // TF was set when the instruction began
    bool hold = false;       // the instruction loaded SS: what it hit waits for the next one
    bool resume = false;     // the instruction set RF for the next one
    bool repeating = false;  // a repeated string instruction has iterations left
    uint8_t hits = 0;        // watchpoints, bits as in DR6
    uint8_t held_hits = 0;
};

// What a page walk found.
struct Translation {
    uint64_t gpa = 0;
    bool writable = false;  // may be written without another walk: permitted and dirty bit set
    bool large = false;
    bool global = false;
};

class Cpu {
public:
    // `storage`: what the memory of this object holds before it is made.
    Cpu(const VcpuWiring& wiring, GuestMemory& memory, const Clock& clock, const CpuModel& model,
        CodeCoherence& coherence, Storage storage = Storage::any);
    ~Cpu();
    Cpu(const Cpu&) = delete;
    Cpu& operator=(const Cpu&) = delete;

    // --- guest-visible state
    alignas(64) std::array<uint64_t, 18> gpr{};  // 0..15, then a constant zero for addresses
                                                 // without base or index
    uint64_t rip = 0;                            // offset in CS; valid between blocks
    FlagWord arith = 0x200;                      // arithmetic flags, see arithmetic.hpp
    uint32_t system_flags =
        0;  // the other bits of RFLAGS, in place (TF IF DF IOPL NT RF VM AC VIF VIP ID)
    uint8_t cpl = 0;

    // --- what generated code looks at or changes all the time: see kHotSize
    std::atomic<uint32_t> events{0};
    bool interrupt_parked = false;  // kEventInterrupt was seen while interrupts were off
    Counter retired;                // instructions
    // Derived from the guest-visible state by mode_changed().
    uint64_t context = 0;  // name of what linear addresses mean
    Tlb* tlb = nullptr;    // of the current view
    View view = View::supervisor;
    Mode mode{};
    // Segment bases as addressing uses them (0 for DS.. in 64-bit mode).
    std::array<uint64_t, x86::kSegmentCount> base{};
    uint64_t stack_mask = 0xFFFF;  // which bits of RSP push and pop use

    // What is above lies in the first so many bytes, so that others who have members of that kind
    // can keep them out of its way. A load waits for an older store whose address is equal in the
    // low bits that the processor compares first, ten on AMD's Zen 5: members that are written in
    // each block must not lie a multiple of 1 KiB away from what is read in each.
    static constexpr size_t kHotSize = 0x140;

    // --- the rest of the guest-visible state
    std::array<x86::SegmentRegister, x86::kSegmentCount> seg{};
    x86::SegmentRegister ldtr{}, tr{};
    x86::TableRegister gdtr{}, idtr{};
    uint64_t cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0;
    std::array<uint64_t, 4> pdpte{};
    uint64_t xcr0 = 1;
    std::array<uint64_t, 4> dr{};
    uint64_t dr6 = 0xFFFF0FF0, dr7 = 0x400;
    x86::MsrState msr{};
    x86::EventState pending{};
    x86::Activity activity = x86::Activity::running;
    // x87 in FXSAVE64 form, SSE and AVX registers whole (256 bits each) so that native code can
    // load them.
    struct alignas(64) Vectors {
        std::array<std::byte, 512> fxsave{};  // x87 part only; XMM and MXCSR live below
        std::array<std::array<std::byte, 32>, 16> ymm{};
        uint32_t mxcsr = 0x1F80;
        // What is in the host's registers instead while native code runs: see settle().
        enum Live : uint32_t { kMxcsrLive = 1, kX87Live = 2 };
        uint32_t live = 0;
    } vectors;

    // --- execution
    PendingFault fault;
    const Op* fault_op = nullptr;         // the instruction that raised it
    const Block* block = nullptr;         // running now
    std::atomic<uint8_t> sipi_vector{0};  // with kEventSipi
    bool shadow_next = false;  // interrupts stay off for one more instruction (STI, MOV SS)
    DebugTraps debug;
    Debugger debugger;
    Exit stop{};  // with kEventStop

    struct Counters {
        Counter slow_accesses;  // to memory: not served by the TLB
        Counter tlb_fills;
        Counter flushes;        // of all that the TLB holds
        Counter local_flushes;  // of what is not global
        Counter page_flushes;
        Counter interrupts;  // delivered, NMIs too
        Counter exceptions;  // delivered, those by INT too
    } counters;

    // --- wiring
    VcpuWiring wiring;
    GuestMemory& memory;
    const Clock& clock;
    const CpuModel& model;  // cpu_model.hpp: CPUID
    CodeCoherence& coherence;
    std::unique_ptr<CodeCache> code;
    Accelerator* accelerator = nullptr;

    // --- what linear addresses mean
    std::array<Tlb, kViewCount> tlbs;
    CodeContexts contexts;
    AddressSpaces spaces;
    ModeCache modes;                   // other modes, and the names of their contexts
    const uint8_t* no_host = nullptr;  // where generated code goes for a block without any
    JumpTable jumps;

    // --- AVX-512 state, away from `vectors`, which every guest uses
    struct alignas(64) Avx512 {
        std::array<std::array<std::byte, 32>, 16> zmm_high{};  // bits 511:256 of ZMM0 to ZMM15
        std::array<std::array<std::byte, 64>, 16> high_zmm{};  // ZMM16 to ZMM31
        std::array<uint64_t, 8> k{};
        // May some zmm_high not be zero? VEX-encoded instructions clear that of the register they
        // write, and have nothing to do while there is none.
        uint8_t zmm_high_in_use = 0;
    } avx512;

    // --- registers
    template <class T>
    T get(uint8_t byte_offset) const {
        T value;
        std::memcpy(&value, reinterpret_cast<const std::byte*>(gpr.data()) + byte_offset,
                    sizeof(T));
        return value;
    }
    // 32-bit writes clear the upper half, as in 64-bit mode; other modes never look at it.
    template <class T>
    void set(uint8_t byte_offset, T value) {
        std::byte* to = reinterpret_cast<std::byte*>(gpr.data()) + byte_offset;
        if constexpr (sizeof(T) == 4) {
            const uint64_t wide = value;
            std::memcpy(to, &wide, sizeof(wide));
        } else {
            std::memcpy(to, &value, sizeof(T));
        }
    }

    uint64_t rflags() const { return to_eflags(arith) | system_flags | x86::kFlagsFixed; }
    // Writes all bits that exist; privilege is the caller's business. Follow with mode_changed()
    // when TF, AC, VM or IF may have changed.
    void set_rflags(uint64_t value);
    bool flag(x86::Flag f) const { return (system_flags & f) != 0; }  // system flags only
    unsigned iopl() const { return (system_flags & x86::kIopl) >> x86::kIoplShift; }

    bool protected_mode() const { return (cr0 & x86::kCr0Pe) != 0; }
    bool long_mode() const { return (msr.efer & x86::kEferLma) != 0; }
    bool code64() const { return mode.has(Mode::kCode64); }
    bool vm86() const { return (system_flags & x86::kVm) != 0; }
    bool paging() const { return (cr0 & x86::kCr0Pg) != 0; }

    uint64_t rip_of(const Op* op) const;  // of this instruction
    uint64_t next_rip(const Op* op) const { return cut_rip(rip_of(op) + op->length); }
    // rip as the current code size shows it.
    uint64_t cut_rip(uint64_t value) const {
        return mode.has(Mode::kCode64) ? value
                                       : value & (mode.has(Mode::kCode32) ? 0xFFFFFFFFU : 0xFFFFU);
    }
    // How many instructions of the running block are left, from op on.
    uint64_t unfinished(const Op* op) const;
    // Native code leaves MXCSR and the x87's registers in the host's, for the next instruction that
    // wants them. Whoever looks at cpu.vectors, or calls code that may compute with floating-point
    // numbers, calls this first. It is done at the end of each block and by each memory access that
    // misses the TLB, and no instruction of the system family follows another in a block.
    void settle() {
        if (vectors.live != 0) [[unlikely]]
            settle_vectors();
    }
    void settle_vectors();  // native_live.cpp

    // Ends the block after this instruction.
    void finish(const Op* op) { rip = next_rip(op); }
    // What a serialising instruction does beside: all stores before it are done before anything
    // behind it begins (Intel SDM vol. 3 section 9.3). Such instructions end their blocks, so that
    // code which others wrote is seen, too.
    static void serialise() { std::atomic_thread_fence(std::memory_order_seq_cst); }
    void finish_serialising(const Op* op) {
        serialise();
        finish(op);
    }

    // --- changes of mode (mode.cpp)
    // ----------------------------------------------------------------------------- Recomputes
    // everything derived after a change of CPL, segments, CR0, CR4, EFER, XCR0, flags or DR7.
    // Cheap.
    void mode_changed();
    // Forgets translations: all, all that are not global, one page.
    void flush_tlb();
    void flush_tlb_page(uint64_t linear);
    // After CR3 was written; `keep`: what is known of this PCID's code may stay.
    void switch_address_space(bool keep);
    // Linear addresses mean other code now.
    void forget_linear();
    void context_changed();

    // --- faults
    // Each notes the fault and returns false, so that callers can `return raise(...)`. For
    // handlers: note(op) first is not needed, `op` says which instruction failed.
    bool raise(const Op* op, x86::Vector vector);
    bool raise(const Op* op, x86::Vector vector, uint32_t error);
    bool raise_gp(const Op* op, uint32_t error = 0) { return raise(op, x86::Vector::gp, error); }
    bool raise_ud(const Op* op) { return raise(op, x86::Vector::ud); }

    // --- memory
    // The effective address of op's memory operand: an offset in its segment.
    uint64_t effective_address(const Op* op, uint64_t displaced = 0) const {
        uint64_t ea = gpr[op->base] + (gpr[op->index] << op->scale) +
                      static_cast<uint64_t>(op->displacement) + displaced;
        if ((op->bits & (Op::kAddress32 | Op::kAddress16)) != 0) [[unlikely]] {
            ea &= op->has(Op::kAddress32) ? 0xFFFFFFFFU : 0xFFFFU;
        }
        return ea;
    }

    // The memory operand at the current privilege. `displaced` is added to the effective address
    // (second halves of far pointers, bit strings). False: a fault is pending.
    template <class T>
    [[nodiscard]] bool read(const Op* op, T& value, uint64_t displaced = 0) {
        uint64_t linear;
        if (!operand_address(op, displaced, sizeof(T), Access::read, linear)) [[unlikely]]
            return false;
        return read_linear(op, linear, value);
    }
    template <class T>
    [[nodiscard]] bool write(const Op* op, T value, uint64_t displaced = 0) {
        uint64_t linear;
        if (!operand_address(op, displaced, sizeof(T), Access::write, linear)) [[unlikely]]
            return false;
        return write_linear(op, linear, value);
    }
    // Read, change by `f(T old) -> T`, write; checked as a write before anything happens. With LOCK
    // (or kAtomic) it is one atomic access, and f may be called several times.
    template <class T, bool kAtomic = false, class F>
    [[nodiscard]] bool modify(const Op* op, F f, uint64_t displaced = 0) {
        uint64_t linear;
        if (!operand_address(op, displaced, sizeof(T), Access::write, linear)) [[unlikely]]
            return false;
        return modify_linear<T, kAtomic>(op, linear, f);
    }

    // At the current privilege, a linear address after segmentation.
    template <class T>
    [[nodiscard]] bool read_linear(const Op* op, uint64_t linear, T& value) {
        if (const std::byte* host = tlb->readable(linear, sizeof(T))) [[likely]] {
            std::memcpy(&value, host, sizeof(T));
            return true;
        }
        return read_slow(op, linear, &value, sizeof(T), view);
    }
    template <class T>
    [[nodiscard]] bool write_linear(const Op* op, uint64_t linear, T value) {
        if (std::byte* host = tlb->writable(linear, sizeof(T))) [[likely]] {
            std::memcpy(host, &value, sizeof(T));
            return true;
        }
        return write_slow(op, linear, &value, sizeof(T), view);
    }
    template <class T, bool kAtomic, class F>
    [[nodiscard]] bool modify_linear(const Op* op, uint64_t linear, F f) {
        if (std::byte* host = tlb->writable(linear, sizeof(T))) [[likely]] {
            if constexpr (kAtomic) {
                modify_atomically<T>(host, f);
            } else {
                T value;
                std::memcpy(&value, host, sizeof(T));
                value = f(value);
                std::memcpy(host, &value, sizeof(T));
            }
            return true;
        }
        return modify_slow<T, kAtomic>(op, linear, f);
    }

    // Through a segment register with the checks of the current mode (stack, string instructions,
    // far transfers).
    template <class T>
    [[nodiscard]] bool read_segment(const Op* op, x86::Segment segment, uint64_t offset, T& value) {
        uint64_t linear;
        if (!segment_address(op, segment, offset, sizeof(T), Access::read, linear)) [[unlikely]]
            return false;
        return read_linear(op, linear, value);
    }
    template <class T>
    [[nodiscard]] bool write_segment(const Op* op, x86::Segment segment, uint64_t offset, T value) {
        uint64_t linear;
        if (!segment_address(op, segment, offset, sizeof(T), Access::write, linear)) [[unlikely]]
            return false;
        return write_linear(op, linear, value);
    }
    // The same checks without an access: the linear address.
    [[nodiscard]] bool segment_address(const Op* op, x86::Segment segment, uint64_t offset,
                                       unsigned size, Access access, uint64_t& linear);

    // Where `size` bytes at segment:offset are on the host, if they lie in one page of plain memory
    // and no access to any of them can fault. Null: they do not, or it is not known.
    [[nodiscard]] std::byte* find_plain(x86::Segment segment, uint64_t offset, unsigned size,
                                        Access access) const;

    // Implicit supervisor accesses to descriptor tables, TSS, and the like: linear, whatever the
    // CPL.
    template <class T>
    [[nodiscard]] bool read_system(const Op* op, uint64_t linear, T& value) {
        const View as = system_view();
        if (const std::byte* host = tlb_of(as).readable(linear, sizeof(T))) [[likely]] {
            std::memcpy(&value, host, sizeof(T));
            return true;
        }
        return read_slow(op, linear, &value, sizeof(T), as);
    }
    template <class T>
    [[nodiscard]] bool write_system(const Op* op, uint64_t linear, T value) {
        return write_slow(op, linear, &value, sizeof(T), system_view());
    }
    const Tlb& tlb_of(View as) const { return tlbs[static_cast<unsigned>(as)]; }
    View system_view() const {
        return (cr4 & x86::kCr4Smap) != 0 ? View::supervisor_smap : View::supervisor;
    }

    // Any size up to a page, bytes in order of address; all pages are checked before the first byte
    // moves.
    [[nodiscard]] bool read_slow(const Op* op, uint64_t linear, void* to, unsigned size, View as);
    [[nodiscard]] bool write_slow(const Op* op, uint64_t linear, const void* from, unsigned size,
                                  View as);
    // Checks that the range could be accessed, without doing it.
    [[nodiscard]] bool probe(const Op* op, uint64_t linear, unsigned size, Access access, View as);

    // --- push and pop of the current stack; RSP is changed only by the caller through commit_rsp()
    uint64_t stack_pointer() const { return gpr[x86::kRsp] & stack_mask; }
    // Replaces the bits of RSP that the stack uses.
    void commit_rsp(uint64_t value) {
        gpr[x86::kRsp] = stack_mask == ~uint64_t{0}
                             ? value
                             : (gpr[x86::kRsp] & ~stack_mask) | (value & stack_mask);
    }

    // --- paging (paging.cpp)
    // Walks the page tables; sets accessed and dirty bits as hardware does. False: #PF (or #GP,
    // #SS) is pending.
    [[nodiscard]] bool translate(const Op* op, uint64_t linear, Access access, View as,
                                 Translation& result);
    // The same without faults and without setting bits: for debuggers. False: not mapped.
    [[nodiscard]] bool translate_for_debug(uint64_t linear, uint64_t& gpa) const;
    // PAE: loads the four PDPTEs (on MOV CR3 and some MOV CR0/CR4). False: a reserved bit is set.
    [[nodiscard]] bool load_pdptes(uint64_t cr3_value);

    // --- instruction fetch
    // May code be fetched at CS:RIP? False: #GP is pending.
    [[nodiscard]] bool check_fetch(uint64_t linear);
    bool within_code_limit(uint64_t rip_value) const {
        return mode.has(Mode::kCode64) || rip_value <= seg[x86::kCs].limit;
    }

    // --- the loop (run.cpp)
    Exit run();
    void post(uint32_t event_bits) { events.fetch_or(event_bits, std::memory_order_seq_cst); }
    // After IF may have been set: an interrupt that had to wait for that is looked at again.
    void unpark_interrupt() {
        if (!interrupt_parked || !flag(x86::kIf)) return;
        interrupt_parked = false;
        post(kEventInterrupt);
    }
    // The engine cannot go on: leaves the loop with internal_error and this text (static storage).
    void give_up(const Op* op, std::string_view text);
    // Leaves the loop with `debug`.
    void leave_for_debugger(const DebugStop& why);
    void set_debug(const DebugRequest& request);
    bool has_work() const;
    void reset(bool init_only);
    void get_state(x86::RegisterState& state) const;
    void set_state(const x86::RegisterState& state);

private:
    [[nodiscard]] bool operand_address(const Op* op, uint64_t displaced, unsigned size,
                                       Access access, uint64_t& linear) {
        const uint64_t ea = effective_address(op, displaced);
        if ((op->bits & (Op::kCheckSegment | Op::kCheckAlignment)) != 0) [[unlikely]] {
            return operand_address_slow(op, ea, size, access, linear);
        }
        linear = ea + base[op->segment];
        return true;
    }
    [[nodiscard]] bool operand_address_slow(const Op* op, uint64_t ea, unsigned size, Access access,
                                            uint64_t& linear);

    template <class T, class F>
    static void modify_atomically(std::byte* host, F f) {
        T* target =
            reinterpret_cast<T*>(host);  // SAFETY: host is guest RAM; x86 allows any alignment
        if constexpr (sizeof(T) == 16) {
            T old{};
            while (!compare_exchange(target, old, f(old))) {
            }
        } else {
            T old = __atomic_load_n(target, __ATOMIC_SEQ_CST);
            while (!__atomic_compare_exchange_n(target, &old, f(old), false, __ATOMIC_SEQ_CST,
                                                __ATOMIC_SEQ_CST)) {
            }
        }
    }
    // Where an access goes: one guest-physical range, or two when it crosses a page. `host` only
    // when it is RAM in one page.
    struct Target {
        std::array<uint64_t, 2> gpa{};
        unsigned first_size = 0;
        unsigned size = 0;
        std::byte* host = nullptr;
    };
    template <class T, bool kAtomic, class F>
    bool modify_slow(const Op* op, uint64_t linear, F f) {
        Target target;
        if (!resolve(op, linear, sizeof(T), Access::write, view, target)) return false;
        if (target.host != nullptr) {
            if constexpr (kAtomic) {
                modify_atomically<T>(target.host, f);
            } else {
                T value;
                std::memcpy(&value, target.host, sizeof(T));
                value = f(value);
                std::memcpy(target.host, &value, sizeof(T));
            }
            note_write(target.gpa[0], sizeof(T));
            return true;
        }
        const std::unique_lock<std::mutex> bus_lock = lock_bus(kAtomic);
        T value;
        copy_in(target, &value);
        value = f(value);
        copy_out(target, &value);
        return true;
    }

    bool resolve(const Op* op, uint64_t linear, unsigned size, Access access, View as,
                 Target& target);
    void copy_in(const Target& target, void* to);
    void copy_out(const Target& target, const void* from);
    void read_physical(uint64_t gpa, std::byte* to, unsigned size);
    void write_physical(uint64_t gpa, const std::byte* from, unsigned size);
    void note_write(uint64_t gpa,
                    unsigned size);  // code and dirty tracking of RAM that was just written
    std::unique_lock<std::mutex> lock_bus(bool wanted);
    void fill_tlb(uint64_t linear, const Translation& translation, View as);
    bool check_canonical(const Op* op, uint64_t linear, unsigned size);
    // Must accesses through `segment` be checked against its limit and its rights?
    bool has_limit(x86::Segment segment) const {
        return !mode.has(Mode::kFlat) || segment > x86::kDs || segment == x86::kCs;
    }
    bool within_segment(x86::Segment segment, uint64_t offset, unsigned size, Access access) const;
    bool check_segment(const Op* op, x86::Segment segment, uint64_t offset, unsigned size,
                       Access access);
    bool raise_segment(const Op* op, x86::Segment segment);
    bool page_fault(const Op* op, uint64_t linear, uint32_t error);
    void load_state(const x86::RegisterState& state);
    void execute(Block* b);
    void step();
    void step_once();
    bool stops_at_point();
    void run_shadowed();
    bool leaving() const { return (events.load(std::memory_order_relaxed) & kEventStop) != 0; }
    bool stopped_before_instruction() const {
        return leaving() && stop.reason == ExitReason::debug && stop.debug.before_instruction();
    }
    bool handle_events();  // false: leave run() with `stop`
    void take_interrupt();
    void deliver_fault();
    void settle_fault();
    void deliver_interruption(const Interruption& interruption);
    void start_up();
};

// Delivers an exception, software interrupt, NMI or external interrupt through the IDT (or the
// real-mode table, or by task switch). cpu.rip is the return address. False: a fault came up while
// delivering, pending in cpu.fault; the caller combines it (double fault, shutdown). Part of the
// system family: interrupts.cpp.
[[nodiscard]] bool deliver(Cpu& cpu, const Interruption& interruption);

}  // namespace banyan::interp
