#include "machine/irq_router.hpp"

#include <algorithm>

#include "machine/irq_router_state.hpp"
#include "snapshot/state.hpp"
#include "support/assert.hpp"

namespace banyan {

IrqRouter::Output IrqRouter::add_output(IrqLine line) {
    MutexLock lock(mutex_);
    wires_.push_back({line, 0});
    return static_cast<Output>(wires_.size() - 1);
}

IrqLine IrqRouter::add_source(std::span<const Output> outputs) {
    MutexLock lock(mutex_);
    for (const Output output : outputs)
        BANYAN_ASSERT(output < wires_.size());
    sources_.push_back({{outputs.begin(), outputs.end()}, false});
    return {*this, static_cast<unsigned>(sources_.size() - 1)};
}

void IrqRouter::set_irq(unsigned source, bool asserted) {
    MutexLock lock(mutex_);
    set_level(sources_[source], asserted);
}

void IrqRouter::set_level(Source& source, bool asserted) {
    if (source.asserted == asserted) return;
    source.asserted = asserted;
    for (const Output output : source.outputs) {
        Wire& wire = wires_[output];
        const bool was = wire.asserted_sources != 0;
        wire.asserted_sources += asserted ? 1U : ~0U;
        const bool is = wire.asserted_sources != 0;
        if (was != is) wire.line.set(is);
    }
}

void IrqRouter::reroute(IrqLine line, std::span<const Output> outputs) {
    MutexLock lock(mutex_);
    Source& source = sources_[line.input()];
    if (std::equal(outputs.begin(), outputs.end(), source.outputs.begin(), source.outputs.end()))
        return;
    const bool asserted = source.asserted;
    set_level(source, false);
    source.outputs.assign(outputs.begin(), outputs.end());
    set_level(source, asserted);
}

void IrqRouter::reset() {
    MutexLock lock(mutex_);
    for (Source& source : sources_)
        set_level(source, false);
}

void IrqRouter::save(StateWriter& writer) const {
    MutexLock lock(mutex_);
    IrqRouterStateV1 state;
    for (const Source& source : sources_)
        state.asserted.push_back(source.asserted ? 1 : 0);
    writer.section(state);
}

Result<void> IrqRouter::restore(StateReader& reader) {
    reset();
    TRY_ASSIGN(state, reader.section<IrqRouterStateV1>());
    MutexLock lock(mutex_);
    const bool valid =
        state.asserted.size() == sources_.size() &&
        std::all_of(state.asserted.begin(), state.asserted.end(), [](uint8_t a) { return a <= 1; });
    if (!valid) {
        return fail(ErrorCode::invalid_data,
                    "load saved state: section 'irq_router' is of another board; use the "
                    "configuration it was saved with");
    }
    for (size_t i = 0; i < sources_.size(); ++i) {
        sources_[i].asserted = state.asserted[i] == 1;
        for (const Output output : sources_[i].outputs)
            wires_[output].asserted_sources += state.asserted[i];
    }
    return {};
}

}  // namespace banyan
