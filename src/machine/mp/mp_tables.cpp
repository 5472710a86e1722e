#include "machine/mp/mp_tables.hpp"

#include <algorithm>
#include <span>
#include <string_view>

#include "machine/mp/mp_tables_regs.hpp"
#include "support/assert.hpp"
#include "support/object_bytes.hpp"

namespace banyan::mp {

namespace {

constexpr uint8_t kPciBus = 0;
constexpr uint8_t kIsaBus = 1;
constexpr unsigned kIsaInterrupts = 16;
constexpr uint8_t kTimer = 0;
constexpr uint8_t kCascade = 2;
// Family 6 with FPU, APIC and the rest of a Pentium Pro; CPUID tells the truth.
constexpr uint32_t kSignature = 0x0600;
constexpr uint32_t kFeatures = 0x0201;

class Entries {
public:
    template <class T>
    void add(const T& entry) {
        append_object(bytes_, entry);
        ++count_;
    }
    uint16_t count() const { return count_; }
    const std::vector<std::byte>& bytes() const { return bytes_; }

private:
    std::vector<std::byte> bytes_;
    uint16_t count_ = 0;
};

void add_processors(Entries& entries, unsigned count) {
    for (unsigned cpu = 0; cpu < count; ++cpu) {
        Processor processor;
        processor.apic_id = static_cast<uint8_t>(cpu);
        if (cpu == 0) processor.flags |= kBootProcessor;
        processor.signature = kSignature;
        processor.features = kFeatures;
        entries.add(processor);
    }
}

void add_bus(Entries& entries, uint8_t id, std::string_view name) {
    Bus bus;
    bus.id = id;
    std::copy(name.begin(), name.end(), bus.name.begin());
    entries.add(bus);
}

InterruptEntry to_io_apic(const MachineDescription& machine, uint8_t bus, uint8_t source,
                          uint8_t input) {
    InterruptEntry entry;
    entry.bus = bus;
    entry.source = source;
    entry.apic = machine.io_apic_id;
    entry.input = input;
    return entry;
}

// The 8254 is wired to input 2, as on every PC with an IO-APIC; input 2 of the 8259s is their
// cascade. The 8259s reach the CPU by its local APIC alone.
void add_isa_interrupts(Entries& entries, const MachineDescription& machine) {
    for (uint8_t source = 0; source < kIsaInterrupts; ++source) {
        if (source == kCascade) continue;
        const uint8_t input = source == kTimer ? uint8_t{2} : source;
        InterruptEntry entry = to_io_apic(machine, kIsaBus, source, input);
        if (source == machine.sci) entry.flags = kActiveHighLevel;
        entries.add(entry);
    }
}

void add_pci_interrupts(Entries& entries, const MachineDescription& machine) {
    for (const PciInterrupt& pci : machine.pci) {
        const auto source = static_cast<uint8_t>(pci.device << 2 | pci.pin);
        entries.add(to_io_apic(machine, kPciBus, source, pci.input));
    }
}

// LINT0 has the 8259s, LINT1 NMI.
void add_local_interrupts(Entries& entries) {
    InterruptEntry entry;
    entry.type = kLocalInterrupt;
    entry.kind = Interrupt::ext_int;
    entry.bus = kIsaBus;
    entries.add(entry);
    entry.kind = Interrupt::nmi;
    entry.apic = kAllApics;
    entry.input = 1;
    entries.add(entry);
}

}  // namespace

std::vector<std::byte> build_tables(const MachineDescription& machine, Gpa base) {
    BANYAN_ASSERT(machine.cpu_count <= kMaxCpus && base.value % 16 == 0);
    Entries entries;
    add_processors(entries, machine.cpu_count);
    add_bus(entries, kPciBus, "PCI   ");
    add_bus(entries, kIsaBus, "ISA   ");
    IoApicEntry io_apic;
    io_apic.id = machine.io_apic_id;
    io_apic.address = machine.io_apic;
    entries.add(io_apic);
    add_isa_interrupts(entries, machine);
    add_pci_interrupts(entries, machine);
    add_local_interrupts(entries);

    TableHeader header;
    header.length = static_cast<uint16_t>(sizeof(header) + entries.bytes().size());
    header.entries = entries.count();
    header.local_apic = machine.local_apic;
    header.checksum = static_cast<uint8_t>(zero_sum(std::as_bytes(std::span(&header, 1))) +
                                           zero_sum(entries.bytes()));
    FloatingPointer pointer;
    pointer.table = static_cast<uint32_t>(base.value + sizeof(pointer));
    pointer.checksum = zero_sum(std::as_bytes(std::span(&pointer, 1)));

    std::vector<std::byte> all;
    append_object(all, pointer);
    append_object(all, header);
    all.insert(all.end(), entries.bytes().begin(), entries.bytes().end());
    return all;
}

}  // namespace banyan::mp
