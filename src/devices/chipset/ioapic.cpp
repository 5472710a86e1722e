#include "devices/chipset/ioapic.hpp"

#include <algorithm>

#include "devices/chipset/ioapic_state.hpp"
#include "snapshot/state.hpp"
#include "support/bits.hpp"

namespace banyan {

namespace {

constexpr unsigned kIdShift = 24;
constexpr uint8_t kIdMask = 0xF;
constexpr uint32_t kVersion = 0x20 | (IoApic::kInputs - 1) << 16;

// Remote IRR belongs to interrupts that a local APIC ends with an EOI; the other modes are edges
// (82093AA, section 3.2.4, "Delivery Mode").
bool is_level(const Rte& entry) {
    const auto mode = entry.get<Rte::Mode>();
    return entry.get<Rte::Trigger>() == TriggerMode::level &&
           (mode == DeliveryMode::fixed || mode == DeliveryMode::lowest_priority);
}

MsiMessage message_of(const Rte& entry) {
    const auto trigger = is_level(entry) ? TriggerMode::level : TriggerMode::edge;
    const uint64_t address = 0xFEE0'0000 | uint64_t{entry.get<Rte::Destination>()} << 12 |
                             uint64_t{entry.get<Rte::ExtendedDestination>()} << 5 |
                             uint64_t{entry.get<Rte::LogicalDestination>()} << 2;
    const auto data = static_cast<uint32_t>(entry.get<Rte::Vector>()) |
                      static_cast<uint32_t>(entry.get<Rte::Mode>()) << 8 | bit<uint32_t>(14) |
                      static_cast<uint32_t>(trigger) << 15;
    return {.address = address, .data = data};
}

}  // namespace

IoApic::IoApic(const Wiring& wiring)
    : power_on_id_(wiring.id & kIdMask), msi_(wiring.msi), routes_(wiring.routes) {
    MutexLock lock(mutex_);
    reset_locked();
}

void IoApic::reset() {
    MutexLock lock(mutex_);
    reset_locked();
    tell_all_routes();
}

void IoApic::reset_locked() {
    state_.id = power_on_id_;
    state_.select = 0;
    state_.inputs = 0;
    state_.table.fill(Rte{Rte::kPowerOn});
}

void IoApic::save(StateWriter& writer) const {
    MutexLock lock(mutex_);
    IoApicStateV1 saved{.id = state_.id, .select = state_.select, .inputs = state_.inputs};
    std::transform(state_.table.begin(), state_.table.end(), saved.table.begin(),
                   [](const Rte& entry) { return entry.raw; });
    writer.section(saved);
}

Result<void> IoApic::restore(StateReader& reader) {
    MutexLock lock(mutex_);
    auto result = apply(reader);
    if (!result) reset_locked();
    tell_all_routes();
    return result;
}

// What was to be sent before the state was saved has been sent: nothing is sent here.
Result<void> IoApic::apply(StateReader& reader) {
    TRY_ASSIGN(saved, reader.section<IoApicStateV1>());
    constexpr uint64_t kKnown = Rte::kWritable | mask(14, 14);
    const bool valid =
        saved.id <= kIdMask && saved.inputs >> kInputs == 0 &&
        std::all_of(saved.table.begin(), saved.table.end(), [](uint64_t raw) {
            const Rte entry{raw};
            return (raw & ~kKnown) == 0 && (!entry.get<Rte::RemoteIrr>() || is_level(entry));
        });
    if (!valid) {
        return fail(ErrorCode::invalid_data, "load saved state: IO-APIC registers are impossible");
    }
    state_.id = saved.id;
    state_.select = saved.select;
    state_.inputs = saved.inputs;
    std::transform(saved.table.begin(), saved.table.end(), state_.table.begin(),
                   [](uint64_t raw) { return Rte{raw}; });
    return {};
}

// IOREGSEL and EOI have 8 bits and may be accessed with more; the window is a double word
// (82093AA, section 3.1).
IoStatus IoApic::mmio_read(uint64_t offset, unsigned size, uint64_t& value) {
    MutexLock lock(mutex_);
    switch (static_cast<IoApicMmio>(offset)) {
        case IoApicMmio::ioregsel: value = state_.select; return IoStatus::ok;
        case IoApicMmio::iowin:
            if (size != 4) return IoStatus::bad_size;
            value = read_window();
            return IoStatus::ok;
        case IoApicMmio::eoi: value = 0; return IoStatus::ok;
        default: return IoStatus::no_register;
    }
}

IoStatus IoApic::mmio_write(uint64_t offset, unsigned size, uint64_t value) {
    MutexLock lock(mutex_);
    switch (static_cast<IoApicMmio>(offset)) {
        case IoApicMmio::ioregsel: state_.select = static_cast<uint8_t>(value); return IoStatus::ok;
        case IoApicMmio::iowin:
            if (size != 4) return IoStatus::bad_size;
            write_window(static_cast<uint32_t>(value));
            return IoStatus::ok;
        case IoApicMmio::eoi: end_locked(static_cast<uint8_t>(value)); return IoStatus::ok;
        default: return IoStatus::no_register;
    }
}

uint32_t IoApic::read_window() const {
    switch (static_cast<IoApicIndex>(state_.select)) {
        case IoApicIndex::id:
        case IoApicIndex::arbitration: return uint32_t{state_.id} << kIdShift;
        case IoApicIndex::version: return kVersion;
        default: break;
    }
    const auto half = selected_half();
    if (!half) return 0;
    const uint64_t raw = state_.table[half->input].raw;
    return static_cast<uint32_t>(half->high ? raw >> 32 : raw & mask(31, 0));
}

void IoApic::write_window(uint32_t value) {
    if (static_cast<IoApicIndex>(state_.select) == IoApicIndex::id) {
        state_.id = value >> kIdShift & kIdMask;
    } else if (const auto half = selected_half()) {
        write_entry(*half, value);
    }
}

std::optional<IoApic::EntryHalf> IoApic::selected_half() const {
    const unsigned first = static_cast<unsigned>(IoApicIndex::first_redirection);
    if (state_.select < first || state_.select >= first + 2 * kInputs) return std::nullopt;
    const unsigned index = state_.select - first;
    return EntryHalf{.input = index / 2, .high = index % 2 != 0};
}

// An edge that came while the entry was masked is lost, as 82093AA section 3.2.4 has it: unmasking
// sends nothing for an edge-triggered input. A level that is still there is sent.
void IoApic::write_entry(EntryHalf half, uint32_t value) {
    Rte& entry = state_.table[half.input];
    const uint64_t written = half.high ? uint64_t{value} << 32 : value;
    const uint64_t writable = Rte::kWritable & (half.high ? mask(63, 32) : mask(31, 0));
    entry.raw = (entry.raw & ~writable) | (written & writable);
    // Kernels end an interrupt without the EOI register by making its entry edge-triggered for a
    // moment.
    if (!is_level(entry)) entry.set<Rte::RemoteIrr>(false);
    tell_route(half.input);
    deliver_level(half.input);
}

// A masked entry keeps its route: what it has sent may still wait for its end.
void IoApic::tell_route(unsigned input) {
    if (routes_ == nullptr) return;
    const Rte& entry = state_.table[input];
    routes_->set_level_route(input,
                             is_level(entry) ? std::optional(message_of(entry)) : std::nullopt);
}

void IoApic::tell_all_routes() {
    for (unsigned input = 0; input < kInputs; ++input)
        tell_route(input);
}

void IoApic::set_irq(unsigned input, bool asserted) {
    if (input >= kInputs) return;
    MutexLock lock(mutex_);
    if (has_bit(state_.inputs, input) == asserted) return;
    state_.inputs ^= bit<uint32_t>(input);
    if (!asserted) return;
    const Rte& entry = state_.table[input];
    if (is_level(entry)) {
        deliver_level(input);
    } else if (!entry.get<Rte::Masked>()) {
        send(entry);
    }
}

// Remote IRR holds a level back from its message to the end of the interrupt.
void IoApic::deliver_level(unsigned input) {
    Rte& entry = state_.table[input];
    if (!is_level(entry) || !has_bit(state_.inputs, input)) return;
    if (entry.get<Rte::Masked>() || entry.get<Rte::RemoteIrr>()) return;
    entry.set<Rte::RemoteIrr>(true);
    send(entry);
}

void IoApic::send(const Rte& entry) {
    msi_.send_msi(message_of(entry));
}

void IoApic::end_of_interrupt(uint8_t vector) {
    MutexLock lock(mutex_);
    end_locked(vector);
}

void IoApic::end_locked(uint8_t vector) {
    for (unsigned input = 0; input < kInputs; ++input) {
        Rte& entry = state_.table[input];
        if (!entry.get<Rte::RemoteIrr>() || entry.get<Rte::Vector>() != vector) continue;
        entry.set<Rte::RemoteIrr>(false);
        deliver_level(input);
    }
}

}  // namespace banyan
