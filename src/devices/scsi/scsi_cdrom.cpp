#include "devices/scsi/scsi_cdrom.hpp"

#include <algorithm>
#include <array>

#include "support/bits.hpp"

namespace banyan {

using namespace scsi;

namespace {

constexpr std::array<uint8_t, 2> kCdromModePages{kPageErrorRecovery, kPageCapabilities};

// MMC-6, 5.3.1 "Profile List".
constexpr uint16_t kNoProfile = 0x0000;
constexpr uint16_t kProfileCdrom = 0x0008;
constexpr uint16_t kProfileDvdrom = 0x0010;
// A CD of 80 minutes; what is larger is a DVD.
constexpr uint32_t kMaxCdBlocks = 80 * 60 * 75;

// MMC-6, 5.3 "Features".
struct Feature {
    uint16_t code;
    uint8_t flags;  // version in bits 5:2, persistent, current
    uint8_t length;
    std::array<uint8_t, 8> data;
};
constexpr uint8_t kPersistent = 2;
constexpr uint8_t kCurrent = 1;
constexpr std::array<Feature, 6> kFeatures{{
    {0x0000, kPersistent | kCurrent, 8, {0, 0x10, 0, 0, 0, 0x08, 0, 0}},     // profile list
    {0x0001, 2 << 2 | kPersistent | kCurrent, 8, {0, 0, 0, 2, 1, 0, 0, 0}},  // core: ATAPI, DBE
    {0x0002, 1 << 2 | kPersistent | kCurrent, 4, {2, 0, 0, 0, 0, 0, 0, 0}},  // morphing: OCEvent
    {0x0003, kPersistent | kCurrent, 4, {0x29, 0, 0, 0, 0, 0, 0, 0}},        // removable, a tray
    {0x0010, kCurrent, 8, {0, 0, 8, 0, 0, 1, 0, 0}},                         // random readable
    {0x001e, 2 << 2 | kCurrent, 4, {0, 0, 0, 0, 0, 0, 0, 0}},                // CD read
}};

// MMC-6, 6.6.1.3 "Media events".
constexpr uint8_t kMediaClass = 4;
constexpr uint8_t kEventEjectRequest = 1;
constexpr uint8_t kEventNewMedia = 2;
constexpr uint8_t kEventMediaRemoval = 3;

constexpr uint8_t kDataTrack = 0x14;  // ADR 1, a data track, written in one go
constexpr uint8_t kLeadOut = 0xaa;

// MMC-6, 4.2.3.1: minutes, seconds, frames; the first block is at 00:02:00.
constexpr uint32_t msf(uint32_t lba) {
    const uint32_t at = lba + 150;
    return at / (60 * 75) << 16 | at / 75 % 60 << 8 | at % 75;
}

}  // namespace

ScsiCdrom::ScsiCdrom(const ScsiUnitConfig& config, BlockBackend& backend)
    : ScsiUnit(kTypeCdrom, config, backend),
      blocks_(
          static_cast<uint32_t>(std::min<uint64_t>(backend.size_bytes() / kBlock, 0xffff'ffff))) {}

// MMC-6, 6.5 and 6.6.
bool ScsiCdrom::ignores_attention(Op op) const {
    return op == Op::get_configuration || op == Op::get_event_status;
}

DataPlan ScsiCdrom::execute(const Cdb& cdb, BlockWork&) {
    switch (Op{cdb[0]}) {
        case Op::get_configuration: return get_configuration(cdb);
        case Op::get_event_status: return get_event_status(cdb);
        case Op::mechanism_status: return mechanism_status(cdb);
        case Op::mode_sense6:
        case Op::mode_sense10: return mode_sense(cdb);
        case Op::start_stop_unit: return start_stop(cdb);
        case Op::prevent_allow: state_.prevented = (cdb[4] & 1) != 0; return {};
        default: return execute_with_medium(cdb);
    }
}

DataPlan ScsiCdrom::execute_with(const Cdb&, std::span<const std::byte>, BlockWork&) {
    return fail(kInvalidOpcode);
}

DataPlan ScsiCdrom::execute_with_medium(const Cdb& cdb) {
    const auto with_medium = [&](DataPlan (ScsiCdrom::*command)(const Cdb&)) {
        return state_.tray_open ? fail(kTrayOpen) : (this->*command)(cdb);
    };
    switch (Op{cdb[0]}) {
        case Op::test_unit_ready:
        case Op::seek10: return state_.tray_open ? fail(kTrayOpen) : DataPlan{};
        case Op::read10: return read(big_endian(cdb, 2, 4), big_endian(cdb, 7, 2));
        case Op::read12: return read(big_endian(cdb, 2, 4), big_endian(cdb, 6, 4));
        case Op::read_cd: return with_medium(&ScsiCdrom::read_cd);
        case Op::read_capacity10: return state_.tray_open ? fail(kTrayOpen) : read_capacity();
        case Op::read_toc: return with_medium(&ScsiCdrom::read_toc);
        case Op::read_disc_information: return with_medium(&ScsiCdrom::read_disc_information);
        default: return fail(kInvalidOpcode);
    }
}

DataPlan ScsiCdrom::read(uint64_t lba, uint64_t count) {
    if (state_.tray_open) return fail(kTrayOpen);
    if (lba > blocks_ || count > blocks_ - lba) return fail(kLbaOutOfRange);
    if (count == 0) return {};
    return {.kind = PlanKind::media_in, .offset = lba * kBlock, .length = count * kBlock};
}

// MMC-6, 6.19: of a data block, its user data; an ISO file has nothing else.
DataPlan ScsiCdrom::read_cd(const Cdb& cdb) {
    constexpr uint8_t kUserData = 0x10;
    const unsigned sector_type = cdb[1] >> 2 & 7;
    constexpr unsigned kAnyType = 0;
    constexpr unsigned kMode1 = 2;
    constexpr unsigned kMode2Form1 = 4;
    const bool possible =
        sector_type == kAnyType || sector_type == kMode1 || sector_type == kMode2Form1;
    if ((cdb[10] & 7) != 0) return fail(kInvalidFieldInCdb);  // subchannels
    const auto flags = static_cast<uint8_t>(cdb[9] & 0xfe);
    const uint64_t count = big_endian(cdb, 6, 3);
    if (flags == 0 || count == 0) return read(big_endian(cdb, 2, 4), 0);
    if (!possible || flags != kUserData) return fail(kIllegalModeForTrack);
    return read(big_endian(cdb, 2, 4), count);
}

// MMC-6, 6.24.
DataPlan ScsiCdrom::read_capacity() {
    const auto data = buffer();
    put_big_endian(data, 0, 4, blocks_ == 0 ? 0 : blocks_ - 1);
    put_big_endian(data, 4, 4, kBlock);
    return respond(8, 8);
}

// MMC-6, 6.25.
DataPlan ScsiCdrom::read_toc(const Cdb& cdb) {
    // Where the format is 0, old drives (SFF-8020i, 10.8.20) have it in byte 9.
    const unsigned format = (cdb[2] & 0xf) != 0 ? cdb[2] & 0xf : cdb[9] >> 6;
    switch (format) {
        case 0: return toc_of_tracks(cdb);
        case 1: return toc_of_sessions(cdb);
        case 2: return raw_toc(cdb);
        default: return fail(kInvalidFieldInCdb);
    }
}

DataPlan ScsiCdrom::toc_of_tracks(const Cdb& cdb) {
    const uint8_t from = cdb[6];
    const bool in_msf = (cdb[1] & 2) != 0;
    if (from > 1 && from != kLeadOut) return fail(kInvalidFieldInCdb);
    const auto data = buffer();
    size_t length = 4;
    const auto add = [&](uint8_t track, uint32_t lba) {
        data[length + 1] = kDataTrack;
        data[length + 2] = track;
        put_big_endian(data, length + 4, 4, in_msf ? msf(lba) : lba);
        length += 8;
    };
    if (from <= 1) add(1, 0);
    add(kLeadOut, blocks_);
    put_big_endian(data, 0, 2, length - 2);
    data[2] = data[3] = 1;  // first and last track
    return respond(length, big_endian(cdb, 7, 2));
}

DataPlan ScsiCdrom::toc_of_sessions(const Cdb& cdb) {
    const bool in_msf = (cdb[1] & 2) != 0;
    const auto data = buffer();
    put_big_endian(data, 0, 2, 10);
    data[2] = data[3] = 1;  // first and last session
    data[5] = kDataTrack;
    data[6] = 1;  // the first track of the last session
    put_big_endian(data, 8, 4, in_msf ? msf(0) : 0);
    return respond(12, big_endian(cdb, 7, 2));
}

// MMC-6, 6.25.3.5: the lead-in's own table, with times in MSF throughout.
DataPlan ScsiCdrom::raw_toc(const Cdb& cdb) {
    const auto data = buffer();
    size_t length = 4;
    const auto add = [&](uint8_t point, uint32_t time) {
        data[length] = 1;  // session
        data[length + 1] = kDataTrack;
        data[length + 3] = point;
        put_big_endian(data, length + 8, 3, time);
        length += 11;
    };
    add(0xa0, 1 << 16);  // the first track
    add(0xa1, 1 << 16);  // the last
    add(0xa2, msf(blocks_));
    add(1, msf(0));
    put_big_endian(data, 0, 2, length - 2);
    data[2] = data[3] = 1;
    return respond(length, big_endian(cdb, 7, 2));
}

uint16_t ScsiCdrom::profile() const {
    if (state_.tray_open) return kNoProfile;
    return blocks_ > kMaxCdBlocks ? kProfileDvdrom : kProfileCdrom;
}

// MMC-6, 6.5.
DataPlan ScsiCdrom::get_configuration(const Cdb& cdb) {
    const unsigned which = cdb[1] & 3;
    constexpr unsigned kOnlyCurrent = 1;
    constexpr unsigned kOnlyOne = 2;
    const auto start = static_cast<uint16_t>(big_endian(cdb, 2, 2));
    if (which > kOnlyOne) return fail(kInvalidFieldInCdb);
    const auto data = buffer();
    size_t length = 8;
    for (const Feature& feature : kFeatures) {
        const bool needs_medium = (feature.flags & kPersistent) == 0;
        const bool current = !needs_medium || !state_.tray_open;
        const bool wanted = which == kOnlyOne ? feature.code == start : feature.code >= start;
        if (!wanted || (which == kOnlyCurrent && !current)) continue;
        put_big_endian(data, length, 2, feature.code);
        data[length + 2] =
            static_cast<uint8_t>(current ? feature.flags : feature.flags & ~kCurrent);
        data[length + 3] = feature.length;
        std::copy_n(feature.data.begin(), feature.length, &data[length + 4]);
        if (feature.code == 0 && profile() == kProfileDvdrom) data[length + 6] = kCurrent;
        if (feature.code == 0 && profile() == kProfileCdrom) data[length + 10] = kCurrent;
        length += 4U + feature.length;
    }
    put_big_endian(data, 0, 4, length - 4);
    put_big_endian(data, 6, 2, profile());
    return respond(length, big_endian(cdb, 7, 2));
}

// MMC-6, 6.6.
DataPlan ScsiCdrom::get_event_status(const Cdb& cdb) {
    constexpr uint8_t kNoEventAvailable = 0x80;
    const bool polled = (cdb[1] & 1) != 0;
    if (!polled) return fail(kInvalidFieldInCdb);
    const auto data = buffer();
    data[3] = 1 << kMediaClass;  // what is supported
    if ((cdb[4] & 1 << kMediaClass) == 0) {
        put_big_endian(data, 0, 2, 2);
        data[2] = kNoEventAvailable;
        return respond(4, big_endian(cdb, 7, 2));
    }
    put_big_endian(data, 0, 2, 6);
    data[2] = kMediaClass;
    data[4] = state_.media_event;
    data[5] = state_.tray_open ? 1 : 2;  // door open, medium present
    if (big_endian(cdb, 7, 2) > 4) state_.media_event = 0;
    return respond(8, big_endian(cdb, 7, 2));
}

// MMC-6, 6.13.
DataPlan ScsiCdrom::mechanism_status(const Cdb& cdb) {
    const auto data = buffer();
    data[1] = state_.tray_open ? 0x10 : 0;
    return respond(8, big_endian(cdb, 8, 2));
}

// MMC-6, 6.21: one complete session with one track.
DataPlan ScsiCdrom::read_disc_information(const Cdb& cdb) {
    if ((cdb[1] & 7) != 0) return fail(kInvalidFieldInCdb);  // track and POW resources
    const auto data = buffer();
    put_big_endian(data, 0, 2, 32);
    data[2] = 0x0e;                             // finalized, the last session is complete
    data[3] = data[4] = data[5] = data[6] = 1;  // first track, sessions, first and last track of it
    data[7] = 0x20;                             // for unrestricted use
    put_big_endian(data, 16, 4, 0xffff'ffff);
    put_big_endian(data, 20, 4, 0xffff'ffff);
    return respond(34, big_endian(cdb, 7, 2));
}

// MMC-6, 6.42.
DataPlan ScsiCdrom::start_stop(const Cdb& cdb) {
    const bool start = (cdb[4] & 1) != 0;
    const bool load_or_eject = (cdb[4] & 2) != 0;
    if (cdb[4] >> 4 != 0 || !load_or_eject) return {};
    if (start) {
        if (state_.tray_open) close_tray();
        return {};
    }
    if (state_.prevented) {
        state_.media_event = kEventEjectRequest;
        return fail(kRemovalPrevented);
    }
    if (!state_.tray_open) state_.media_event = kEventMediaRemoval;
    state_.tray_open = true;
    return {};
}

void ScsiCdrom::close_tray() {
    state_.tray_open = false;
    state_.media_event = kEventNewMedia;
    set_attention(kMediumChanged);
}

std::span<const uint8_t> ScsiCdrom::mode_pages() const {
    return kCdromModePages;
}

size_t ScsiCdrom::mode_page(uint8_t page, bool changeable, std::span<uint8_t> to) const {
    size_t length = 0;
    switch (page) {
        case kPageErrorRecovery: length = 12; break;
        case kPageCapabilities: length = changeable ? 20 : capabilities_page(to); break;
        default: return 0;
    }
    to[0] = page;
    to[1] = static_cast<uint8_t>(length - 2);
    return length;
}

// MMC-3, 5.5.10.
size_t ScsiCdrom::capabilities_page(std::span<uint8_t> to) const {
    constexpr uint64_t kSpeed = 4 * 176;  // kB/s
    to[2] = 0x0b;                         // reads CD-R, CD-RW and DVD-ROM
    to[4] = 0x70;                         // multi-session, mode 2 forms 2 and 1
    to[6] =
        static_cast<uint8_t>(0x29 | (state_.prevented ? 2 : 0));  // a tray that locks and ejects
    put_big_endian(to, 8, 2, kSpeed);
    put_big_endian(to, 12, 2, 512);  // KiB of buffer
    put_big_endian(to, 14, 2, kSpeed);
    return 20;
}

}  // namespace banyan
