#include "devices/storage/ata_device.hpp"

#include <algorithm>

#include "support/bits.hpp"

namespace banyan {

using namespace ata;

namespace {

constexpr std::string_view kAtaFirmware = "1.0";
constexpr uint8_t kMaxMultiple = 16;
// Modes: of each kind the highest, and its code in SET FEATURES (ACS-3, 7.45.8).
constexpr uint8_t kPioDefault = 0x00;
constexpr uint8_t kPioFlowControl = 0x08;
constexpr uint8_t kMultiwordDma = 0x20;
constexpr uint8_t kUltraDma = 0x40;
constexpr uint8_t kMaxPio = 4;
constexpr uint8_t kMaxMultiword = 2;
constexpr uint8_t kMaxUltra = 5;

// ACS-3, 3.3.10: in each word of a string, the first character is the high byte.
void put_ata_text(std::span<le16> to, std::string_view text) {
    const auto character = [&](size_t i) {
        return static_cast<uint8_t>(i < text.size() && text[i] != '\0' ? text[i] : ' ');
    };
    for (size_t i = 0; i < to.size(); ++i)
        to[i] = static_cast<uint16_t>(character(2 * i) << 8 | character(2 * i + 1));
}

}  // namespace

AtaDevice::AtaDevice(const AtaDeviceConfig& config, BlockBackend& backend)
    : cable_(config.cable), backend_(backend) {
    std::copy_n(config.serial.begin(), std::min(config.serial.size(), serial_.size()),
                serial_.begin());
    for (char& c : serial_) {
        if (c != '\0' && (c < 0x20 || c > 0x7e)) c = '_';
    }
}

AtaOutput AtaDevice::signature() const {
    return {.error = kDiagnosticPassed,
            .device = 0,
            .count = 1,
            .lba = is_packet_device() ? kSignaturePacket : kSignatureDisk};
}

void AtaDevice::reset() {
    state_ = {};
    on_reset();
}

// ACS-3, 7.45.12: settings stay; what is about a command goes.
void AtaDevice::soft_reset() {
    state_.failed_tag = state_.failed_error = 0;
    state_.failed_lba = 0;
}

bool AtaDevice::restore(const AtaDeviceStateV1& state) {
    const bool multiple_possible = state.multiple == 0 || (std::has_single_bit(state.multiple) &&
                                                           state.multiple <= kMaxMultiple);
    if (!multiple_possible || state.heads == 0 || state.heads > 16 ||
        state.sectors_per_track == 0 || state.failed_tag > 31) {
        return false;
    }
    state_ = state;
    if (set_transfer_mode(state.transfer_mode)) return true;
    state_ = {};
    return false;
}

AtaOutput AtaDevice::echo(const AtaCommand& command) const {
    return {.error = 0, .device = command.device, .count = command.count, .lba = command.lba};
}

AtaPlan AtaDevice::complete(const AtaCommand& command) const {
    return {.data = {}, .protocol = AtaProtocol::non_data, .output = echo(command)};
}

AtaPlan AtaDevice::fail(const AtaCommand& command, uint8_t error) const {
    AtaPlan plan = complete(command);
    plan.data.kind = PlanKind::failed;
    plan.output.error = error;
    return plan;
}

std::span<le16> AtaDevice::words() {
    words_.fill(uint16_t{0});
    return words_;
}

AtaPlan AtaDevice::respond_words(const AtaCommand& command) const {
    AtaPlan plan = complete(command);
    plan.data = {.kind = PlanKind::data_in,
                 .length = sizeof(words_),
                 .response = std::as_bytes(std::span(words_))};
    plan.protocol = AtaProtocol::pio;
    return plan;
}

bool AtaDevice::set_transfer_mode(uint8_t mode) {
    const auto number = static_cast<uint8_t>(mode & 7);
    switch (mode & 0xf8) {
        case kPioDefault:
            if (number > 1) return false;
            break;
        case kPioFlowControl:
            if (number > kMaxPio) return false;
            break;
        case kMultiwordDma:
            if (number > kMaxMultiword) return false;
            break;
        case kUltraDma:
            if (number > kMaxUltra) return false;
            break;
        default: return false;
    }
    state_.transfer_mode = mode;
    return true;
}

void AtaDevice::identify_names(std::string_view model) {
    const std::span<le16> all(words_);
    put_ata_text(all.subspan(10, 10), {serial_.data(), serial_.size()});
    put_ata_text(all.subspan(23, 4), kAtaFirmware);
    put_ata_text(all.subspan(27, 20), model);
}

// Words 53, 63 to 68, 76, 88 and 93 (ACS-3, 7.12.7).
void AtaDevice::identify_modes() {
    const auto chosen = [&](uint8_t kind) {
        const bool is = (state_.transfer_mode & 0xf8) == kind;
        return static_cast<uint16_t>(is ? 0x100U << (state_.transfer_mode & 7) : 0);
    };
    words_[53] =
        static_cast<uint16_t>(words_[53] | 0x0006);  // words 64 to 70 and 88 mean something
    words_[63] = static_cast<uint16_t>(0x0007 | chosen(kMultiwordDma));
    words_[64] = uint16_t{0x0003};  // PIO 3 and 4
    for (const size_t cycle_time : {65U, 66U, 67U, 68U})
        words_[cycle_time] = uint16_t{120};  // ns
    words_[88] = static_cast<uint16_t>(0x003f | chosen(kUltraDma));
    if (cable_ == AtaCable::parallel) {
        words_[93] = uint16_t{0x6001};  // device 0 passed; a cable of 80 conductors
    } else {
        words_[76] = uint16_t{0x0006};   // 1.5 and 3 Gb/s
        words_[222] = uint16_t{0x101f};  // serial, up to SATA 2.6
    }
}

void AtaDevice::seal_identify() {
    words_[255] = uint16_t{0x00a5};
    uint8_t sum = 0;
    for (const std::byte byte : std::as_bytes(std::span(words_)))
        sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(byte));
    words_[255] = static_cast<uint16_t>(0x00a5 | (0x100 - sum) << 8);
}

}  // namespace banyan
