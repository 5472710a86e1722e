// Stands in for an engine that has local APICs of its own: holds registers, records what it is
// told.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "vm/engine_apics.hpp"

namespace banyan {

class FakeEngineApics final : public EngineApics {
public:
    explicit FakeEngineApics(unsigned count) : registers(count) {}

    void connect(EoiListener& eoi_listener) override { listener = &eoi_listener; }
    Result<ApicRegisters> get_apic(unsigned index) const override { return registers.at(index); }
    Result<void> set_apic(unsigned index, const ApicRegisters& set) override {
        if (std::exchange(refuse_next, false))
            return fail(ErrorCode::invalid_data, "set a local APIC: refused; a test");
        registers.at(index) = set;
        return {};
    }
    void send_msi(const MsiMessage& message) override { messages.push_back(message); }
    void set_level_route(unsigned input, const std::optional<MsiMessage>& message) override {
        if (message) {
            routes[input] = *message;
        } else {
            routes.erase(input);
        }
    }

    std::vector<ApicRegisters> registers;
    std::vector<MsiMessage> messages;
    std::map<unsigned, MsiMessage> routes;
    EoiListener* listener = nullptr;
    bool refuse_next = false;
};

}  // namespace banyan
