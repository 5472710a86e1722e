#include "cpu/kvm/kvm_debug.hpp"

#include <cerrno>

#include "arch/x86/registers.hpp"

namespace banyan::kvm {

namespace {

constexpr uint64_t kDr6Hits = 0xF;
constexpr uint64_t kDr6Reasons = 0xE00F;
constexpr uint64_t kDr7Fixed = 0x400;
constexpr uint64_t kDr7GlobalEnable = 2;

// R/W and LEN as in DR7: Intel SDM vol. 3 section 18.2.4.
uint64_t condition_of(const DebugPoint& point) {
    const uint64_t length = point.length == 8 ? 2U : point.length - 1U;
    switch (point.kind) {
        case DebugAccess::execute: return 0;
        case DebugAccess::write: return length << 2 | 1;
        case DebugAccess::access: return length << 2 | 3;
    }
    return 0;
}

bool is_int3(const kvm_debug_exit_arch& exit) {
    return exit.exception == static_cast<uint32_t>(x86::Vector::bp);
}

}  // namespace

kvm_guest_debug KvmDebug::asked() const {
    kvm_guest_debug debug{};
    if (request_.empty()) return debug;
    debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
    if (request_.single_step) debug.control |= KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_BLOCKIRQ;
    if (!request_.has_points()) return debug;
    debug.control |= KVM_GUESTDBG_USE_HW_BP;
    uint64_t dr7 = kDr7Fixed;
    for (unsigned i = 0; i < request_.points.size(); ++i) {
        debug.arch.debugreg[i] = request_.points[i].address;
        dr7 |= kDr7GlobalEnable << (2 * i) | condition_of(request_.points[i]) << (16 + 4 * i);
    }
    debug.arch.debugreg[7] = dr7;
    return debug;
}

// Before Linux 5.15 KVM cannot hold interrupts back: a step may then end in a handler.
Result<void> KvmDebug::set(const DebugRequest& request) {
    if (request.empty() && request_.empty()) return {};
    request_ = request;
    kvm_guest_debug debug = asked();
    if ((debug.control & KVM_GUESTDBG_BLOCKIRQ) != 0) {
        if (vcpu_.call_with(KVM_SET_GUEST_DEBUG, debug) != -EINVAL) return {};
        debug.control &= ~uint32_t{KVM_GUESTDBG_BLOCKIRQ};
    }
    TRY(vcpu_.demand_with(KVM_SET_GUEST_DEBUG, debug, "debug a vCPU with KVM"));
    return {};
}

// DR6 names the point; a step may have come with it. What is neither, a trap by TF or a breakpoint
// of the guest's own, is the guest's.
std::optional<DebugStop> KvmDebug::what_came(const kvm_debug_exit_arch& exit) const {
    if (is_int3(exit)) {
        if (!request_.owns_breakpoint(exit.pc)) return std::nullopt;
        return DebugStop{DebugEvent::breakpoint};
    }
    for (unsigned i = 0; i < request_.points.size(); ++i) {
        if ((exit.dr6 >> i & 1U) != 0) return DebugStop{DebugEvent::point, request_.points[i]};
    }
    if (request_.single_step) return DebugStop{DebugEvent::step};
    return std::nullopt;
}

// KVM leaves DR6 to whoever gives a #DB back.
void KvmDebug::give_back(const kvm_debug_exit_arch& exit) const {
    kvm_guest_debug debug = asked();
    debug.control |= is_int3(exit) ? uint32_t{KVM_GUESTDBG_INJECT_BP} : KVM_GUESTDBG_INJECT_DB;
    kvm_debugregs registers{};
    if (!is_int3(exit) && vcpu_.call_with(KVM_GET_DEBUGREGS, registers) >= 0) {
        registers.dr6 = (registers.dr6 & ~kDr6Hits) | (exit.dr6 & kDr6Reasons);
        (void)vcpu_.call_with(KVM_SET_DEBUGREGS, registers);
    }
    (void)vcpu_.call_with(KVM_SET_GUEST_DEBUG, debug);
}

std::optional<Exit> KvmDebug::handle(const kvm_debug_exit_arch& exit) {
    const auto why = what_came(exit);
    if (why) return Exit{ExitReason::debug, {}, *why};
    give_back(exit);
    return std::nullopt;
}

}  // namespace banyan::kvm
