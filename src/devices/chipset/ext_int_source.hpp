// ExtIntSource: the interrupt acknowledge cycle of the 8259 pair, as a local APIC runs it for an
// interrupt in delivery mode ExtINT.
#pragma once

#include <cstdint>
#include <optional>

namespace banyan {

// Called without any lock of a local APIC held.
class ExtIntSource {
public:
    // The level of INTR. From any thread.
    virtual bool pending() const = 0;
    // The vector, or nothing when INTR was not raised since the last acknowledge.
    virtual std::optional<uint8_t> acknowledge() = 0;

protected:
    ~ExtIntSource() = default;
};

}  // namespace banyan
