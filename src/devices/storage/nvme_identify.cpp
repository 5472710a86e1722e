#include "devices/storage/nvme_identify.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace banyan::nvme {

namespace {

constexpr size_t kSerialLength = 20;
constexpr size_t kModelLength = 40;
constexpr std::string_view kModel = "Banyan NVMe disk";
constexpr std::string_view kFirmware = "1.0";
constexpr uint16_t kPciVendor = 0x1B36;
constexpr uint16_t kPciSubsystemVendor = 0x1AF4;

template <class T>
void put(IdentifyPage& page, size_t at, T value) {
    std::memcpy(page.data() + at, &value, sizeof(value));
}

// Section 1.5 of strings: padded with spaces.
void put_text(IdentifyPage& page, size_t at, size_t length, std::string_view text) {
    for (size_t i = 0; i < length; ++i)
        page[at + i] = static_cast<std::byte>(i < text.size() ? text[i] : ' ');
}

std::string padded(std::string_view text, size_t length) {
    std::string result(text.substr(0, length));
    result.resize(length, ' ');
    return result;
}

// Section 7.9: the form for a controller that has no name of its own.
std::string qualified_name(const Disk& disk) {
    return "nqn.2014.08.org.nvmexpress:1b361af4" + padded(disk.serial, kSerialLength) +
           padded(kModel, kModelLength);
}

// FNV-1a: the same serial number gives the same identifier at each start.
uint64_t hash(std::string_view text, uint64_t value) {
    for (const char c : text)
        value = (value ^ static_cast<uint8_t>(c)) * 0x100000001B3ULL;
    return value;
}

}  // namespace

// Figure 247.
IdentifyPage identify_controller(const Disk& disk) {
    IdentifyPage page{};
    put(page, 0, kPciVendor);
    put(page, 2, kPciSubsystemVendor);
    put_text(page, 4, kSerialLength, disk.serial);
    put_text(page, 24, kModelLength, kModel);
    put_text(page, 64, 8, kFirmware);
    put(page, 72, uint8_t{6});  // RAB: 64 commands
    put(page, 77, uint8_t{kMaxTransferPower});
    put(page, 80, kVersion14);
    put(page, 111, uint8_t{1});       // CNTRLTYPE: I/O controller
    put(page, 258, uint8_t{3});       // ACL, less one
    put(page, 259, uint8_t{3});       // AERL, less one
    put(page, 260, uint8_t{0x03});    // FRMW: one slot, read only
    put(page, 266, uint16_t{0x157});  // WCTEMP: 70 degrees Celsius
    put(page, 268, uint16_t{0x175});  // CCTEMP: 100
    put(page, 512, uint8_t{0x66});    // SQES: entries of 64 bytes
    put(page, 513, uint8_t{0x44});    // CQES: of 16
    put(page, 516, uint32_t{1});      // NN
    uint16_t optional = 0;            // ONCS
    if (disk.discards) optional |= 0x04;
    if (disk.writes_zeroes) optional |= 0x08;
    put(page, 520, optional);
    put(page, 525, uint8_t{0x07});  // VWC: there is a cache, and a flush may name all namespaces
    const std::string name = qualified_name(disk);
    std::memcpy(page.data() + 768, name.data(), name.size());
    put(page, 2048, uint16_t{2500});  // power state 0: 25 W
    return page;
}

// Figure 245. One format: blocks of 512 bytes without metadata.
IdentifyPage identify_namespace(const Disk& disk) {
    IdentifyPage page{};
    for (const size_t at : {size_t{0}, size_t{8}, size_t{16}})  // NSZE, NCAP, NUSE
        put(page, at, disk.blocks);
    if (disk.discards) put(page, 24, uint8_t{0x01});   // NSFEAT: blocks can be deallocated
    if (disk.read_only) put(page, 99, uint8_t{0x01});  // NSATTR: write protected
    put(page, 128, uint32_t{9} << 16);                 // LBAF0: LBADS
    return page;
}

// Figure 248: one identifier, a UUID by which the disk is known whatever its number.
IdentifyPage identify_descriptors(const Disk& disk) {
    constexpr uint8_t kUuid = 3;
    constexpr uint8_t kUuidLength = 16;
    IdentifyPage page{};
    put(page, 0, kUuid);
    put(page, 1, kUuidLength);
    const uint64_t high = hash(disk.serial, 0xCBF29CE484222325ULL);
    put(page, 4, high);
    put(page, 12, hash(disk.serial, high));
    // RFC 9562: version 8, variant 2.
    page[4 + 6] = (page[4 + 6] & std::byte{0x0F}) | std::byte{0x80};
    page[4 + 8] = (page[4 + 8] & std::byte{0x3F}) | std::byte{0x80};
    return page;
}

IdentifyPage identify_active(uint32_t after) {
    IdentifyPage page{};
    if (after == 0) put(page, 0, uint32_t{1});
    return page;
}

}  // namespace banyan::nvme
