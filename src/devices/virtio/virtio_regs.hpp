// Numbers of "Virtual I/O Device (VIRTIO) Version 1.2" (OASIS) that devices share.
#pragma once

#include <cstdint>

#include "support/bits.hpp"
#include "support/le.hpp"

namespace banyan::virtio {

// 2.1 "Device Status Field".
inline constexpr uint8_t kStatusAcknowledge = 1;
inline constexpr uint8_t kStatusDriver = 2;
inline constexpr uint8_t kStatusDriverOk = 4;
inline constexpr uint8_t kStatusFeaturesOk = 8;
inline constexpr uint8_t kStatusNeedsReset = 64;
inline constexpr uint8_t kStatusFailed = 128;

// 6 "Reserved Feature Bits".
inline constexpr uint64_t kFeatureIndirectDesc = bit(28);
inline constexpr uint64_t kFeatureEventIdx = bit(29);
inline constexpr uint64_t kFeatureVersion1 = bit(32);
inline constexpr uint64_t kFeatureAccessPlatform = bit(33);
inline constexpr uint64_t kFeatureRingPacked = bit(34);
inline constexpr uint64_t kFeatureInOrder = bit(35);
inline constexpr uint64_t kFeatureNotificationData = bit(38);
inline constexpr uint64_t kFeatureNotifConfigData = bit(39);
inline constexpr uint64_t kFeatureRingReset = bit(40);

// 5 "Device Types".
inline constexpr uint16_t kDeviceNet = 1;
inline constexpr uint16_t kDeviceBlock = 2;
inline constexpr uint16_t kDeviceConsole = 3;
inline constexpr uint16_t kDeviceEntropy = 4;
inline constexpr uint16_t kDeviceBalloon = 5;
inline constexpr uint16_t kDeviceScsi = 8;
inline constexpr uint16_t kDeviceVsock = 19;

// 2.7.5 "The Virtqueue Descriptor Table".
struct Descriptor {
    le64 address;
    le32 length;
    le16 flags;
    le16 next;
};
static_assert(sizeof(Descriptor) == 16);
inline constexpr uint16_t kDescNext = 1;
inline constexpr uint16_t kDescWrite = 2;
inline constexpr uint16_t kDescIndirect = 4;

// 2.8.13 "The Packed Virtqueue Descriptor", as long as a split one. Its flags are those above and:
struct PackedDescriptor {
    le64 address;
    le32 length;
    le16 id;
    le16 flags;
};
static_assert(sizeof(PackedDescriptor) == 16);
inline constexpr uint16_t kPackedAvail = 1U << 7;
inline constexpr uint16_t kPackedUsed = 1U << 15;

// 2.8.14 "Event Suppression Structure Format": a position, then flags.
inline constexpr uint16_t kPackedWrap = 1U << 15;  // of a position
inline constexpr uint16_t kPackedEventEnable = 0;
inline constexpr uint16_t kPackedEventDisable = 1;
inline constexpr uint16_t kPackedEventDesc = 2;
inline constexpr uint16_t kPackedEventMask = 3;

// 2.7.8 "The Virtqueue Used Ring".
struct UsedElement {
    le32 id;
    le32 length;
};
static_assert(sizeof(UsedElement) == 8);

// 2.7.6 "The Virtqueue Available Ring".
inline constexpr uint16_t kAvailNoInterrupt = 1;

// 4.1.4 "Virtio Structure PCI Capabilities".
inline constexpr uint8_t kPciCapCommon = 1;
inline constexpr uint8_t kPciCapNotify = 2;
inline constexpr uint8_t kPciCapIsr = 3;
inline constexpr uint8_t kPciCapDevice = 4;
inline constexpr uint8_t kPciCapPciCfg = 5;

// 4.1.4.3 "Common configuration structure layout".
enum class Common : uint8_t {
    device_feature_select = 0x00,
    device_feature = 0x04,
    driver_feature_select = 0x08,
    driver_feature = 0x0c,
    config_msix_vector = 0x10,
    num_queues = 0x12,
    device_status = 0x14,
    config_generation = 0x15,
    queue_select = 0x16,
    queue_size = 0x18,
    queue_msix_vector = 0x1a,
    queue_enable = 0x1c,
    queue_notify_off = 0x1e,
    queue_desc = 0x20,
    queue_driver = 0x28,
    queue_device = 0x30,
    queue_notify_data = 0x38,
    queue_reset = 0x3a,
};
inline constexpr uint32_t kCommonSize = 0x3c;
inline constexpr uint16_t kNoVector = 0xffff;

// 4.1.4.5 "ISR status capability".
inline constexpr uint8_t kIsrQueue = 1;
inline constexpr uint8_t kIsrConfig = 2;

}  // namespace banyan::virtio
