// FwCfg: how firmware and kernels ask the machine for its configuration (QEMU's documented
// interface, docs/specs/fw_cfg in its manual): numbered items and named files, read byte by byte or
// by DMA. Read only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "support/result.hpp"
#include "vm/device.hpp"
#include "vm/guest_memory.hpp"

namespace banyan {

class FwCfg final : public Device, public PortIo {
public:
    static constexpr uint16_t kSelectorPort = 0x510;
    static constexpr uint16_t kDataPort = 0x511;
    static constexpr uint16_t kDmaPort = 0x514;

    struct Wiring {
        GuestMemory& memory;
    };
    explicit FwCfg(const Wiring& wiring);

    // Before the guest runs. Keys 0x00, 0x01 and 0x19 are the device's own, from 0x20 on those of
    // files.
    Result<void> add_item(uint16_t key, std::vector<std::byte> bytes);
    // Gives the file the next key from 0x20 on. A name is 1..55 characters and unique ("etc/e820",
    // "opt/org.example/x").
    Result<void> add_file(std::string_view name, std::vector<std::byte> bytes);

    std::string_view name() const override { return "fw_cfg"; }
    void reset() override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

    PortIo* pio() override { return this; }
    std::span<const PortRange> port_ranges() const override;
    IoStatus port_read(uint16_t port, unsigned size, uint32_t& value) override;
    IoStatus port_write(uint16_t port, unsigned size, uint32_t value) override;

private:
    struct Item {
        uint16_t key = 0;
        std::vector<std::byte> bytes;
    };
    struct State {
        uint16_t key = 0;
        uint32_t offset = 0;
        uint32_t dma_address_high = 0;
    };

    const Item* find(uint16_t key) const;
    std::span<const std::byte> unread() const;
    void advance(uint32_t count);
    uint8_t read_data();
    void select(uint16_t key);
    void run_dma(Gpa descriptor);
    bool transfer(Gpa to, uint32_t length);
    void rebuild_directory();

    // configuration
    std::vector<Item> items_;
    struct File {
        char name[56] = {};
        uint16_t key = 0;
        uint32_t size = 0;
    };
    std::vector<File> files_;

    // wiring
    GuestMemory& memory_;

    // guest-visible state
    State state_;
};

}  // namespace banyan
