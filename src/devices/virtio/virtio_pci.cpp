#include "devices/virtio/virtio_pci.hpp"

#include <array>
#include <cstring>
#include <utility>

#include "snapshot/state.hpp"
#include "support/assert.hpp"
#include "support/bits.hpp"

namespace banyan {

using virtio::Common;
using virtio::kNoVector;

namespace {

constexpr uint16_t kVendor = 0x1af4;
constexpr uint16_t kFirstDevice = 0x1040;  // 4.1.2: plus the device type
constexpr unsigned kMaxQueues = 64;

// BAR 0: a page for each structure, so that doorbells have theirs alone.
enum Page : uint8_t { kCommonPage = 0, kIsrPage = 1, kDevicePage = 2, kNotifyPage = 3, kPages = 4 };
constexpr uint32_t kPage = 0x1000;
static_assert(VirtioPci::kRegistersSize == kPages * kPage);
constexpr uint32_t kNotifyMultiplier = 4;

// Work that is left over goes on after this time, so that a guest that never stops costs no more
// than a part of the host's thread.
constexpr uint64_t kRunLaterNs = 100'000;

PciIdentity identity_for(const VirtioDevice& device) {
    const VirtioIdentity& identity = device.identity();
    return {
        .vendor = kVendor,
        .device = static_cast<uint16_t>(kFirstDevice + identity.device_type),
        .subsystem_vendor = kVendor,
        .subsystem = 0x1100,  // 4.1.2.1: 0x40 or higher
        .class_code = identity.pci_class,
        .revision = 1,  // 4.1.2.1: 1 or higher
        .interrupt_pin = 1,
    };
}

// The width of a common register, and where it starts: 64-bit registers are also accessed by halves
// (4.1.3.1).
struct CommonAccess {
    Common reg;
    unsigned width;
};

CommonAccess common_register(uint64_t offset) {
    constexpr std::array<CommonAccess, 18> kRegisters{{
        {Common::device_feature_select, 4},
        {Common::device_feature, 4},
        {Common::driver_feature_select, 4},
        {Common::driver_feature, 4},
        {Common::config_msix_vector, 2},
        {Common::num_queues, 2},
        {Common::device_status, 1},
        {Common::config_generation, 1},
        {Common::queue_select, 2},
        {Common::queue_size, 2},
        {Common::queue_msix_vector, 2},
        {Common::queue_enable, 2},
        {Common::queue_notify_off, 2},
        {Common::queue_desc, 8},
        {Common::queue_driver, 8},
        {Common::queue_device, 8},
        {Common::queue_notify_data, 2},
        {Common::queue_reset, 2},
    }};
    for (const CommonAccess& access : kRegisters) {
        const auto start = static_cast<uint64_t>(access.reg);
        if (offset >= start && offset < start + access.width) return access;
    }
    return {Common::device_feature_select, 0};
}

bool is_half(const CommonAccess& access, uint64_t offset, unsigned size) {
    return access.width == 8 && size == 4 && offset % 4 == 0;
}

uint64_t replace_half(uint64_t old, uint64_t value, bool high) {
    return high ? (old & mask(31, 0)) | value << 32 : (old & mask(63, 32)) | (value & mask(31, 0));
}

}  // namespace

VirtioPci::VirtioPci(std::unique_ptr<VirtioDevice> device, const VirtioPciWiring& wiring)
    : PciFunction(identity_for(*device), PciWiring{wiring.mapper, wiring.intx}),
      clock_(wiring.clock),
      timer_(wiring.timers.create_timer(*this, 0)),
      device_(std::move(device)),
      msix_(device_->queue_count() + 1, wiring.msi) {
    BANYAN_ASSERT(device_->queue_count() <= kMaxQueues);
    device_->attach(*this, virtio::kFeatureNotifConfigData);
    registers_.queue_vectors.resize(device_->queue_count());
    reset_transport();
    declare_memory_bar(kRegistersBar, PciBarKind::memory64, kRegistersSize, *this);
    // What a driver writes there says no more than the place does, and, with
    // VIRTIO_F_NOTIFICATION_DATA, than the rings do (4.1.5.2).
    declare_doorbells(kRegistersBar,
                      {kNotifyPage * kPage, kNotifyMultiplier, device_->queue_count()});
    BANYAN_ASSERT(msix_.bar_size() == kMsixSize);
    add_msix(msix_, kMsixBar);
    add_virtio_capabilities();
}

// 4.1.4 "Virtio Structure PCI Capabilities".
void VirtioPci::add_virtio_capabilities() {
    struct Body {
        uint8_t length = 0;
        uint8_t type = 0;
        uint8_t bar = static_cast<uint8_t>(kRegistersBar);
        uint8_t id = 0;
        uint8_t padding[2] = {};
        le32 offset;
        le32 size;
        le32 extra;  // the multiplier of the notification capability, the data of the PCI
                     // configuration one
    };
    static_assert(sizeof(Body) == 18);
    const auto add = [this](uint8_t type, Page page, uint32_t size, bool has_extra,
                            const Body& writable) {
        Body body;
        const size_t length = sizeof(Body) - (has_extra ? 0 : 4);
        body.length = static_cast<uint8_t>(length + 2);
        body.type = type;
        body.offset = page * kPage;
        body.size = size;
        body.extra = kNotifyMultiplier;
        const auto bytes = [length](const Body& b) {
            return std::span(reinterpret_cast<const uint8_t*>(&b), length);
        };
        return add_capability(pci::kCapabilityVendor, bytes(body), bytes(writable));
    };
    Body fixed;
    fixed.bar = 0;
    Body access = fixed;
    access.bar = 0xff;
    access.offset = access.size = access.extra = ~0U;
    const auto config_size = static_cast<uint32_t>(device_->config_space().size());
    add(virtio::kPciCapCommon, kCommonPage, virtio::kCommonSize, false, fixed);
    add(virtio::kPciCapIsr, kIsrPage, 1, false, fixed);
    if (config_size != 0) add(virtio::kPciCapDevice, kDevicePage, config_size, false, fixed);
    add(virtio::kPciCapNotify, kNotifyPage, kNotifyMultiplier * device_->queue_count(), true,
        fixed);
    pci_cfg_capability_ = add(virtio::kPciCapPciCfg, kCommonPage, 0, true, access);
}

void VirtioPci::reset_transport() {
    const auto queues = registers_.queue_vectors.size();
    registers_ = {};
    registers_.queue_vectors.assign(queues, kNoVector);
    run_later_ = 0;
    timer_->cancel();
    set_intx(false);
}

void VirtioPci::reset() {
    device_->reset();
    device_->set_dma_enabled(false);
    reset_transport();
    reset_config();
}

IoStatus VirtioPci::mmio_read(uint64_t offset, unsigned size, uint64_t& value) {
    const uint64_t in_page = offset % kPage;
    switch (offset / kPage) {
        case kCommonPage: return common_read(in_page, size, value);
        case kIsrPage: return isr_read(in_page, value);
        case kDevicePage: return device_config_read(in_page, size, value);
        default: return IoStatus::no_register;
    }
}

IoStatus VirtioPci::mmio_write(uint64_t offset, unsigned size, uint64_t value) {
    const uint64_t in_page = offset % kPage;
    switch (offset / kPage) {
        case kCommonPage: return common_write(in_page, size, value);
        case kDevicePage: return device_config_write(in_page, size, value);
        case kNotifyPage: return notify_write(in_page);
        default: return IoStatus::no_register;
    }
}

// 4.1.3.1: drivers access each register by its width.
IoStatus VirtioPci::common_read(uint64_t offset, unsigned size, uint64_t& value) const {
    const CommonAccess access = common_register(offset);
    if (access.width == 0) return IoStatus::no_register;
    const auto start = static_cast<uint64_t>(access.reg);
    if (is_half(access, offset, size)) {
        value = read_common(access.reg) >> (offset == start ? 0 : 32) & mask(31, 0);
        return IoStatus::ok;
    }
    if (offset != start || size != access.width) return IoStatus::bad_size;
    value = read_common(access.reg);
    return IoStatus::ok;
}

IoStatus VirtioPci::common_write(uint64_t offset, unsigned size, uint64_t value) {
    const CommonAccess access = common_register(offset);
    if (access.width == 0) return IoStatus::no_register;
    const auto start = static_cast<uint64_t>(access.reg);
    if (is_half(access, offset, size)) {
        write_common(access.reg, replace_half(read_common(access.reg), value, offset != start));
        return IoStatus::ok;
    }
    if (offset != start || size != access.width) return IoStatus::bad_size;
    write_common(access.reg, value);
    return IoStatus::ok;
}

uint64_t VirtioPci::read_common(Common reg) const {
    const auto half = [](uint64_t features, uint32_t select) {
        return select > 1 ? 0 : features >> (32 * select) & mask(31, 0);
    };
    switch (reg) {
        case Common::device_feature_select: return registers_.device_feature_select;
        case Common::device_feature:
            return half(device_->features(), registers_.device_feature_select);
        case Common::driver_feature_select: return registers_.driver_feature_select;
        case Common::driver_feature:
            return half(device_->driver_features(), registers_.driver_feature_select);
        case Common::config_msix_vector: return registers_.config_vector;
        case Common::num_queues: return device_->queue_count();
        case Common::device_status: return device_->status();
        case Common::config_generation: return device_->config_generation();
        case Common::queue_select: return registers_.queue_select;
        default: return read_queue(reg);
    }
}

// A queue that does not exist has size 0 (4.1.4.3.1).
uint64_t VirtioPci::read_queue(Common reg) const {
    const unsigned index = registers_.queue_select;
    if (index >= device_->queue_count()) return 0;
    const Virtqueue& queue = device_->queue(index);
    switch (reg) {
        case Common::queue_size: return queue.size();
        case Common::queue_msix_vector: return registers_.queue_vectors[index];
        case Common::queue_enable: return queue.enabled() ? 1 : 0;
        case Common::queue_notify_off:
        case Common::queue_notify_data: return index;
        case Common::queue_reset: return 0;  // 4.1.4.3.1: done by the time that one could look
        case Common::queue_desc: return queue.descriptors().value;
        case Common::queue_driver: return queue.available().value;
        case Common::queue_device: return queue.used().value;
        default: return 0;
    }
}

void VirtioPci::write_common(Common reg, uint64_t value) {
    switch (reg) {
        case Common::device_feature_select:
            registers_.device_feature_select = static_cast<uint32_t>(value);
            return;
        case Common::driver_feature_select:
            registers_.driver_feature_select = static_cast<uint32_t>(value);
            return;
        case Common::driver_feature: return write_driver_feature(static_cast<uint32_t>(value));
        case Common::config_msix_vector: registers_.config_vector = valid_vector(value); return;
        case Common::device_status: return write_device_status(static_cast<uint8_t>(value));
        case Common::queue_select: registers_.queue_select = static_cast<uint16_t>(value); return;
        case Common::device_feature:
        case Common::num_queues:
        case Common::config_generation:
        case Common::queue_notify_off: return;  // read-only
        default: return write_queue(reg, value);
    }
}

void VirtioPci::write_queue(Common reg, uint64_t value) {
    const unsigned index = registers_.queue_select;
    if (index >= device_->queue_count()) return;
    Virtqueue& queue = device_->queue(index);
    switch (reg) {
        case Common::queue_size: return queue.set_size(static_cast<uint16_t>(value));
        case Common::queue_msix_vector:
            registers_.queue_vectors[index] = valid_vector(value);
            return;
        case Common::queue_enable:
            if (value == 1) device_->enable_queue(index);  // 4.1.4.3.2: 0 is never written
            return;
        case Common::queue_reset:
            if (value == 1 && device_->reset_queue(index))
                registers_.queue_vectors[index] = kNoVector;
            return;
        case Common::queue_desc: return queue.set_descriptors({value});
        case Common::queue_driver: return queue.set_available({value});
        case Common::queue_device: return queue.set_used({value});
        default: return;
    }
}

void VirtioPci::write_driver_feature(uint32_t value) {
    const uint32_t select = registers_.driver_feature_select;
    if (select > 1) return;
    device_->set_driver_features(replace_half(device_->driver_features(), value, select == 1));
}

void VirtioPci::write_device_status(uint8_t value) {
    device_->write_status(value);
    if (value == 0) reset_transport();
}

// 4.1.5.1.2: a vector that cannot be mapped reads back as none.
uint16_t VirtioPci::valid_vector(uint64_t vector) const {
    return vector < msix_.vectors() ? static_cast<uint16_t>(vector) : kNoVector;
}

// 4.1.4.5: reading takes the status and lowers the wire.
IoStatus VirtioPci::isr_read(uint64_t offset, uint64_t& value) {
    if (offset != 0) return IoStatus::no_register;
    value = registers_.isr;
    registers_.isr = 0;
    set_intx(false);
    return IoStatus::ok;
}

IoStatus VirtioPci::device_config_read(uint64_t offset, unsigned size, uint64_t& value) const {
    const auto space = device_->config_space();
    if (offset + size > space.size()) return IoStatus::no_register;
    value = 0;
    std::memcpy(&value, space.data() + offset, size);
    return IoStatus::ok;
}

IoStatus VirtioPci::device_config_write(uint64_t offset, unsigned size, uint64_t value) {
    if (offset + size > device_->config_space().size()) return IoStatus::no_register;
    if (size > 4) return IoStatus::bad_size;
    device_->write_config(static_cast<uint32_t>(offset), size, static_cast<uint32_t>(value));
    return IoStatus::ok;
}

// 4.1.5.2: each queue has its own address; the value is the queue's number again, and what
// NOTIFICATION_DATA adds is in the rings as well.
IoStatus VirtioPci::notify_write(uint64_t offset) {
    const uint64_t index = offset / kNotifyMultiplier;
    if (index >= device_->queue_count()) return IoStatus::no_register;
    device_->run_queue(static_cast<unsigned>(index));
    return IoStatus::ok;
}

// 4.1.4.9: the capability's bar, offset and length select what its data bytes are. False when this
// access does not touch them, or they select nothing.
bool VirtioPci::window(uint16_t offset, unsigned size, Window& window) const {
    const unsigned data = pci_cfg_capability_ + 16U;
    if (offset + size <= data || offset >= data + 4) return false;
    const uint8_t bar = config()[pci_cfg_capability_ + 4U];
    uint32_t start = 0;
    uint32_t length = 0;
    std::memcpy(&start, config().data() + pci_cfg_capability_ + 8, 4);
    std::memcpy(&length, config().data() + pci_cfg_capability_ + 12, 4);
    if (bar >= bars().size() || bars()[bar].kind == PciBarKind::none) return false;
    if ((length != 1 && length != 2 && length != 4) || start % length != 0) return false;
    if (start >= bars()[bar].size) return false;
    window = {bars()[bar].memory, start, length};
    return true;
}

void VirtioPci::on_config_read(uint16_t offset, unsigned size) {
    Window access{};
    if (!window(offset, size, access)) return;
    uint64_t value = 0;
    if (access.handler->mmio_read(access.offset, access.size, value) != IoStatus::ok)
        value = ~uint64_t{0};
    std::array<uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &value, access.size);
    set_config_bytes(static_cast<uint16_t>(pci_cfg_capability_ + 16), bytes);
}

