#include "devices/storage/ide.hpp"

#include "snapshot/state.hpp"

namespace banyan {

namespace {

// Programming interface 80h: a bus master, with both channels at their legacy ports for good.
constexpr PciIdentity kIdeIdentity{.vendor = 0x8086,
                                   .device = 0x7010,
                                   .subsystem_vendor = 0x8086,
                                   .subsystem = 0x7010,
                                   .class_code = 0x010180,
                                   .revision = 0,
                                   .interrupt_pin = 0};

struct LegacyPorts {
    uint16_t command;
    uint16_t control;
};
constexpr std::array<LegacyPorts, Ide::kChannels> kLegacyPorts{{{0x1f0, 0x3f6}, {0x170, 0x376}}};
constexpr std::array<PortRange, 4> kLegacyRanges{
    {{0x1f0, ide::kCommandPorts}, {0x3f6, 1}, {0x170, ide::kCommandPorts}, {0x376, 1}}};

bool is_command(unsigned channel, uint16_t port) {
    const uint16_t first = kLegacyPorts[channel].command;
    return port >= first && port < first + ide::kCommandPorts;
}

}  // namespace

Ide::Ide(const IdeWiring& wiring) : PciFunction(kIdeIdentity, {wiring.mapper, {}}) {
    channels_[0] = std::make_unique<IdeChannel>(wiring.memory, wiring.primary);
    channels_[1] = std::make_unique<IdeChannel>(wiring.memory, wiring.secondary);
    declare_io_bar(kBusMasterBar, kBusMasterPorts, bus_master_);
    // Firmware switches the channels on; a kernel that is started without one finds them so.
    for (unsigned channel = 0; channel < kChannels; ++channel) {
        declare_register(static_cast<uint16_t>(ide::kTiming + 2 * channel), ide::kTimingDecode, 2,
                         0xffff);
    }
    declare_register(ide::kSlaveTiming, 0, 1, 0xff);
}

void Ide::attach(unsigned place, std::unique_ptr<AtaDevice> device) {
    channels_[place / 2]->attach(place % 2, std::move(device));
}

void Ide::drain() const {
    for (const auto& channel : channels_)
        channel->drain();
}

void Ide::reset() {
    drain();
    reset_config();
    for (const auto& channel : channels_) {
        channel->set_dma_enabled(false);
        channel->power_on();
    }
}

std::span<const PortRange> Ide::port_ranges() const {
    return kLegacyRanges;
}

// 82371SB, 2.2.3 and 2.5.9: I/O space has to be enabled, and the channel.
bool Ide::decodes(unsigned channel) const {
    const pci::Command command{config_value<uint16_t>(static_cast<uint16_t>(pci::Reg16::command))};
    const auto timing = config_value<uint16_t>(static_cast<uint16_t>(ide::kTiming + 2 * channel));
    return command.get<pci::Command::IoSpace>() && (timing & ide::kTimingDecode) != 0;
}

IoStatus Ide::port_read(uint16_t port, unsigned size, uint32_t& value) {
    for (unsigned i = 0; i < kChannels; ++i) {
        if (!decodes(i)) continue;
        if (is_command(i, port))
            return channels_[i]->read_command_block(port - kLegacyPorts[i].command, size, value);
        if (port != kLegacyPorts[i].control) continue;
        if (size != 1) return IoStatus::bad_size;
        value = channels_[i]->read_alternate_status();
        return IoStatus::ok;
    }
    return IoStatus::no_register;
}

IoStatus Ide::port_write(uint16_t port, unsigned size, uint32_t value) {
    for (unsigned i = 0; i < kChannels; ++i) {
        if (!decodes(i)) continue;
        if (is_command(i, port))
            return channels_[i]->write_command_block(port - kLegacyPorts[i].command, size, value);
        if (port != kLegacyPorts[i].control) continue;
        if (size != 1) return IoStatus::bad_size;
        channels_[i]->write_control(static_cast<uint8_t>(value));
        return IoStatus::ok;
    }
    return IoStatus::no_register;
}

IoStatus Ide::BusMasterPorts::port_read(uint16_t port, unsigned size, uint32_t& value) {
    return ide_.channels_[port / 8]->read_bus_master(port % 8, size, value);
}

IoStatus Ide::BusMasterPorts::port_write(uint16_t port, unsigned size, uint32_t value) {
    return ide_.channels_[port / 8]->write_bus_master(port % 8, size, value);
}

void Ide::on_config_written(uint16_t, unsigned) {
    for (const auto& channel : channels_)
        channel->set_dma_enabled(bus_master_enabled());
}

void Ide::save(StateWriter& writer) const {
    drain();
    save_config(writer);
    IdeStateV1 state;
    for (size_t i = 0; i < channels_.size(); ++i)
        state.channels[i] = channels_[i]->state();
    writer.section(state);
}

Result<void> Ide::restore(StateReader& reader) {
    reset();
    auto result = restore_all(reader);
    if (!result) reset();
    return result;
}

Result<void> Ide::restore_all(StateReader& reader) {
    TRY_ASSIGN(state, reader.section<IdeStateV1>());
    for (size_t i = 0; i < channels_.size(); ++i) {
        if (!channels_[i]->restore(state.channels[i])) {
            return fail(ErrorCode::invalid_data,
                        "load saved state: IDE: a channel is impossible, or has other devices");
        }
    }
    TRY(restore_config(reader));
    for (const auto& channel : channels_)
        channel->set_dma_enabled(bus_master_enabled());
    return {};
}

}  // namespace banyan
