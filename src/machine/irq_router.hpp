// IrqRouter: the traces between chips and interrupt controllers. A source (one chip's wire) leads
// to one or more outputs (controller inputs); an output is asserted while any of its sources is. So
// an ISA interrupt reaches the 8259s and the IO-APIC, and chips can share a wire.
//
// Threads: built before the machine runs; then sources change from any thread. The lock is held
// while outputs are set (docs/locking.md), so that a controller sees levels in their order.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "support/mutex.hpp"
#include "vm/device.hpp"
#include "vm/irq.hpp"

namespace banyan {

class IrqRouter final : public Device, private IrqSink {
public:
    using Output = unsigned;

    // Both while the board is built.
    Output add_output(IrqLine line);
    IrqLine add_source(std::span<const Output> outputs);
    IrqLine add_source(std::initializer_list<Output> outputs) {
        return add_source(std::span(outputs.begin(), outputs.size()));
    }

    // The source leads to these from now on. From any thread.
    void reroute(IrqLine source, std::span<const Output> outputs);

    std::string_view name() const override { return "irq_router"; }
    // Chips are reset before, and have let go of their wires; the controllers after.
    void reset() override;
    void save(StateWriter& writer) const override;
    // Does not set the outputs: the controllers restore what they see at their inputs.
    Result<void> restore(StateReader& reader) override;

private:
    struct Source {
        std::vector<Output> outputs;
        bool asserted = false;
    };
    struct Wire {
        IrqLine line;
        unsigned asserted_sources = 0;
    };

    void set_irq(unsigned source, bool asserted) override;
    void set_level(Source& source, bool asserted) REQUIRES(mutex_);

    mutable Mutex mutex_;
    std::vector<Source> sources_ GUARDED_BY(mutex_);
    std::vector<Wire> wires_ GUARDED_BY(mutex_);
};

}  // namespace banyan
