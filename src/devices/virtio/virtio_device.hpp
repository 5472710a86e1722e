// VirtioDevice: what all virtio devices share: features, the status register, queues, configuration
// (virtio 1.2, chapters 2 and 3). The transport (virtio_pci.hpp) translates registers to these
// calls.
//
// A device implements step(): one chain of one queue. run_queue() repeats it, at most twice the
// queue's size in one go, so that no guest holds its own or another vCPU in here; what is left is
// done from VirtioTransport::run_later().
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "devices/virtio/virtio_regs.hpp"
#include "devices/virtio/virtqueue.hpp"
#include "support/result.hpp"
#include "vm/device.hpp"
#include "vm/guest_memory.hpp"

namespace banyan {

// What a device asks of its transport.
class VirtioTransport {
public:
    virtual void queue_interrupt(unsigned queue) = 0;
    virtual void config_interrupt() = 0;
    // Calls run_queue(queue) soon, but not from within this call.
    virtual void run_later(unsigned queue) = 0;

protected:
    ~VirtioTransport() = default;
};

struct VirtioIdentity {
    std::string_view name;     // of static storage
    uint16_t device_type = 0;  // virtio 1.2, chapter 5
    uint32_t pci_class = 0;
    uint64_t features = 0;  // beyond those that all devices offer
};

class VirtioDevice {
public:
    VirtioDevice(const VirtioDevice&) = delete;
    VirtioDevice& operator=(const VirtioDevice&) = delete;
    virtual ~VirtioDevice() = default;

    const VirtioIdentity& identity() const { return identity_; }
    // Once, by the transport, which adds the features of its own.
    void attach(VirtioTransport& transport, uint64_t transport_features);

    // Features; the driver's can be written until FEATURES_OK.
    uint64_t features() const { return features_; }
    uint64_t driver_features() const { return driver_features_; }
    void set_driver_features(uint64_t features);

    uint8_t status() const { return status_; }
    void write_status(uint8_t status);
    // The driver may use its queues: it said DRIVER_OK, nothing is broken, and the bus lets the
    // device at memory.
    bool live() const;

    unsigned queue_count() const { return static_cast<unsigned>(queues_.size()); }
    Virtqueue& queue(unsigned index) { return queues_[index]; }
    const Virtqueue& queue(unsigned index) const { return queues_[index]; }
    void enable_queue(unsigned index);
    // Takes a queue out of use; the others go on (2.6.1). Without effect without RING_RESET.
    bool reset_queue(unsigned index);
    void run_queue(unsigned index);
    void run_all_queues();

    // Bus mastering: while it is off, the device leaves memory alone.
    void set_dma_enabled(bool enabled);

    uint8_t config_generation() const { return config_generation_; }
    // The device-specific configuration as the driver reads it.
    virtual std::span<const std::byte> config_space() const { return {}; }
    virtual void write_config(uint32_t /*offset*/, unsigned /*size*/, uint32_t /*value*/) {}

    void reset();
    // Returns when no request is in flight.
    virtual void drain() {}
    // Preconditions: drained.
    void save(StateWriter& writer) const;
    // Into a device after reset(). On an error the caller resets it again.
    Result<void> restore(StateReader& reader);

protected:
    enum class Step : uint8_t {
        done,     // one chain was consumed
        empty,    // nothing is available
        stalled,  // the device will call run_queue() when it can go on
        broken,   // the driver has broken a rule
    };

    VirtioDevice(GuestMemory& memory, const VirtioIdentity& identity,
                 std::span<const uint16_t> queue_sizes);

    virtual Step step(unsigned queue) = 0;
    virtual void on_reset() {}
    // What the device knows of this queue beside its rings is to be forgotten. Drained.
    virtual void on_queue_reset(unsigned /*queue*/) {}
    virtual void save_device(StateWriter&) const {}
    virtual Result<void> restore_device(StateReader&) { return {}; }

    GuestMemory& memory() const { return memory_; }
    // For completions: whether run_queue() is on, which then looks for interrupts itself.
    bool running() const { return running_; }
    bool running_on(unsigned queue) const { return running_ && running_queue_ == queue; }
    void send_interrupt(unsigned queue);
    // Calls run_queue(queue) soon, but not from within this call.
    void continue_later(unsigned queue) { transport_->run_later(queue); }
    void config_changed();
    void set_needs_reset(const char* reason);

private:
    bool features_acceptable(uint64_t features) const;
    bool run_bounded(unsigned index);

    // configuration
    VirtioIdentity identity_;
    uint64_t features_;
    // wiring
    GuestMemory& memory_;
    VirtioTransport* transport_ = nullptr;
    // bookkeeping
    bool running_ = false;
    unsigned running_queue_ = 0;
    bool dma_enabled_ = false;
    // sub-devices
    std::vector<Virtqueue> queues_;
    // guest-visible state
    uint64_t driver_features_ = 0;
    uint8_t status_ = 0;
    uint8_t config_generation_ = 0;
};

}  // namespace banyan
