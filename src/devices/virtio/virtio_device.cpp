#include "devices/virtio/virtio_device.hpp"

#include "devices/virtio/virtio_device_state.hpp"
#include "snapshot/state.hpp"
#include "support/log.hpp"

namespace banyan {

using namespace virtio;

namespace {

// NOTIFICATION_DATA says where the driver's rings stand, which the rings say themselves: taking it
// costs nothing, and helps nothing.
constexpr uint64_t kCommonFeatures = kFeatureVersion1 | kFeatureIndirectDesc | kFeatureEventIdx |
                                     kFeatureRingPacked | kFeatureNotificationData |
                                     kFeatureRingReset;
constexpr uint8_t kDriverStatusBits =
    kStatusAcknowledge | kStatusDriver | kStatusDriverOk | kStatusFeaturesOk | kStatusFailed;

tl::unexpected<Error> bad_state(const char* text) {
    return fail(ErrorCode::invalid_data, text);
}

}  // namespace

VirtioDevice::VirtioDevice(GuestMemory& memory, const VirtioIdentity& identity,
                           std::span<const uint16_t> queue_sizes)
    : identity_(identity), features_(identity.features | kCommonFeatures), memory_(memory) {
    queues_.reserve(queue_sizes.size());
    for (const uint16_t size : queue_sizes)
        queues_.emplace_back(memory, size);
}

void VirtioDevice::attach(VirtioTransport& transport, uint64_t transport_features) {
    transport_ = &transport;
    features_ |= transport_features;
}

// iPXE accepts ACCESS_PLATFORM whether it is offered or not. Without an IOMMU it changes nothing.
void VirtioDevice::set_driver_features(uint64_t features) {
    if ((status_ & kStatusFeaturesOk) == 0) driver_features_ = features & ~kFeatureAccessPlatform;
}

// 2.2.2: a driver accepts a subset of what is offered, and must know this version.
bool VirtioDevice::features_acceptable(uint64_t features) const {
    return (features & ~features_) == 0 && (features & kFeatureVersion1) != 0;
}

// 2.1: bits are only ever added; 0 resets.
void VirtioDevice::write_status(uint8_t value) {
    if (value == 0) return reset();
    auto added = static_cast<uint8_t>(value & kDriverStatusBits & ~status_);
    if ((added & kStatusFeaturesOk) != 0 && !features_acceptable(driver_features_)) {
        added = static_cast<uint8_t>(added & ~kStatusFeaturesOk);
    }
    // 3.1.1: there is no way to DRIVER_OK but through FEATURES_OK.
    if (((status_ | added) & kStatusFeaturesOk) == 0)
        added = static_cast<uint8_t>(added & ~kStatusDriverOk);
    status_ = static_cast<uint8_t>(status_ | added);
    // The driver may have filled queues before.
    if ((added & kStatusDriverOk) != 0) run_all_queues();
}

bool VirtioDevice::live() const {
    constexpr uint8_t kDead = kStatusNeedsReset | kStatusFailed;
    return dma_enabled_ && (status_ & kStatusDriverOk) != 0 && (status_ & kDead) == 0;
}

void VirtioDevice::enable_queue(unsigned index) {
    // Before that, how the rings look is not settled (3.1.1).
    if ((status_ & kStatusFeaturesOk) == 0) return;
    if (!queues_[index].enable(driver_features_))
        return set_needs_reset("a queue is not in memory");
    run_queue(index);
}

bool VirtioDevice::reset_queue(unsigned index) {
    const bool negotiated =
        (status_ & kStatusFeaturesOk) != 0 && (driver_features_ & kFeatureRingReset) != 0;
    if (!negotiated) return false;
    drain();
    queues_[index].reset();
    on_queue_reset(index);
    return true;
}

void VirtioDevice::run_all_queues() {
    for (unsigned index = 0; index < queue_count(); ++index)
        run_queue(index);
}

void VirtioDevice::run_queue(unsigned index) {
    Virtqueue& queue = queues_[index];
    if (!live() || !queue.enabled()) return;
    if (running_) return transport_->run_later(index);
    running_ = true;
    running_queue_ = index;
    const bool finished = run_bounded(index);
    running_ = false;
    send_interrupt(index);
    if (!finished) transport_->run_later(index);
}

// False when there may be more to do.
bool VirtioDevice::run_bounded(unsigned index) {
    for (unsigned budget = 2U * queues_[index].size(); budget != 0; --budget) {
        switch (step(index)) {
            case Step::done: break;
            case Step::empty:
                if (!queues_[index].arm_notification()) return true;
                break;
            case Step::stalled: return true;
            case Step::broken: set_needs_reset("a queue is malformed"); return true;
        }
    }
    return false;
}

void VirtioDevice::send_interrupt(unsigned queue) {
    if (queues_[queue].enabled() && queues_[queue].take_interrupt())
        transport_->queue_interrupt(queue);
}

void VirtioDevice::config_changed() {
    ++config_generation_;
    // 2.1.2: no notifications before DRIVER_OK.
    if ((status_ & kStatusDriverOk) != 0) transport_->config_interrupt();
}

void VirtioDevice::set_needs_reset(const char* reason) {
    if ((status_ & kStatusNeedsReset) != 0) return;
    LOG_LIMITED(LogLevel::warning, "virtio",
                "%.*s: the guest's driver broke a rule (%s); it has to reset the device",
                static_cast<int>(identity_.name.size()), identity_.name.data(), reason);
    status_ |= kStatusNeedsReset;
    if ((status_ & kStatusDriverOk) != 0) transport_->config_interrupt();  // 2.1.2
}

void VirtioDevice::set_dma_enabled(bool enabled) {
    if (dma_enabled_ == enabled) return;
    if (!enabled) drain();
    dma_enabled_ = enabled;
    if (enabled) run_all_queues();
}

void VirtioDevice::reset() {
    drain();
    for (Virtqueue& queue : queues_)
        queue.reset();
    driver_features_ = 0;
    status_ = 0;
    config_generation_ = 0;
    on_reset();
}

void VirtioDevice::save(StateWriter& writer) const {
    VirtioDeviceStateV1 state{driver_features_, status_, config_generation_, {}};
    for (const Virtqueue& queue : queues_)
        state.queues.push_back(queue.state());
    writer.section(state);
    save_device(writer);
}

Result<void> VirtioDevice::restore(StateReader& reader) {
    TRY_ASSIGN(state, reader.section<VirtioDeviceStateV1>());
    const bool negotiated = (state.status & kStatusFeaturesOk) != 0;
    if ((state.status & ~(kDriverStatusBits | kStatusNeedsReset)) != 0 ||
        (!negotiated && (state.status & kStatusDriverOk) != 0)) {
        return bad_state("load saved state: virtio: the status is impossible");
    }
    if (negotiated && !features_acceptable(state.driver_features)) {
        return bad_state(
            "load saved state: virtio: the guest uses features that this device does not offer");
    }
    if (state.queues.size() != queues_.size()) {
        return bad_state("load saved state: virtio: the number of queues differs");
    }
    for (size_t i = 0; i < queues_.size(); ++i) {
        const bool possible = negotiated || !state.queues[i].enabled;
        if (!possible || !queues_[i].restore(state.queues[i], state.driver_features)) {
            return bad_state("load saved state: virtio: a queue is impossible");
        }
    }
    driver_features_ = state.driver_features;
    status_ = state.status;
    config_generation_ = state.config_generation;
    TRY(restore_device(reader));
    // What the driver had offered before may still wait.
    for (unsigned i = 0; i < queue_count(); ++i)
        transport_->run_later(i);
    return {};
}

}  // namespace banyan
