#include "devices/chipset/apic_bus.hpp"

#include <limits>

#include "devices/chipset/local_apic.hpp"
#include "support/assert.hpp"
#include "support/bits.hpp"

namespace banyan {

namespace {

using Kind = ApicDestination::Kind;

// All ones address every APIC, in physical and in logical mode (Intel SDM 11.6.2.1, 11.6.2.2,
// 11.12.9).
bool is_broadcast(const ApicDestination& destination) {
    if (destination.kind == Kind::all) return true;
    return destination.id == (destination.x2apic ? 0xFFFF'FFFF : 0xFF);
}

// A logical destination of 8 bits, Intel SDM 11.6.2.2. An APIC in x2APIC mode sees it as one of
// 32 bits: those of cluster 0 (11.12.10.2).
bool matches_mda(uint32_t mda, const LocalApic& apic) {
    const ApicSummary summary = apic.summary();
    if (summary.get<ApicSummary::X2Apic>()) return apic.id() < 8 && has_bit(mda, apic.id());
    const uint32_t logical_id = summary.get<ApicSummary::LogicalId>();
    if (summary.get<ApicSummary::Flat>()) return (mda & logical_id) != 0;
    return mda >> 4 == logical_id >> 4 && (mda & logical_id & 0xF) != 0;
}

}  // namespace

void ApicBus::add(LocalApic& apic) {
    BANYAN_ASSERT(apic.id() < kMaxApics);
    if (by_id_.size() <= apic.id()) by_id_.resize(apic.id() + 1);
    BANYAN_ASSERT(by_id_[apic.id()] == nullptr);
    by_id_[apic.id()] = &apic;
}

void ApicBus::remove(const LocalApic& apic) {
    by_id_[apic.id()] = nullptr;
}

template <class Function>
void ApicBus::for_each_match(const ApicDestination& destination, Function function) const {
    const auto visit = [&](LocalApic* apic) {
        if (apic == nullptr || apic == destination.except) return;
        if (apic->summary().get<ApicSummary::Enabled>()) function(*apic);
    };
    if (is_broadcast(destination)) {
        for (LocalApic* apic : by_id_)
            visit(apic);
    } else if (destination.kind == Kind::physical) {
        visit(find(destination.id));
    } else if (destination.x2apic) {
        const uint32_t first = (destination.id >> 16) << 4;
        for (unsigned i = 0; i < 16; ++i) {
            if (has_bit(destination.id, i)) visit(find(uint64_t{first} + i));
        }
    } else {
        for (LocalApic* apic : by_id_) {
            if (apic != nullptr && matches_mda(destination.id, *apic)) visit(apic);
        }
    }
}

void ApicBus::send(const ApicInterrupt& interrupt, const ApicDestination& destination) {
    if (destination.lowest_priority) return send_lowest_priority(interrupt, destination);
    for_each_match(destination, [&](LocalApic& apic) { apic.accept(interrupt); });
}

// Intel SDM 11.6.2.4: the APIC with the lowest processor priority; equals take turns.
void ApicBus::send_lowest_priority(const ApicInterrupt& interrupt,
                                   const ApicDestination& destination) {
    const uint32_t rotation = rotation_.fetch_add(1, std::memory_order_relaxed);
    const auto count = static_cast<uint32_t>(by_id_.size());
    LocalApic* chosen = nullptr;
    uint32_t lowest = std::numeric_limits<uint32_t>::max();
    for_each_match(destination, [&](LocalApic& apic) {
        const ApicSummary summary = apic.summary();
        if (!summary.get<ApicSummary::SoftwareEnabled>()) return;
        const uint32_t turn = (apic.id() + count - rotation % count) % count;
        const uint32_t rank = uint32_t{summary.get<ApicSummary::Priority>()} << 16 | turn;
        if (rank >= lowest) return;
        lowest = rank;
        chosen = &apic;
    });
    if (chosen != nullptr) chosen->accept(interrupt);
}

void ApicBus::send_msi(const MsiMessage& message) {
    if (bits(message.address, 63, 20) != 0xFEE) return;
    const bool logical = has_bit(message.address, 2);
    const bool redirect = has_bit(message.address, 3);
    const auto mode = static_cast<DeliveryMode>(bits(message.data, 10, 8));
    const auto trigger = static_cast<TriggerMode>(bits(message.data, 15, 15));
    // The end of a level is no interrupt.
    if (trigger == TriggerMode::level && !has_bit(message.data, 14)) return;
    if (mode == DeliveryMode::start_up || mode == DeliveryMode::reserved) return;
    const auto low = static_cast<uint32_t>(bits(message.address, 19, 12));
    const auto high = static_cast<uint32_t>(bits(message.address, 11, 5));
    const bool lowest_priority = mode == DeliveryMode::lowest_priority ||
                                 (mode == DeliveryMode::fixed && redirect && logical);
    send({.mode = mode,
          .vector = static_cast<uint8_t>(bits(message.data, 7, 0)),
          .trigger = trigger},
         {.kind = logical ? Kind::logical : Kind::physical,
          .id = high << 8 | low,
          .lowest_priority = lowest_priority});
}

void ApicBus::broadcast_eoi(uint8_t vector) {
    for (EoiListener* io_apic : io_apics_)
        io_apic->end_of_interrupt(vector);
}

}  // namespace banyan
