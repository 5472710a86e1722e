// The loop: blocks, then events, then blocks.
#include "cpu/interp/accelerator.hpp"
#include "cpu/interp/code_cache.hpp"
#include "cpu/interp/code_coherence.hpp"
#include "cpu/interp/cpu.hpp"
#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/debug.hpp"
#include "cpu/interp/interrupts.hpp"

namespace banyan::interp {

using x86::Activity;
using x86::Vector;

Cpu::Cpu(const VcpuWiring& vcpu_wiring, GuestMemory& guest_memory, const Clock& guest_clock,
         const CpuModel& cpu_model, CodeCoherence& code_coherence, Storage storage)
    : wiring(vcpu_wiring),
      memory(guest_memory),
      clock(guest_clock),
      model(cpu_model),
      coherence(code_coherence),
      code(std::make_unique<CodeCache>(*this)),
      tlbs{Tlb(storage), Tlb(storage), Tlb(storage)},
      jumps(storage) {
    static_assert(kViewCount == 3);
    coherence.join(*this);
    reset(false);
}

Cpu::~Cpu() {
    coherence.leave(*this);
}

uint64_t Cpu::rip_of(const Op* op) const {
    return cut_rip(block->rip + op->offset);
}

uint64_t Cpu::unfinished(const Op* op) const {
    return block->count - static_cast<uint64_t>(op - block->ops);
}

Exit Cpu::run() {
    if (activity == Activity::shutdown) return {ExitReason::shutdown, {}};
    coherence.enter(*this);
    if (debugger.take_new_marks()) code->clear();
    post(kEventInterrupt);  // have a look: state may have been set from outside
    for (;;) {
        if (shadow_next && !leaving()) [[unlikely]] {
            run_shadowed();
            continue;
        }
        if (events.load(std::memory_order_relaxed) != 0 || activity != Activity::running)
            [[unlikely]] {
            if (!handle_events()) break;
        }
        if (mode.has(Mode::kOneInstruction)) [[unlikely]] {
            step();
            continue;
        }
        if (Block* next = code->lookup()) [[likely]] {
            if (accelerator != nullptr && accelerator->run(*next)) {
                if (fault.active) {
                    settle_fault();
                    deliver_fault();
                }
                continue;
            }
            execute(next);
        } else {
            deliver_fault();
        }
    }
    coherence.exit(*this);
    return stop;
}

void Cpu::execute(Block* b) {
    block = b;
    b->ops->handler(*this, b->ops);
    settle();
    if (fault.active) [[unlikely]] {
        retired += fault_op != nullptr ? static_cast<uint64_t>(fault_op - b->ops) : b->count;
        settle_fault();
        deliver_fault();
        return;
    }
    retired += b->count;
}

// One more instruction before events are looked at, after STI and MOV SS. If it casts a shadow
// itself, that one does not count: "only the first instruction in the sequence is guaranteed to
// delay the interrupt" (Intel SDM vol. 3 section 6.8.3). Before an instruction that a debugger
// stops at, the shadow stays.
void Cpu::run_shadowed() {
    if (mode.has(Mode::kOneInstruction)) {
        step();
    } else if (!stops_at_point()) {
        Mode one = mode;
        one.bits |= Mode::kOneInstruction;
        if (Block* next = code->lookup_one(one)) {
            execute(next);
        } else {
            deliver_fault();
        }
    }
    shadow_next = stopped_before_instruction();
}

// Faults return to their instruction. Traps are behind it; those without an instruction came up in
// a task that was just switched to, at its own RIP.
void Cpu::settle_fault() {
    if (fault_op != nullptr && !fault.trap) rip = rip_of(fault_op);
}

// Before the instruction at CS:RIP.
bool Cpu::stops_at_point() {
    const DebugPoint* point = debugger.execution_point(base[x86::kCs] + rip);
    if (point != nullptr) leave_for_debugger({DebugEvent::point, *point});
    return point != nullptr;
}

// One instruction, with what a debugger wants to know before and after it.
void Cpu::step() {
    if (stops_at_point()) return;
    debugger.begin_instruction();
    step_once();
    if (leaving()) return;
    if (const auto why = debugger.end_instruction()) leave_for_debugger(*why);
}

// One instruction, with what debug exceptions want to know before and after it.
void Cpu::step_once() {
    if (check_execution_breakpoint(*this)) {
        deliver_fault();
        return;
    }
    Block* next = code->lookup_one(mode);
    if (next == nullptr) {
        deliver_fault();
        return;
    }
    block = next;
    next->ops->handler(*this, next->ops);
    settle();
    if (fault.active) {
        settle_fault();
        deliver_fault();
        return;
    }
    retired += next->count;
    const bool nothing_pending = after_instruction_debug(*this);
    mode_changed();
    if (!nothing_pending) deliver_fault();
}

void Cpu::deliver_fault() {
    PendingFault first = fault;
    for (;;) {
        fault.active = false;
        if (first.vector == Vector::pf) cr2 = first.address;
        const Interruption interruption{.vector = static_cast<uint8_t>(first.vector),
                                        .has_error = first.has_error,
                                        .error = first.error,
                                        .external = !first.software,
                                        .int3_or_into = false};
        ++counters.exceptions;
        if (deliver(*this, interruption)) {
            if (!fault.active) return;
            first = fault;  // the debug trap of a task switch
            continue;
        }
        if (first.vector == Vector::df) {
            fault.active = false;
            activity = Activity::shutdown;
            stop = {ExitReason::shutdown, {}};
            post(kEventStop);
            return;
        }
        if (is_double_fault(static_cast<uint8_t>(first.vector),
                            static_cast<uint8_t>(fault.vector))) {
            first = {.active = true, .has_error = true, .vector = Vector::df, .error = 0};
        } else {
            first = fault;
        }
    }
}

bool Cpu::handle_events() {
    const uint32_t seen = events.load(std::memory_order_seq_cst);
    if ((seen & kEventCode) != 0) {
        events.fetch_and(~uint32_t{kEventCode});
        coherence.service(*this);
    }
    if ((seen & kEventStop) != 0) {
        events.fetch_and(~uint32_t{kEventStop});
        return false;
    }
    if ((seen & kEventInit) != 0) {
        events.fetch_and(~uint32_t{kEventInit});
        reset(true);
    }
    if ((seen & kEventSipi) != 0) {
        events.fetch_and(~uint32_t{kEventSipi});
        start_up();
    }
    if ((seen & kEventKick) != 0) {
        events.fetch_and(~uint32_t{kEventKick});
        stop = {ExitReason::interrupted, {}};
        return false;
    }
    if (activity == Activity::wait_for_sipi) {
        stop = {ExitReason::halted, {}};
        return false;
    }
    const bool was_halted = activity == Activity::halted;
    if (debugger.steps() && !was_halted) return true;
    if ((seen & kEventNmi) != 0 && !pending.nmi_blocked) {
        events.fetch_and(~uint32_t{kEventNmi});
        activity = Activity::running;
        pending.nmi_blocked = true;
        deliver_interruption({.vector = static_cast<uint8_t>(Vector::nmi)});
    }
    take_interrupt();
    if (activity == Activity::halted) {
        stop = {ExitReason::halted, {}};
        return false;
    }
    if (was_halted && debugger.steps()) {
        stop = {ExitReason::debug, {}, {DebugEvent::step}};
        return false;
    }
    return true;
}

// What cannot be taken now is parked, so that nobody has to look at it until interrupts are on.
void Cpu::take_interrupt() {
    // Before the question: a later one sets it again.
    const uint32_t seen = events.fetch_and(~uint32_t{kEventInterrupt});
    if (!flag(x86::kIf)) {
        interrupt_parked |= (seen & kEventInterrupt) != 0;
        return;
    }
    if (wiring.interrupts == nullptr || !wiring.interrupts->interrupt_pending()) return;
    const auto vector = wiring.interrupts->acknowledge_interrupt();
    if (!vector) return;
    post(kEventInterrupt);  // there may be another behind it
    activity = Activity::running;
    deliver_interruption({.vector = *vector});
}

void Cpu::deliver_interruption(const Interruption& interruption) {
    ++counters.interrupts;
    if (deliver(*this, interruption)) return;
    deliver_fault();  // benign first event: the second is delivered as it is
}

// A start-up IPI: real mode at vector * 4096 (Intel SDM vol. 3 section 9.4.4.2). Ignored unless
// waiting for one.
void Cpu::start_up() {
    if (activity != Activity::wait_for_sipi) return;
    const auto vector = static_cast<uint16_t>(sipi_vector.load());
    seg[x86::kCs].selector = static_cast<uint16_t>(vector << 8);
    seg[x86::kCs].base = static_cast<uint64_t>(vector) << 12;
    rip = 0;
    activity = Activity::running;
    mode_changed();
}

bool Cpu::has_work() const {
    constexpr uint32_t kAlways = kEventNmi | kEventInit | kEventSipi | kEventKick | kEventStop;
    if ((events.load(std::memory_order_seq_cst) & kAlways) != 0) return true;
    if (activity == Activity::running) return true;
    return activity == Activity::halted && (system_flags & x86::kIf) != 0 &&
           wiring.interrupts != nullptr && wiring.interrupts->interrupt_pending();
}

void Cpu::leave_for_debugger(const DebugStop& why) {
    stop = {ExitReason::debug, {}, why};
    post(kEventStop);
}

// Watched pages have no TLB tags, so that a change of what is watched flushes.
void Cpu::set_debug(const DebugRequest& request) {
    const bool same_points = request.points == debugger.points();
    debugger.set(request);
    if (!same_points) {
        for (Tlb& table : tlbs)
            table.flush();
    }
    mode_changed();
}

void Cpu::give_up(const Op* op, std::string_view text) {
    rip = rip_of(op);
    stop = {ExitReason::internal_error, text};
    post(kEventStop);
}

}  // namespace banyan::interp
