// ApicBus: carries interrupt messages (MSIs, IPIs) to local APICs, and ends of interrupts to
// IO-APICs. "Intel SDM" in the APIC files is volume 3, chapter 11 (10 in older editions).
//
// Threads: APICs and listeners are added while the board is built; sending is for any thread and
// takes no lock of its own. A sender must not hold a local APIC's lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "vm/irq.hpp"

namespace banyan {

class LocalApic;

// As encoded in the ICR, LVT entries, redirection table entries and MSI data.
enum class DeliveryMode : uint8_t {
    fixed = 0,
    lowest_priority = 1,
    smi = 2,
    reserved = 3,
    nmi = 4,
    init = 5,
    start_up = 6,
    ext_int = 7,
};

enum class TriggerMode : uint8_t { edge = 0, level = 1 };

struct ApicInterrupt {
    DeliveryMode mode = DeliveryMode::fixed;
    uint8_t vector = 0;
    TriggerMode trigger = TriggerMode::edge;
};

struct ApicDestination {
    enum class Kind : uint8_t { physical, logical, all };
    Kind kind = Kind::physical;
    uint32_t id = 0;                    // APIC id or logical destination
    bool x2apic = false;                // a logical destination of 32 bits instead of 8
    bool lowest_priority = false;       // one of the addressed APICs takes it
    const LocalApic* except = nullptr;  // not this one
};

class ApicBus final : public MsiSink {
public:
    // APIC ids are below this: what a 15-bit MSI destination can address is more than enough.
    static constexpr unsigned kMaxApics = 4096;

    // Local APICs come and go by their constructor and destructor.
    void add(LocalApic& apic);
    void remove(const LocalApic& apic);
    void add(EoiListener& io_apic) { io_apics_.push_back(&io_apic); }

    // Decodes address and data (Intel SDM 11.11). Destination ids have 15 bits: bits 11..5 of the
    // address are bits 14..8 of the id, as KVM_FEATURE_MSI_EXT_DEST_ID defines it.
    void send_msi(const MsiMessage& message) override;

    void send(const ApicInterrupt& interrupt, const ApicDestination& destination);
    void broadcast_eoi(uint8_t vector);

private:
    template <class Function>
    void for_each_match(const ApicDestination& destination, Function function) const;
    void send_lowest_priority(const ApicInterrupt& interrupt, const ApicDestination& destination);
    LocalApic* find(uint64_t id) const { return id < by_id_.size() ? by_id_[id] : nullptr; }

    // wiring
    std::vector<LocalApic*> by_id_;  // null where there is none
    std::vector<EoiListener*> io_apics_;

    // bookkeeping
    std::atomic<uint32_t> rotation_{0};  // where the search among equal priorities begins
};

}  // namespace banyan