void VirtioPci::on_config_written(uint16_t offset, unsigned size) {
    device_->set_dma_enabled(bus_master_enabled());
    Window access{};
    if (!window(offset, size, access)) return;
    uint64_t value = 0;
    std::memcpy(&value, config().data() + pci_cfg_capability_ + 16, access.size);
    (void)access.handler->mmio_write(access.offset, access.size, value);
}

void VirtioPci::queue_interrupt(unsigned queue) {
    if (msix_.enabled()) return msix_.signal(registers_.queue_vectors[queue]);
    registers_.isr |= virtio::kIsrQueue;
    set_intx(true);
}

// 4.1.5.4: the status bit is set with MSI-X too.
void VirtioPci::config_interrupt() {
    registers_.isr |= virtio::kIsrConfig;
    set_intx(true);
    msix_.signal(registers_.config_vector);
}

void VirtioPci::run_later(unsigned queue) {
    run_later_ |= bit(queue);
    timer_->arm(clock_.now_ns() + kRunLaterNs);
}

void VirtioPci::on_timer(unsigned) {
    const uint64_t queues = std::exchange(run_later_, 0);
    for (unsigned i = 0; i < device_->queue_count(); ++i) {
        if (has_bit(queues, i)) device_->run_queue(i);
    }
}

void VirtioPci::save(StateWriter& writer) const {
    device_->drain();
    save_config(writer);
    writer.section(registers_);
    device_->save(writer);
}

Result<void> VirtioPci::restore(StateReader& reader) {
    reset();
    auto result = restore_all(reader);
    if (!result) reset();
    return result;
}

Result<void> VirtioPci::restore_all(StateReader& reader) {
    TRY(restore_config(reader));
    TRY(restore_transport(reader));
    // While the device is still reset: what waits in its queues is for later, when the guest runs.
    device_->set_dma_enabled(bus_master_enabled());
    TRY(device_->restore(reader));
    set_intx(registers_.isr != 0);
    return {};
}

Result<void> VirtioPci::restore_transport(StateReader& reader) {
    TRY_ASSIGN(state, reader.section<VirtioPciStateV1>());
    if (state.queue_vectors.size() != registers_.queue_vectors.size()) {
        return fail(ErrorCode::invalid_data,
                    "load saved state: virtio PCI: the number of queues differs");
    }
    state.config_vector = valid_vector(state.config_vector);
    for (uint16_t& vector : state.queue_vectors)
        vector = valid_vector(vector);
    state.isr &= virtio::kIsrQueue | virtio::kIsrConfig;
    registers_ = state;
    return {};
}

}  // namespace banyan
