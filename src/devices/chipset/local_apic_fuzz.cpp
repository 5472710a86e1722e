// A guest, other processors and wires against one local APIC of two, with an IO-APIC behind them.
#include <cstddef>
#include <cstdint>

#include "devices/chipset/ioapic.hpp"
#include "devices/chipset/local_apic_rig.hpp"
#include "vm/testing/device_fuzz.hpp"

namespace {

using namespace banyan;

void access_msr(FuzzBytes& bytes, LocalApic& apic) {
    uint64_t value = 0;
    const uint8_t choice = bytes.u8();
    uint32_t index = kMsrX2ApicFirst + choice;
    if (choice >= 0xF0) index = choice % 2 == 0 ? kMsrApicBase : kMsrTscDeadline;
    if (bytes.u8() % 4 == 0) {
        (void)apic.read_apic_msr(index, value);
    } else {
        (void)apic.write_apic_msr(index, bytes.u8() % 4 == 0 ? bytes.u64() : bytes.u32());
    }
}

// What needs several accesses to be reached.
void set_mode(FuzzBytes& bytes, ApicRig& rig) {
    constexpr uint64_t kBases[] = {0xFEE00900, 0xFEE00D00, 0xFEE00100, 0xFEE00C00};
    (void)rig.apic().write_apic_msr(kMsrApicBase, kBases[bytes.u8() % 4]);
    (void)rig.apic().mmio_write(0xF0, 4, 0x1FF);
    (void)rig.write_msr(ApicRegister::svr, 0x1FF);
}

void check_invariants(LocalApic& apic) {
    // What is pending is taken, or was not pending after all, in bounded time.
    for (int i = 0; i < 600 && apic.interrupt_pending(); ++i) {
        if (const auto vector = apic.acknowledge_interrupt()) {
            (void)apic.mmio_write(0xB0, 4, 0);
            (void)apic.write_apic_msr(kMsrX2ApicFirst + 0x0B, 0);
        }
    }
    BANYAN_ASSERT(!apic.interrupt_pending());
}

void other_action(FuzzBytes& bytes, ApicRig& rig, IoApic& ioapic) {
    LocalApic& apic = rig.apic();
    switch (bytes.u8() % 14) {
        case 0:
        case 1: return access_msr(bytes, apic);
        case 2: return set_mode(bytes, rig);
        case 3: (void)apic.acknowledge_interrupt(); return;
        case 4: return apic.write_cr8(bytes.u8() & 0xF);
        case 5: return apic.set_irq(bytes.u8() % 3, bytes.u8() % 2 == 0);
        case 6: (void)apic.set_pv_eoi(bytes.u32() & 0x1'0003); return;
        case 7: return apic.set_tsc_offset(bytes.u64());
        case 8: return rig.bus.send_msi({0xFEE00000 | bytes.u32() % 0x10'0000, bytes.u32()});
        case 9: return rig.ext_int.request(bytes.u8());
        case 10: {
            const uint32_t word = bytes.u32();
            (void)rig.ram.memory().write_object(Gpa{apic.pv_eoi() & ~uint64_t{1}}, word);
            return;
        }
        case 11: return ioapic.set_irq(bytes.u8() % 24, bytes.u8() % 2 == 0);
        case 12:
            (void)ioapic.mmio_write(0x00, 4, bytes.u8());
            (void)ioapic.mmio_write(0x10, 4, bytes.u32());
            return;
        default:
            rig.ext_int.vector.reset();
            apic.set_irq(LocalApic::kLint0, false);
            ioapic.reset();
            return check_invariants(apic);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    ApicRig rig(2);
    IoApic ioapic{{.msi = rig.bus}};
    rig.bus.add(ioapic);
    rig.ext_int.apic = &rig.apic();
    FuzzBytes bytes(data, size);
    fuzz_device(bytes, rig.apic(), rig.timers,
                {.mmio_size = LocalApic::kMmioSize,
                 .other_action = [&](FuzzBytes& more) { other_action(more, rig, ioapic); }});
    return 0;
}
