#include "devices/storage/ata_disk.hpp"

#include <algorithm>

#include "support/bits.hpp"

namespace banyan {

using namespace ata;

namespace {

constexpr uint8_t kMaxSectorsOfMultiple = 16;
constexpr uint32_t kDefaultHeads = 16;
constexpr uint32_t kDefaultSectorsPerTrack = 63;
constexpr uint64_t kMaxCylinders = 16383;  // ATA/ATAPI-6, 6.2.1: then software takes the LBA
constexpr uint64_t kLba28Sectors = 0x0fff'ffff;
constexpr uint16_t kQueueDepth = 32;
constexpr size_t kTrimEntry = 8;

constexpr uint8_t low(uint16_t value) {
    return static_cast<uint8_t>(value);
}

}  // namespace

AtaDisk::AtaDisk(const AtaDeviceConfig& config, BlockBackend& device_backend)
    : AtaDevice(config, device_backend),
      sectors_(std::min(device_backend.size_bytes() / kSector, mask(47, 0))),
      read_only_(device_backend.read_only()) {}

bool AtaDisk::trims() const {
    return !read_only_ && backend().supports(BlockRequest::Kind::discard);
}

// ACS-3, 7, by the way the data move.
std::optional<AtaDisk::Transfer> AtaDisk::transfer_of(Op op) {
    using enum AtaProtocol;
    constexpr auto kIn = PlanKind::media_in;
    constexpr auto kOut = PlanKind::media_out;
    switch (op) {
        case Op::read_sectors:
        case Op::read_sectors_without_retry: return Transfer{kIn, pio, Width::lba28};
        case Op::read_sectors_ext: return Transfer{kIn, pio, Width::lba48};
        case Op::read_multiple: return Transfer{kIn, pio, Width::lba28, true};
        case Op::read_multiple_ext: return Transfer{kIn, pio, Width::lba48, true};
        case Op::read_dma:
        case Op::read_dma_without_retry: return Transfer{kIn, dma, Width::lba28};
        case Op::read_dma_ext: return Transfer{kIn, dma, Width::lba48};
        case Op::write_sectors:
        case Op::write_sectors_without_retry: return Transfer{kOut, pio, Width::lba28};
        case Op::write_sectors_ext: return Transfer{kOut, pio, Width::lba48};
        case Op::write_multiple: return Transfer{kOut, pio, Width::lba28, true};
        case Op::write_multiple_ext: return Transfer{kOut, pio, Width::lba48, true};
        case Op::write_multiple_fua_ext: return Transfer{kOut, pio, Width::lba48, true, true};
        case Op::write_dma:
        case Op::write_dma_without_retry: return Transfer{kOut, dma, Width::lba28};
        case Op::write_dma_ext: return Transfer{kOut, dma, Width::lba48};
        case Op::write_dma_fua_ext: return Transfer{kOut, dma, Width::lba48, false, true};
        default: return std::nullopt;
    }
}

bool AtaDisk::is_queued(Op op) {
    return op == Op::read_fpdma_queued || op == Op::write_fpdma_queued;
}

AtaPlan AtaDisk::start(const AtaCommand& command, BlockWork& work) {
    if (const auto how = transfer_of(command.op)) return transfer(command, *how);
    switch (command.op) {
        case Op::read_fpdma_queued:
        case Op::write_fpdma_queued: return queued(command);
        case Op::read_verify:
        case Op::read_verify_without_retry: return verify(command, Width::lba28);
        case Op::read_verify_ext: return verify(command, Width::lba48);
        case Op::flush_cache:
        case Op::flush_cache_ext: return flush(command, work);
        case Op::set_features: return set_features(command, work);
        case Op::set_multiple_mode: return set_multiple(command);
        case Op::initialize_device_parameters: return initialize_parameters(command);
        case Op::data_set_management: return data_set_management(command);
        case Op::read_log_ext: return read_log(command);
        case Op::identify_device: return identify(command);
        case Op::check_power_mode: return check_power_mode(command);
        case Op::execute_device_diagnostic: return diagnose(command);
        default: return other(command, work);
    }
}

// What has no effect that a guest could see; the power modes write the cache.
AtaPlan AtaDisk::other(const AtaCommand& command, BlockWork& work) {
    switch (command.op) {
        case Op::standby_immediate:
        case Op::standby:
        case Op::sleep: return flush(command, work);
        case Op::idle_immediate:
        case Op::idle: return complete(command);
        default: break;
    }
    const auto group = static_cast<Op>(static_cast<uint8_t>(command.op) & 0xf0);
    if (group == Op::recalibrate || group == Op::seek) return complete(command);
    return fail(command, kErrorAbort);
}

// ACS-3, 3.1.41 and ATA/ATAPI-6, 6.2: with LBA clear in the device register, the address is
// cylinder, head and sector.
std::optional<uint64_t> AtaDisk::first_sector(const AtaCommand& command, Width width) const {
    if (width == Width::lba48) return command.lba;
    const uint64_t top = command.device & 0xf;
    if ((command.device & kDeviceLba) != 0) return top << 24 | (command.lba & mask(23, 0));
    const uint64_t sector = command.lba & 0xff;  // counted from 1
    const uint64_t cylinder = bits(command.lba, 23, 8);
    if (sector == 0 || sector > state_.sectors_per_track || top >= state_.heads)
        return std::nullopt;
    return (cylinder * state_.heads + top) * state_.sectors_per_track + sector - 1;
}

std::optional<AtaDisk::Extent> AtaDisk::extent(const AtaCommand& command, Width width) const {
    const auto first = first_sector(command, width);
    uint64_t count = width == Width::lba48 ? command.count : low(command.count);
    if (count == 0) count = width == Width::lba48 ? 0x10000 : 0x100;
    if (!first || *first > sectors_ || count > sectors_ - *first) return std::nullopt;
    return Extent{*first, count};
}

AtaPlan AtaDisk::transfer(const AtaCommand& command, const Transfer& how) {
    const bool write = how.kind == PlanKind::media_out;
    // ACS-3, 7.24.3: without SET MULTIPLE MODE before, it is aborted.
    if (how.multiple && state_.multiple == 0) return fail(command, kErrorAbort);
    if (write && read_only_) return fail(command, kErrorAbort);
    const auto sectors = extent(command, how.width);
    if (!sectors) return fail(command, kErrorIdNotFound);
    AtaPlan plan = complete(command);
    plan.data = {.kind = how.kind,
                 .offset = sectors->sector * kSector,
                 .length = sectors->count * kSector,
                 .flush_after = write && (how.through || !state_.write_cache)};
    plan.protocol = how.protocol;
    if (how.multiple) plan.drq_length = uint64_t{state_.multiple} * kSector;
    return plan;
}

// ACS-3, 7.22 and 7.61: the number of sectors is in the features.
AtaPlan AtaDisk::queued(const AtaCommand& command) {
    const bool write = command.op == Op::write_fpdma_queued;
    constexpr uint8_t kForceUnitAccess = 1 << 7;
    if (cable() != AtaCable::serial) return fail(command, kErrorAbort);
    if (write && read_only_) return fail_queued(command, kErrorAbort);
    AtaCommand plain = command;
    plain.count = command.features;
    const auto sectors = extent(plain, Width::lba48);
    if (!sectors) return fail_queued(command, kErrorIdNotFound);
    const bool through = !state_.write_cache || (command.device & kForceUnitAccess) != 0;
    AtaPlan plan = complete(command);
    plan.data = {.kind = write ? PlanKind::media_out : PlanKind::media_in,
                 .offset = sectors->sector * kSector,
                 .length = sectors->count * kSector,
                 .flush_after = write && through};
    plan.protocol = AtaProtocol::queued;
    return plan;
}

AtaOutput AtaDisk::fail_plan(const AtaCommand& command, PlanRunner::Result result, bool write,
                             uint64_t done) {
    const bool medium = result == PlanRunner::Result::media_error;
    AtaOutput output = echo(command);
    output.error = medium && !write ? kErrorUncorrectable : kErrorAbort;
    const bool wide = is_queued(command.op) ||
                      (transfer_of(command.op) && transfer_of(command.op)->width == Width::lba48);
    // The first sector that was not done; of old commands only where it is an LBA.
    if (const auto first = first_sector(command, wide ? Width::lba48 : Width::lba28)) {
        const uint64_t at = *first + done / kSector;
        const bool chs = !wide && (command.device & kDeviceLba) == 0;
        if (!chs) output.lba = wide ? at : at & mask(23, 0);
    }
    if (is_queued(command.op)) log_failure(command, output);
    return output;
}

AtaPlan AtaDisk::fail_queued(const AtaCommand& command, uint8_t error) {
    AtaPlan plan = fail(command, error);
    plan.protocol = AtaProtocol::queued;
    log_failure(command, plan.output);
    return plan;
}

void AtaDisk::log_failure(const AtaCommand& command, const AtaOutput& output) {
    state_.failed_tag = static_cast<uint8_t>(bits(command.count, 7, 3));
    state_.failed_error = output.error;
    state_.failed_lba = output.lba;
}

AtaPlan AtaDisk::verify(const AtaCommand& command, Width width) {
    if (!extent(command, width)) return fail(command, kErrorIdNotFound);
    return complete(command);
}

AtaPlan AtaDisk::flush(const AtaCommand& command, BlockWork& work) {
    work.kind = BlockWork::Kind::flush;
    AtaPlan plan = complete(command);
    plan.data.kind = PlanKind::work;
    return plan;
}

AtaPlan AtaDisk::set_features(const AtaCommand& command, BlockWork& work) {
    switch (Feature{low(command.features)}) {
        case Feature::enable_write_cache: state_.write_cache = true; return complete(command);
        case Feature::disable_write_cache: state_.write_cache = false; return flush(command, work);
        case Feature::enable_look_ahead: state_.look_ahead = true; return complete(command);
        case Feature::disable_look_ahead: state_.look_ahead = false; return complete(command);
        case Feature::disable_revert_to_defaults:
        case Feature::enable_revert_to_defaults: return complete(command);
        case Feature::set_transfer_mode:
            if (set_transfer_mode(low(command.count))) return complete(command);
            break;
    }
    return fail(command, kErrorAbort);
}

AtaPlan AtaDisk::set_multiple(const AtaCommand& command) {
    const uint8_t sectors = low(command.count);
    const bool possible = std::has_single_bit(sectors) && sectors <= kMaxSectorsOfMultiple;
    if (sectors != 0 && !possible) return fail(command, kErrorAbort);
    state_.multiple = sectors;
    return complete(command);
}

// ATA/ATAPI-5, 8.16.
AtaPlan AtaDisk::initialize_parameters(const AtaCommand& command) {
    const uint8_t sectors_per_track = low(command.count);
    const auto heads = static_cast<uint8_t>((command.device & 0xf) + 1);
    if (sectors_per_track == 0 || cylinders(heads, sectors_per_track) == 0)
        return fail(command, kErrorAbort);
    state_.heads = heads;
    state_.sectors_per_track = sectors_per_track;
    return complete(command);
}

AtaPlan AtaDisk::check_power_mode(const AtaCommand& command) const {
    AtaPlan plan = complete(command);
    plan.output.count = 0xff;  // ACS-3, 7.3.4: active or idle
    return plan;
}

AtaPlan AtaDisk::diagnose(const AtaCommand& command) const {
    AtaPlan plan = complete(command);
    plan.output = signature();
    return plan;
}

// ACS-3, 7.5: the list is one sector, as word 105 says.
AtaPlan AtaDisk::data_set_management(const AtaCommand& command) {
    if (!trims() || low(command.features) != kTrim || command.count != 1)
        return fail(command, kErrorAbort);
    AtaPlan plan = complete(command);
    plan.data = {.kind = PlanKind::data_out, .length = kSector};
    plan.protocol = AtaProtocol::dma;
    return plan;
}

AtaPlan AtaDisk::take_parameters(const AtaCommand& command, std::span<const std::byte> bytes,
                                 BlockWork& work) {
    work.kind = BlockWork::Kind::discard;
    work.range_count = 0;
    for (size_t at = 0; at + kTrimEntry <= bytes.size(); at += kTrimEntry) {
        le64 entry;
        std::memcpy(&entry, bytes.data() + at, sizeof(entry));
        const uint64_t sector = bits(uint64_t{entry}, 47, 0);
        const uint64_t count = bits(uint64_t{entry}, 63, 48);
        if (sector > sectors_ || count > sectors_ - sector) return fail(command, kErrorIdNotFound);
        work.add({sector * kSector, count * kSector});
    }
    AtaPlan plan = complete(command);
    plan.data.kind = PlanKind::work;
    return plan;
}

DataPlan AtaDisk::start_packet(std::span<const uint8_t>, BlockWork&) {
    return {.kind = PlanKind::failed};
}

DataPlan AtaDisk::take_packet_parameters(std::span<const std::byte>, BlockWork&) {
    return {.kind = PlanKind::failed};
}

// ACS-3, 7.24.
AtaPlan AtaDisk::read_log(const AtaCommand& command) {
    const auto log = static_cast<uint8_t>(command.lba);
    const uint64_t page = bits(command.lba, 15, 8) | bits(command.lba, 39, 32) << 8;
    if (page != 0 || command.count != 1) return fail(command, kErrorAbort);
    if (log == kLogDirectory) {
        fill_log_directory(words());
    } else if (log == kLogQueuedError && cable() == AtaCable::serial) {
        fill_queued_error(words());
    } else {
        return fail(command, kErrorAbort);
    }
    return respond_words(command);
}

// ACS-3, A.2: of each log, how many pages it has.
void AtaDisk::fill_log_directory(std::span<le16> to) const {
    to[0] = uint16_t{1};  // version
    if (cable() == AtaCable::serial) to[kLogQueuedError] = uint16_t{1};
}

// ACS-3, A.13; to read it ends the error.
void AtaDisk::fill_queued_error(std::span<le16> to) {
    constexpr uint8_t kNotQueued = 1 << 7;
    const bool any = state_.failed_error != 0;
    const auto bytes = std::as_writable_bytes(to);
    const auto put = [&](size_t at, uint64_t value) { bytes[at] = static_cast<std::byte>(value); };
    put(0, any ? state_.failed_tag : kNotQueued);
    if (any) {
        put(2, kStatusReady | kStatusError);
        put(3, state_.failed_error);
        put(7, kDeviceLba);
    }
    for (unsigned i = 0; i < 3; ++i) {
        put(4 + i, state_.failed_lba >> (8 * i) & 0xff);
        put(8 + i, state_.failed_lba >> (8 * i + 24) & 0xff);
    }
    uint8_t sum = 0;
    for (const std::byte byte : bytes)
        sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(byte));
    put(511, 0U - sum);
    state_.failed_tag = state_.failed_error = 0;
    state_.failed_lba = 0;
}

