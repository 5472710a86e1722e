// FwCfg: how firmware and kernels ask the machine for its configuration (QEMU manual, "QEMU
// Firmware Configuration (fw_cfg) Device"): numbered items and named files, read byte by byte or by
// DMA. The guest cannot write items.
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

// Makes the bytes of an item that depends on how the guest has set up the machine. Called with the
// device's lock held, when the guest selects the item.
class FwCfgSource {
public:
    // All of `bytes` is to be written; they hold what they held before.
    virtual void refresh(std::span<std::byte> bytes) = 0;

protected:
    ~FwCfgSource() = default;
};

class FwCfg final : public Device, public PortIo {
public:
    static constexpr uint16_t kSelectorPort = 0x510;
    static constexpr uint16_t kDataPort = 0x511;
    static constexpr uint16_t kDmaPort = 0x514;
    static constexpr uint16_t kFirstFileKey = 0x20;
    static constexpr size_t kMaxFiles = 1024;
    static constexpr size_t kMaxFileName = 55;

    struct Wiring {
        GuestMemory& memory;
    };
    explicit FwCfg(const Wiring& wiring);

    // Before the guest runs. Keys below 0x20, or 0x8000 to 0x801F (of the architecture), that the
    // device does not use itself (0x00, 0x01, 0x19), each once.
    Result<void> add_item(uint16_t key, std::vector<std::byte> bytes);
    // The file gets the next key from 0x20 on. Names ("etc/e820", "opt/org.example/x") are unique.
    // `source`, which may be null, outlives this.
    Result<void> add_file(std::string_view name, std::vector<std::byte> bytes,
                          FwCfgSource* source = nullptr);

    std::string_view name() const override { return "fw_cfg"; }
    void reset() override { state_ = {}; }
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
        FwCfgSource* source = nullptr;
    };
    struct State {
        uint16_t key = 0;
        uint32_t offset = 0;  // of the byte that is read next; stops at the largest number
        uint32_t dma_address_high = 0;
    };

    const Item* find(uint16_t key) const;
    Result<void> insert(uint16_t key, std::vector<std::byte> bytes, FwCfgSource* source);
    void list_file(std::string_view name, uint16_t key, size_t size);

    void select(uint16_t key);
    std::span<const std::byte> unread() const;
    void skip(uint32_t count);
    uint8_t read_byte();
    bool read_to_memory(Gpa to, uint32_t length);
    void run_dma(Gpa descriptor);

    // configuration
    std::vector<Item> items_;  // sorted by key
    uint16_t next_file_key_ = kFirstFileKey;

    // wiring
    GuestMemory& memory_;

    // guest-visible state
    State state_;
};

}  // namespace banyan
