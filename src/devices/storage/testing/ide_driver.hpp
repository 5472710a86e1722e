// A driver of the IDE function, for tests: the legacy ports of the primary channel, and the bus
// master's by BAR 4.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "devices/storage/ide.hpp"
#include "devices/storage/testing/ahci_driver.hpp"

namespace banyan {

class IdeDriver {
public:
    static constexpr uint16_t kBusMaster = 0xc000;
    static constexpr Gpa kTable{0x1000};
    static constexpr Gpa kData{0x10000};

    struct Registers {
        uint8_t command = 0;
        uint64_t lba = 0;
        uint16_t count = 0;
        uint16_t features = 0;
        uint8_t device = 0x40;
    };

    IdeDriver(StorageBench& bench, Ide& ide) : bench_(bench), ide_(ide) { place(); }

    void place() {
        ide_.set_bar_address(4, kBusMaster);
        ide_.config_write(4, 2, 5);
    }
    uint32_t in(uint16_t port, unsigned size = 1) {
        uint32_t value = ~0U;
        if (ide_.pio()->port_read(port, size, value) != IoStatus::ok) value = ~0U;
        return value & static_cast<uint32_t>(size_mask(size));
    }
    void out(uint16_t port, uint32_t value, unsigned size = 1) {
        (void)ide_.pio()->port_write(port, size, value);
    }
    uint32_t bus_master_in(unsigned reg, unsigned size = 1) {
        uint32_t value = ~0U;
        if (PortIo* ports = bus_master())
            (void)ports->port_read(static_cast<uint16_t>(reg), size, value);
        return value;
    }
    void bus_master_out(unsigned reg, uint32_t value, unsigned size = 1) {
        if (PortIo* ports = bus_master())
            (void)ports->port_write(static_cast<uint16_t>(reg), size, value);
    }

    uint8_t status() { return static_cast<uint8_t>(in(0x1f7)); }
    uint8_t alternate_status() { return static_cast<uint8_t>(in(0x3f6)); }
    // High bytes first, as LBA48 has it (ATA/ATAPI-6, 7.8).
    void command(const Registers& r) {
        out(0x1f6, r.device);
        out(0x1f1, r.features >> 8);
        out(0x1f1, r.features & 0xff);
        out(0x1f2, r.count >> 8);
        out(0x1f2, r.count & 0xff);
        for (unsigned i = 0; i < 3; ++i) {
            const auto port = static_cast<uint16_t>(0x1f3 + i);
            out(port, static_cast<uint8_t>(r.lba >> (8 * i + 24)));
            out(port, static_cast<uint8_t>(r.lba >> (8 * i)));
        }
        out(0x1f7, r.command);
    }
    std::string read_data(size_t length) {
        std::string data;
        for (size_t i = 0; i < length; i += 2) {
            const uint32_t word = in(0x1f0, 2);
            data.push_back(static_cast<char>(word));
            data.push_back(static_cast<char>(word >> 8));
        }
        return data;
    }
    void write_data(std::string_view data) {
        for (size_t i = 0; i < data.size(); i += 4) {
            uint32_t word = 0;
            std::memcpy(&word, data.data() + i, 4);
            out(0x1f0, word, 4);
        }
    }
    // PACKET and its twelve bytes, to the slave.
    void packet(std::string_view bytes, uint16_t limit, uint8_t features = 0) {
        command(
            {.command = 0xa0, .lba = uint64_t{limit} << 8, .features = features, .device = 0x10});
        std::string block(bytes);
        block.resize(12, '\0');
        write_data(block);
    }
    // Bus Master IDE Controller 1.0, 3.1: one region at kData.
    void start_bus_master(uint32_t length, bool to_memory) {
        const std::array<uint32_t, 2> entry{static_cast<uint32_t>(kData.value),
                                            0x8000'0000U | (length & 0xffff)};
        BANYAN_ASSERT(bench_.ram.memory().write_object(kTable, entry));
        bus_master_out(4, static_cast<uint32_t>(kTable.value), 4);
        bus_master_out(2, 0x66);
        bus_master_out(0, to_memory ? 9 : 1);
    }

private:
    PortIo* bus_master() {
        const auto* range = bench_.mapper.find(ide_, 4);
        return range == nullptr ? nullptr : range->port_handler;
    }

    StorageBench& bench_;
    Ide& ide_;
};

}  // namespace banyan