uint16_t AtaDisk::cylinders(uint32_t heads, uint32_t sectors_per_track) const {
    return static_cast<uint16_t>(
        std::min<uint64_t>(sectors_ / (heads * sectors_per_track), kMaxCylinders));
}

// ACS-3, 7.12.7 "IDENTIFY DEVICE data", by number of word.
AtaPlan AtaDisk::identify(const AtaCommand& command) {
    const auto to = words();
    to[0] = uint16_t{0x0040};  // a fixed device
    identify_names("Banyan disk");
    identify_geometry(to);
    to[47] = uint16_t{0x8000 | kMaxSectorsOfMultiple};
    to[49] = uint16_t{0x0f00};  // IORDY, LBA, DMA
    to[50] = uint16_t{0x4000};
    if (state_.multiple != 0) to[59] = static_cast<uint16_t>(0x0100 | state_.multiple);
    identify_modes();
    identify_features(to);
    seal_identify();
    return respond_words(command);
}

void AtaDisk::identify_geometry(std::span<le16> to) const {
    to[1] = cylinders(kDefaultHeads, kDefaultSectorsPerTrack);
    to[3] = uint16_t{kDefaultHeads};
    to[6] = uint16_t{kDefaultSectorsPerTrack};
    to[53] = uint16_t{1};  // words 54 to 58 mean something
    const uint16_t current = cylinders(state_.heads, state_.sectors_per_track);
    to[54] = current;
    to[55] = uint16_t{state_.heads};
    to[56] = uint16_t{state_.sectors_per_track};
    const uint32_t by_chs = uint32_t{current} * state_.heads * state_.sectors_per_track;
    to[57] = static_cast<uint16_t>(by_chs);
    to[58] = static_cast<uint16_t>(by_chs >> 16);
    const uint64_t by_lba28 = std::min(sectors_, kLba28Sectors);
    to[60] = static_cast<uint16_t>(by_lba28);
    to[61] = static_cast<uint16_t>(by_lba28 >> 16);
    for (unsigned i = 0; i < 4; ++i)
        to[100 + i] = static_cast<uint16_t>(sectors_ >> (16 * i));
}

