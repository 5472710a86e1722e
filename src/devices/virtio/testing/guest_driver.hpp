// A guest with one virtio PCI device, for tests: finds the structures by the PCI capabilities,
// negotiates, sets up queues and MSI-X, all through configuration space and BARs as a driver does.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "devices/pci/testing/fake_bar_mapper.hpp"
#include "devices/virtio/testing/guest_queue.hpp"
#include "devices/virtio/testing/packed_guest_queue.hpp"
#include "devices/virtio/virtio_pci.hpp"
#include "support/assert.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {

// What a board gives to the device; made first, because the device under test is wired to `ram`
// too.
struct VirtioBench {
    static constexpr uint64_t kRamSize = 4U << 20;

    explicit VirtioBench(uint64_t size = kRamSize) : ram_size(size), ram(size) {}

    const uint64_t ram_size;
    FakeRam ram;
    FakeClock clock;
    FakeTimerService timers{clock};
    FakeBarMapper mapper;
    RecordingMsi msi;
    RecordingIrq irq;

    VirtioPciWiring wiring() { return {mapper, msi, clock, timers, irq.line()}; }
};

class GuestDriver {
public:
    static constexpr uint64_t kRegistersBase = 0xc000'0000;
    static constexpr uint64_t kMsixBase = 0xc001'0000;
    static constexpr uint64_t kQueuesSize =
        0x1'0000;  // at the end of RAM; tests have what is below
    static constexpr uint64_t kQueueSpacing = 0x2000;

    GuestDriver(VirtioBench& bench, VirtioPci& device) : bench_(bench), device_(device) { place(); }

    VirtioPci& device() { return device_; }
    Gpa queues_base() const { return {bench_.ram_size - kQueuesSize}; }

    // As firmware and the PCI core do: BARs, memory decoding, bus mastering.
    void place() {
        device_.set_bar_address(0, kRegistersBase);
        device_.set_bar_address(2, kMsixBase);
        device_.config_write(4, 2, 6);
        find_capabilities();
    }

    uint64_t read(virtio::Common reg, unsigned size) {
        return bench_.mapper.read(common_ + static_cast<uint64_t>(reg), size);
    }
    void write(virtio::Common reg, unsigned size, uint64_t value) {
        (void)bench_.mapper.write(common_ + static_cast<uint64_t>(reg), size, value);
    }
    uint8_t status() { return static_cast<uint8_t>(read(virtio::Common::device_status, 1)); }
    void add_status(uint8_t bits) { write(virtio::Common::device_status, 1, status() | bits); }
    void reset() { write(virtio::Common::device_status, 1, 0); }

    uint64_t offered_features() {
        write(virtio::Common::device_feature_select, 4, 0);
        const uint64_t low = read(virtio::Common::device_feature, 4);
        write(virtio::Common::device_feature_select, 4, 1);
        return low | read(virtio::Common::device_feature, 4) << 32;
    }
    // 3.1.1 "Driver Requirements: Device Initialization", up to FEATURES_OK. False when the device
    // refuses.
    bool negotiate(uint64_t features) {
        reset();
        add_status(virtio::kStatusAcknowledge);
        add_status(virtio::kStatusDriver);
        write(virtio::Common::driver_feature_select, 4, 0);
        write(virtio::Common::driver_feature, 4, features & mask(31, 0));
        write(virtio::Common::driver_feature_select, 4, 1);
        write(virtio::Common::driver_feature, 4, features >> 32);
        add_status(virtio::kStatusFeaturesOk);
        return (status() & virtio::kStatusFeaturesOk) != 0;
    }
    GuestQueue setup_queue(uint16_t index, uint16_t size) { return setup<GuestQueue>(index, size); }
    PackedGuestQueue setup_packed_queue(uint16_t index, uint16_t size) {
        return setup<PackedGuestQueue>(index, size);
    }
    // 2.6.1.2 "Driver Requirements: Virtqueue Reset".
    void reset_queue(uint16_t index) {
        write(virtio::Common::queue_select, 2, index);
        write(virtio::Common::queue_reset, 2, 1);
    }
    void driver_ok() { add_status(virtio::kStatusDriverOk); }
    void notify(uint16_t index) {
        (void)bench_.mapper.write(notify_ + index * notify_multiplier_, 2, index);
    }
    void notify_with_data(uint16_t index, uint32_t data) {
        (void)bench_.mapper.write(notify_ + index * notify_multiplier_, 4, index | data);
    }
    uint8_t read_isr() { return static_cast<uint8_t>(bench_.mapper.read(isr_, 1)); }

