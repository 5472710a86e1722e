#include "cpu/kvm/kvm_apics.hpp"

#include <cstring>

#include "arch/x86/registers.hpp"
#include "cpu/kvm/kvm_list.hpp"
#include "cpu/kvm/kvm_msrs.hpp"
#include "support/bits.hpp"
#include "support/log.hpp"

namespace banyan::kvm {

namespace {

constexpr size_t kRegisterStride = 16;  // bytes, in struct kvm_lapic_state

}  // namespace

Result<void> KvmApics::create() {
    kvm_enable_cap split{};
    split.cap = KVM_CAP_SPLIT_IRQCHIP;
    split.args[0] = kIoApicInputs;
    TRY(vm_.demand_with(KVM_ENABLE_CAP, split, "put the local APICs into the kernel"));
    // Without it, ids end at 8 bits: enough for the board.
    kvm_enable_cap wide{};
    wide.cap = KVM_CAP_X2APIC_API;
    wide.args[0] = KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK;
    wide_targets_ = vm_.call_with(KVM_ENABLE_CAP, wide) >= 0;
    return {};
}

Result<ApicRegisters> KvmApics::get_apic(unsigned index) const {
    const KvmHandle& vcpu = *vcpus_[index];
    kvm_lapic_state state{};
    TRY(vcpu.demand_with(KVM_GET_LAPIC, state, "read a local APIC from KVM"));
    ApicRegisters registers;
    for (size_t i = 0; i < registers.page.size(); ++i)
        std::memcpy(&registers.page[i], state.regs + i * kRegisterStride, sizeof(uint32_t));
    get_msr(vcpu, x86::kMsrApicBase, registers.base);
    get_msr(vcpu, x86::kMsrTscDeadline, registers.tsc_deadline);
    get_msr(vcpu, x86::kMsrKvmPvEoiEn, registers.pv_eoi);
    return registers;
}

// The base first: it decides about the format of the rest.
Result<void> KvmApics::set_apic(unsigned index, const ApicRegisters& registers) {
    const KvmHandle& vcpu = *vcpus_[index];
    if (!set_msr(vcpu, x86::kMsrApicBase, registers.base))
        return fail(ErrorCode::invalid_data,
                    "set a local APIC: KVM refuses its base; use --engine soft");
    kvm_lapic_state state{};
    for (size_t i = 0; i < registers.page.size(); ++i)
        std::memcpy(state.regs + i * kRegisterStride, &registers.page[i], sizeof(uint32_t));
    TRY(vcpu.demand_with(KVM_SET_LAPIC, state, "write a local APIC to KVM"));
    // Refused by hosts without them, where nobody can have set them.
    set_msr(vcpu, x86::kMsrTscDeadline, registers.tsc_deadline);
    set_msr(vcpu, x86::kMsrKvmPvEoiEn, registers.pv_eoi);
    return {};
}

// Bits 11 to 5 of the address are bits 14 to 8 of the destination, which KVM takes from the high
// half of the address (KVM API 4.71, and Documentation/virt/kvm/x86/cpuid.rst).
kvm_irq_routing_msi KvmApics::encode(const MsiMessage& message) const {
    kvm_irq_routing_msi msi{};
    msi.address_lo = static_cast<uint32_t>(message.address);
    msi.data = message.data;
    if (!wide_targets_) return msi;
    msi.address_hi = static_cast<uint32_t>(bits(message.address, 11, 5)) << 8;
    msi.address_lo &= ~mask<uint32_t>(11, 5);
    return msi;
}

// What no local APIC takes vanishes.
void KvmApics::send_msi(const MsiMessage& message) {
    if (bits(message.address, 63, 20) != 0xFEE) return;
    const kvm_irq_routing_msi encoded = encode(message);
    kvm_msi msi{};
    msi.address_lo = encoded.address_lo;
    msi.address_hi = encoded.address_hi;
    msi.data = encoded.data;
    (void)vm_.call_with(KVM_SIGNAL_MSI, msi);
}

void KvmApics::set_level_route(unsigned input, const std::optional<MsiMessage>& message) {
    MutexLock lock(mutex_);
    if (input >= routes_.size() || routes_[input] == message) return;
    routes_[input] = message;
    tell_routes();
}

// KVM reports the end of an interrupt (KVM_EXIT_IOAPIC_EOI) where a route of the first 24 names it
// as level-triggered. It needs no others: interrupts are sent by send_msi().
void KvmApics::tell_routes() {
    KvmList<kvm_irq_routing, kvm_irq_routing_entry, kIoApicInputs> table;
    uint32_t count = 0;
    for (unsigned input = 0; input < routes_.size(); ++input) {
        if (!routes_[input]) continue;
        kvm_irq_routing_entry& entry = table[count++];
        entry.gsi = input;
        entry.type = KVM_IRQ_ROUTING_MSI;
        entry.u.msi = encode(*routes_[input]);
    }
    table.header().nr = count;
    if (const int result = vm_.call_with(KVM_SET_GSI_ROUTING, table.header()); result < 0)
        LOG_ERROR("kvm", "the kernel refuses the routes of the IO-APIC: error %d", -result);
}

}  // namespace banyan::kvm
