// The two chips on the board: ports, cascade and the acknowledge cycle.
#include "devices/chipset/pic8259.hpp"
#include "devices/chipset/pic8259_state.hpp"
#include "snapshot/state.hpp"

namespace banyan {

namespace {

constexpr uint16_t kMasterCommand = 0x20;
constexpr uint16_t kMasterData = 0x21;
constexpr uint16_t kSlaveCommand = 0xA0;
constexpr uint16_t kSlaveData = 0xA1;
constexpr uint16_t kElcr1 = 0x4D0;
constexpr uint16_t kElcr2 = 0x4D1;

constexpr std::array<PortRange, 3> kPicPorts{
    {{kMasterCommand, 2}, {kSlaveCommand, 2}, {kElcr1, 2}}};

}  // namespace

std::span<const PortRange> Pic8259Pair::port_ranges() const {
    return kPicPorts;
}

void Pic8259Pair::reset() {
    const MutexLock lock(mutex_);
    reset_locked();
}

void Pic8259Pair::reset_locked() {
    master_.reset();
    slave_.reset();
    update();
    intr_seen_ = false;
}

IoStatus Pic8259Pair::port_read(uint16_t port, unsigned size, uint32_t& value) {
    if (size != 1) return IoStatus::bad_size;
    const MutexLock lock(mutex_);
    switch (port) {
        case kMasterCommand: value = master_.read_command(); break;
        case kMasterData: value = master_.read_data(); break;
        case kSlaveCommand: value = slave_.read_command(); break;
        case kSlaveData: value = slave_.read_data(); break;
        case kElcr1: value = master_.elcr(); break;
        case kElcr2: value = slave_.elcr(); break;
        default: return IoStatus::no_register;
    }
    update();  // a poll takes a request
    return IoStatus::ok;
}

IoStatus Pic8259Pair::port_write(uint16_t port, unsigned size, uint32_t value) {
    if (size != 1) return IoStatus::bad_size;
    const auto byte = static_cast<uint8_t>(value);
    const MutexLock lock(mutex_);
    switch (port) {
        case kMasterCommand: master_.write_command(byte); break;
        case kMasterData: master_.write_data(byte); break;
        case kSlaveCommand: slave_.write_command(byte); break;
        case kSlaveData: slave_.write_data(byte); break;
        case kElcr1: master_.write_elcr(byte); break;
        case kElcr2: slave_.write_elcr(byte); break;
        default: return IoStatus::no_register;
    }
    update();
    return IoStatus::ok;
}

void Pic8259Pair::set_irq(unsigned input, bool asserted) {
    constexpr unsigned kPairInputs = 2 * Pic8259::kInputs;
    if (input >= kPairInputs || input == Pic8259::kCascadeInput) return;
    const MutexLock lock(mutex_);
    if (input < Pic8259::kInputs) {
        master_.set_input(input, asserted);
    } else {
        slave_.set_input(input - Pic8259::kInputs, asserted);
    }
    update();
}

// The INT outputs follow the state: the slave's into input 2 of the master, the master's to the
// CPU.
void Pic8259Pair::update() {
    master_.set_input(Pic8259::kCascadeInput, slave_.output());
    const bool level = master_.output();
    intr_seen_ |= level;
    if (intr_level_.exchange(level, std::memory_order_acq_rel) != level) intr_.set(level);
}

// Data sheet, "Interrupt sequence" and "Cascade mode": the master freezes its decision; when that
// is its slave, the slave gives the vector. A chip that finds no request any more answers for its
// input 7 and sets no in-service bit.
std::optional<uint8_t> Pic8259Pair::acknowledge() {
    const MutexLock lock(mutex_);
    if (!intr_seen_) return std::nullopt;
    intr_seen_ = false;
    const unsigned input = master_.acknowledge().value_or(Pic8259::kSpuriousInput);
    uint8_t vector = master_.vector(input);
    if (master_.cascaded(input)) {
        vector = slave_.vector(slave_.acknowledge().value_or(Pic8259::kSpuriousInput));
        // The slave drops INT at the end of the cycle, so that a further request of it is a new
        // edge.
        master_.set_input(Pic8259::kCascadeInput, false);
    }
    update();
    return vector;
}

void Pic8259Pair::save(StateWriter& writer) const {
    const MutexLock lock(mutex_);
    Pic8259PairStateV1 saved;
    master_.save(saved.chips[0]);
    slave_.save(saved.chips[1]);
    saved.intr_seen = intr_seen_;
    writer.section(saved);
}

Result<void> Pic8259Pair::restore(StateReader& reader) {
    const MutexLock lock(mutex_);
    auto result = apply(reader);
    if (!result) reset_locked();
    return result;
}

Result<void> Pic8259Pair::apply(StateReader& reader) {
    TRY_ASSIGN(saved, reader.section<Pic8259PairStateV1>());
    if (!master_.restore(saved.chips[0]) || !slave_.restore(saved.chips[1])) {
        return fail(ErrorCode::invalid_data,
                    "load saved state: a register of 'pic8259' is impossible");
    }
    intr_seen_ = saved.intr_seen;
    update();
    return {};
}

}  // namespace banyan