    // Vector n sends data kMsiData + n; the configuration has vector 0, queue q vector q + 1.
    static constexpr uint32_t kMsiData = 0x40;
    void enable_msix() {
        for (uint32_t vector = 0; vector < 4; ++vector) {
            const uint64_t entry = kMsixBase + uint64_t{16} * vector;
            (void)bench_.mapper.write(entry, 8, 0xfee00000);
            (void)bench_.mapper.write(entry + 8, 4, kMsiData + vector);
            (void)bench_.mapper.write(entry + 12, 4, 0);
        }
        device_.config_write(static_cast<uint16_t>(msix_capability_ + 2), 2, 0x8000);
        write(virtio::Common::config_msix_vector, 2, 0);
    }

    uint64_t read_config(uint64_t offset, unsigned size) {
        return bench_.mapper.read(config_ + offset, size);
    }
    void write_config(uint64_t offset, unsigned size, uint64_t value) {
        (void)bench_.mapper.write(config_ + offset, size, value);
    }

    // Guest RAM as text.
    void poke(Gpa gpa, std::string_view text) {
        BANYAN_ASSERT(bench_.ram.memory().write(gpa, std::as_bytes(std::span(text))));
    }
    std::string peek(Gpa gpa, size_t length) {
        std::string text(length, '\0');
        BANYAN_ASSERT(bench_.ram.memory().read(gpa, std::as_writable_bytes(std::span(text))));
        return text;
    }

    uint16_t pci_cfg_capability() const { return pci_cfg_; }
    uint16_t msix_capability() const { return msix_capability_; }
    bool has_config() const { return config_ != 0; }

private:
    template <class Queue>
    Queue setup(uint16_t index, uint16_t size) {
        Queue queue(bench_.ram.memory(), queues_base() + index * kQueueSpacing, size);
        write(virtio::Common::queue_select, 2, index);
        write(virtio::Common::queue_size, 2, size);
        write_address(virtio::Common::queue_desc, queue.descriptors());
        write_address(virtio::Common::queue_driver, queue.available());
        write_address(virtio::Common::queue_device, queue.used());
        write(virtio::Common::queue_msix_vector, 2, index + 1U);
        write(virtio::Common::queue_enable, 2, 1);
        return queue;
    }

    void write_address(virtio::Common reg, Gpa gpa) {
        const uint64_t at = common_ + static_cast<uint64_t>(reg);
        (void)bench_.mapper.write(at, 4, gpa.value);
        (void)bench_.mapper.write(at + 4, 4, gpa.value >> 32);
    }

    void find_capabilities() {
        for (auto at = static_cast<uint16_t>(device_.config_read(0x34, 1)); at != 0;
             at = static_cast<uint16_t>(device_.config_read(static_cast<uint16_t>(at + 1), 1))) {
            const uint32_t id = device_.config_read(at, 1);
            if (id == pci::kCapabilityMsix) msix_capability_ = at;
            if (id == pci::kCapabilityVendor) note_structure(at);
        }
    }
    void note_structure(uint16_t at) {
        const auto word = [&](unsigned i) {
            return device_.config_read(static_cast<uint16_t>(at + i), 4);
        };
        const uint64_t address = kRegistersBase + word(8);
        switch (device_.config_read(static_cast<uint16_t>(at + 3), 1)) {
            case virtio::kPciCapCommon: common_ = address; break;
            case virtio::kPciCapIsr: isr_ = address; break;
            case virtio::kPciCapDevice: config_ = address; break;
            case virtio::kPciCapPciCfg: pci_cfg_ = at; break;
            case virtio::kPciCapNotify:
                notify_ = address;
                notify_multiplier_ = word(16);
                break;
            default: break;
        }
    }

    VirtioBench& bench_;
    VirtioPci& device_;
    uint64_t common_ = 0;
    uint64_t isr_ = 0;
    uint64_t config_ = 0;
    uint64_t notify_ = 0;
    uint64_t notify_multiplier_ = 0;
    uint16_t pci_cfg_ = 0;
    uint16_t msix_capability_ = 0;
};

// The features that every driver needs, and those that the rings know.
inline constexpr uint64_t kModern = virtio::kFeatureVersion1;
inline constexpr uint64_t kModernRings =
    virtio::kFeatureVersion1 | virtio::kFeatureIndirectDesc | virtio::kFeatureEventIdx;
inline constexpr uint64_t kModernPacked = kModernRings | virtio::kFeatureRingPacked;
// What each device offers on PCI beside its own features.
inline constexpr uint64_t kOfferedByAll = kModernPacked | virtio::kFeatureNotificationData |
                                          virtio::kFeatureNotifConfigData |
                                          virtio::kFeatureRingReset;

}  // namespace banyan
