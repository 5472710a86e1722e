// EngineApic: the board's view of a local APIC that the engine has (vm/engine_apics.hpp): its
// reset, what firmware leaves in it, and its saved state, which is that of LocalApic, so that a
// machine saved with the one loads with the other.
//
// Threads: only while no vCPU runs.
#pragma once

#include <array>

#include "devices/chipset/local_apic_state.hpp"
#include "vm/clock.hpp"
#include "vm/device.hpp"
#include "vm/engine_apics.hpp"

namespace banyan {

class EngineApic final : public Device {
public:
    struct Wiring {
        unsigned index = 0;  // of the vCPU; also the APIC id
        const Clock& clock;
        EngineApics& apics;
    };
    explicit EngineApic(const Wiring& wiring);

    // As LocalApic::set_virtual_wire_mode().
    void set_virtual_wire_mode();

    std::string_view name() const override { return {name_.data(), name_length_}; }
    void reset() override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

private:
    ApicRegisters registers() const;
    void set_registers(const ApicRegisters& registers);
    ApicRegisters power_on() const;
    LocalApicStateV1 to_state(const ApicRegisters& registers) const;
    ApicRegisters from_state(const LocalApicStateV1& state) const;
    uint32_t current_count(const LocalApicStateV1& state) const;

    // configuration
    const unsigned index_;
    std::array<char, 24> name_{};
    size_t name_length_ = 0;

    // wiring
    const Clock& clock_;
    EngineApics& apics_;
};

}  // namespace banyan
