#include "devices/chipset/dma8237.hpp"

#include <algorithm>

#include "devices/chipset/dma8237_regs.hpp"
#include "devices/chipset/dma8237_state.hpp"
#include "support/bits.hpp"

namespace banyan {

using namespace dma;

// "Read status": the requests above the terminal counts, which a read takes back.
uint8_t Dma8237::read(unsigned index) {
    if (index < COMMAND) {
        const Channel& channel = state_.channels[index / 2];
        const uint16_t word = index % 2 == 0 ? channel.address : channel.count;
        return static_cast<uint8_t>(flip() ? word >> 8 : word);
    }
    switch (index) {
        case COMMAND: {
            const auto status = static_cast<uint8_t>(state_.request << 4 | state_.reached);
            state_.reached = 0;
            return status;
        }
        case ALL_MASK: return static_cast<uint8_t>(0xF0U | state_.mask);
        default: return 0;
    }
}

void Dma8237::write(unsigned index, uint8_t value) {
    if (index < COMMAND) return write_word(index, value);
    switch (index) {
        case COMMAND: state_.command = value; return;
        case REQUEST: return set_bit(state_.request, value);
        case SINGLE_MASK: return set_bit(state_.mask, value);
        case MODE: state_.channels[value & kChannel].mode = value & mode::kMask; return;
        case CLEAR_FLIP_FLOP: state_.high_byte = false; return;
        // "Master clear: this software instruction has the same effect as the hardware reset": of
        // the control registers. Addresses, counts and modes are as they were.
        case MASTER_CLEAR:
            state_.command = 0;
            state_.request = 0;
            state_.reached = 0;
            state_.high_byte = false;
            state_.mask = 0x0F;
            return;
        case CLEAR_MASK: state_.mask = 0; return;
        case ALL_MASK: state_.mask = value & 0x0F; return;
        default: return;
    }
}

bool Dma8237::flip() {
    state_.high_byte = !state_.high_byte;
    return !state_.high_byte;
}

// Base and current registers are written together, a byte at a time.
void Dma8237::write_word(unsigned index, uint8_t value) {
    Channel& channel = state_.channels[index / 2];
    uint16_t& base = index % 2 == 0 ? channel.base_address : channel.base_count;
    uint16_t& current = index % 2 == 0 ? channel.address : channel.count;
    const unsigned shift = flip() ? 8 : 0;
    base = static_cast<uint16_t>((base & ~(0xFFU << shift)) | unsigned{value} << shift);
    current = static_cast<uint16_t>((current & ~(0xFFU << shift)) | unsigned{value} << shift);
}

void Dma8237::set_bit(uint8_t& bits, uint8_t value) {
    const uint8_t channel = bit<uint8_t>(value & kChannel);
    bits = static_cast<uint8_t>((value & kSet) != 0 ? bits | channel : bits & ~channel);
}

bool Dma8237::open(unsigned channel) const {
    return (state_.command & command::kDisable) == 0 && !has_bit(state_.mask, channel);
}

bool Dma8237::cascades(unsigned channel) const {
    return open(channel) && (state_.channels[channel].mode & mode::kKind) == mode::kCascade;
}

// Demand, single and block mode differ in when the bus is given back, which nobody sees here.
Dma8237::Run Dma8237::next(unsigned number, uint32_t units) const {
    const Channel& channel = state_.channels[number];
    if (!open(number) || (channel.mode & mode::kKind) == mode::kCascade) return {};
    Run run{.kind = Run::Kind::verify, .address = channel.address};
    if ((channel.mode & mode::kTransfer) == mode::kToMemory) run.kind = Run::Kind::to_memory;
    if ((channel.mode & mode::kTransfer) == mode::kFromMemory) run.kind = Run::Kind::from_memory;
    run.down = (channel.mode & mode::kDecrement) != 0;
    const uint32_t to_wrap = run.down ? channel.address + 1U : 0x10000U - channel.address;
    run.units = std::min({units, channel.count + 1U, to_wrap});
    return run;
}

// "Current word register": the count goes one further than zero, to FFFFh, which is the terminal
// count. "Autoinitialize": then base registers are loaded again; else the channel is masked.
bool Dma8237::advance(unsigned number, uint32_t units) {
    Channel& channel = state_.channels[number];
    const bool down = (channel.mode & mode::kDecrement) != 0;
    channel.address =
        static_cast<uint16_t>(down ? channel.address - units : channel.address + units);
    const bool reached = units > channel.count;
    channel.count = static_cast<uint16_t>(channel.count - units);
    if (!reached) return false;
    state_.reached |= bit<uint8_t>(number);
    state_.request &= static_cast<uint8_t>(~bit(number));
    if ((channel.mode & mode::kAutoInitialize) != 0) {
        channel.address = channel.base_address;
        channel.count = channel.base_count;
    } else {
        state_.mask |= bit<uint8_t>(number);
    }
    return true;
}

void Dma8237::save(Dma8237StateV1& saved) const {
    for (unsigned i = 0; i < kChannels; ++i) {
        const Channel& channel = state_.channels[i];
        saved.channels[i] = {channel.base_address, channel.base_count, channel.address,
                             channel.count, channel.mode};
    }
    saved.command = state_.command;
    saved.mask = state_.mask;
    saved.request = state_.request;
    saved.reached = state_.reached;
    saved.high_byte = state_.high_byte;
}

bool Dma8237::restore(const Dma8237StateV1& saved) {
    if (saved.mask > 0x0F || saved.request > 0x0F || saved.reached > 0x0F) return false;
    for (unsigned i = 0; i < kChannels; ++i) {
        const DmaChannelStateV1& channel = saved.channels[i];
        if ((channel.mode & ~mode::kMask) != 0) return false;
        state_.channels[i] = {channel.base_address, channel.base_count, channel.address,
                              channel.count, channel.mode};
    }
    state_.command = saved.command;
    state_.mask = saved.mask;
    state_.request = saved.request;
    state_.reached = saved.reached;
    state_.high_byte = saved.high_byte;
    return true;
}

}  // namespace banyan
