#include "cpu/kvm/kvm_msrs.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "arch/x86/registers.hpp"
#include "cpu/kvm/kvm_list.hpp"

namespace banyan::kvm {

namespace {

using x86::MsrState;

struct PlainMsr {
    uint32_t index;
    uint64_t MsrState::*value;
};
constexpr std::array kPlain = {
    PlainMsr{x86::kMsrStar, &MsrState::star},
    PlainMsr{x86::kMsrLstar, &MsrState::lstar},
    PlainMsr{x86::kMsrCstar, &MsrState::cstar},
    PlainMsr{x86::kMsrSfmask, &MsrState::sfmask},
    PlainMsr{x86::kMsrKernelGsBase, &MsrState::kernel_gs_base},
    PlainMsr{x86::kMsrSysenterCs, &MsrState::sysenter_cs},
    PlainMsr{x86::kMsrSysenterEsp, &MsrState::sysenter_esp},
    PlainMsr{x86::kMsrSysenterEip, &MsrState::sysenter_eip},
    PlainMsr{x86::kMsrPat, &MsrState::pat},
    PlainMsr{x86::kMsrTscAdjust, &MsrState::tsc_adjust},
    PlainMsr{x86::kMsrTscAux, &MsrState::tsc_aux},
    PlainMsr{x86::kMsrMiscEnable, &MsrState::misc_enable},
    PlainMsr{x86::kMsrSpecCtrl, &MsrState::spec_ctrl},
    PlainMsr{x86::kMsrMtrrDefType, &MsrState::mtrr_def_type},
    PlainMsr{x86::kMsrKvmWallClockNew, &MsrState::kvm_wall_clock},
    PlainMsr{x86::kMsrKvmSystemTimeNew, &MsrState::kvm_system_time},
    PlainMsr{x86::kMsrKvmAsyncPfInt, &MsrState::kvm_async_pf_int},
    PlainMsr{x86::kMsrKvmAsyncPfEn, &MsrState::kvm_async_pf},
    PlainMsr{x86::kMsrKvmStealTime, &MsrState::kvm_steal_time},
    PlainMsr{x86::kMsrKvmPollControl, &MsrState::kvm_poll_control},
};

// In the order of MsrState::mtrr_fixed: Intel SDM vol. 3 section 11.11.2.2.
constexpr std::array<uint32_t, 11> kFixedMtrrs{
    x86::kMsrMtrrFix64k,         x86::kMsrMtrrFix16k80000,    x86::kMsrMtrrFix16kA0000,
    x86::kMsrMtrrFix4kC0000,     x86::kMsrMtrrFix4kC0000 + 1, x86::kMsrMtrrFix4kC0000 + 2,
    x86::kMsrMtrrFix4kC0000 + 3, x86::kMsrMtrrFix4kC0000 + 4, x86::kMsrMtrrFix4kC0000 + 5,
    x86::kMsrMtrrFix4kC0000 + 6, x86::kMsrMtrrFix4kC0000 + 7};

constexpr size_t kCount = kPlain.size() + 16 + kFixedMtrrs.size();

// One number for each register, in the order of `function(index, value)`.
template <class State, class Function>
void for_each_msr(State& state, Function function) {
    for (const PlainMsr& msr : kPlain)
        function(msr.index, state.*msr.value);
    for (uint32_t i = 0; i < state.mtrr_variable.size(); ++i)
        function(x86::kMsrMtrrPhysBase0 + i, state.mtrr_variable[i]);
    for (size_t i = 0; i < kFixedMtrrs.size(); ++i)
        function(kFixedMtrrs[i], state.mtrr_fixed[i]);
}

using MsrList = KvmList<kvm_msrs, kvm_msr_entry, kCount>;

MsrList list_of(const MsrState& state) {
    MsrList list;
    size_t i = 0;
    for_each_msr(state, [&](uint32_t index, uint64_t value) {
        list[i++] = {.index = index, .reserved = 0, .data = value};
    });
    return list;
}

// KVM stops at the first register that it refuses and says how many came before it (KVM API 4.18,
// 4.19): `refused(n)` decides about that one, and the rest follows.
template <class Refused>
Result<void> transfer(const KvmHandle& vcpu, unsigned long request, MsrList& all, Refused refused) {
    constexpr std::string_view kWhat = "exchange the vCPU's MSRs with KVM";
    size_t first = 0;
    while (first < kCount) {
        MsrList rest;
        rest.header().nmsrs = static_cast<uint32_t>(kCount - first);
        std::copy_n(all.entries() + first, kCount - first, rest.entries());
        TRY_ASSIGN(done, vcpu.demand_with(request, rest.header(), kWhat));
        std::copy_n(rest.entries(), done, all.entries() + first);
        first += static_cast<size_t>(done);
        if (first < kCount) TRY(refused(first++));
    }
    return {};
}

}  // namespace

Result<void> get_msrs(const KvmHandle& vcpu, MsrState& state) {
    MsrList list = list_of(MsrState{});
    TRY(transfer(vcpu, KVM_GET_MSRS, list, [](size_t) -> Result<void> { return {}; }));
    size_t i = 0;
    for_each_msr(state, [&](uint32_t, uint64_t& value) { value = list[i++].data; });
    return {};
}

Result<void> set_msrs(const KvmHandle& vcpu, const MsrState& state) {
    const MsrList initial = list_of(MsrState{});
    MsrList list = list_of(state);
    return transfer(vcpu, KVM_SET_MSRS, list, [&](size_t n) -> Result<void> {
        const kvm_msr_entry& msr = list[n];
        if (msr.data == initial[n].data) return {};
        return fail(ErrorCode::unsupported,
                    fmt::format("set the vCPU's state: KVM refuses {:#x} in the MSR {:#x}; use "
                                "--engine soft",
                                msr.data, msr.index));
    });
}

bool get_msr(const KvmHandle& vcpu, uint32_t index, uint64_t& value) {
    KvmList<kvm_msrs, kvm_msr_entry, 1> one;
    one.header().nmsrs = 1;
    one[0].index = index;
    if (vcpu.call_with(KVM_GET_MSRS, one.header()) != 1) return false;
    value = one[0].data;
    return true;
}

bool set_msr(const KvmHandle& vcpu, uint32_t index, uint64_t value) {
    KvmList<kvm_msrs, kvm_msr_entry, 1> one;
    one.header().nmsrs = 1;
    one[0] = {.index = index, .reserved = 0, .data = value};
    return vcpu.call_with(KVM_SET_MSRS, one.header()) == 1;
}

}  // namespace banyan::kvm