void AtaDisk::identify_features(std::span<le16> to) const {
    constexpr uint16_t kWriteCache = bit<uint16_t>(5);
    constexpr uint16_t kLookAhead = bit<uint16_t>(6);
    constexpr uint16_t kPowerManagement = bit<uint16_t>(3);
    constexpr uint16_t kLba48AndFlushes = bit<uint16_t>(10) | bit<uint16_t>(12) | bit<uint16_t>(13);
    constexpr uint16_t kLogs = bit<uint16_t>(5);
    constexpr uint16_t kForceUnitAccess = bit<uint16_t>(6);
    constexpr uint16_t kValid = bit<uint16_t>(14);
    if (cable() == AtaCable::serial) {
        to[75] = uint16_t{kQueueDepth - 1};
        to[76] = static_cast<uint16_t>(to[76] | 0x0100);  // NCQ
    }
    to[80] = uint16_t{0x01f0};  // ATA/ATAPI-4 to ATA8-ACS
    to[82] = uint16_t{kWriteCache | kLookAhead | kPowerManagement};
    to[83] = uint16_t{kValid | kLba48AndFlushes};
    to[84] = uint16_t{kValid | kLogs | kForceUnitAccess};
    to[85] = static_cast<uint16_t>(kPowerManagement | (state_.write_cache ? kWriteCache : 0) |
                                   (state_.look_ahead ? kLookAhead : 0));
    to[86] = kLba48AndFlushes;
    to[87] = uint16_t{kValid | kLogs | kForceUnitAccess};
    to[106] = kValid;  // a logical sector is a physical one
    if (trims()) {
        to[105] = uint16_t{1};  // sectors of a list
        to[169] = uint16_t{1};
    }
    to[217] = uint16_t{1};  // it does not rotate
}

}  // namespace banyan
