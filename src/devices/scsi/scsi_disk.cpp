#include "devices/scsi/scsi_disk.hpp"

#include <algorithm>
#include <array>

#include "support/bits.hpp"

namespace banyan {

using namespace scsi;

namespace {

constexpr uint8_t kForceUnitAccess = 1 << 3;  // byte 1 of READ and WRITE (10) to (16)
constexpr uint8_t kUnmapBit = 1 << 3;         // byte 1 of WRITE SAME
constexpr uint8_t kAnchorBit = 1 << 4;
constexpr uint8_t kNoDataOut = 1 << 0;  // NDOB, byte 1 of WRITE SAME (16)
constexpr uint8_t kByteCheck = 3 << 1;  // BYTCHK of VERIFY
constexpr uint64_t kMaxSameSectors = 1U << 22;
constexpr uint64_t kMaxUnmapSectors = 1U << 22;

constexpr uint8_t kVitalBlockLimits = 0xb0;
constexpr uint8_t kVitalCharacteristics = 0xb1;
constexpr uint8_t kVitalProvisioning = 0xb2;
constexpr std::array<uint8_t, 3> kDiskVitalPages{kVitalBlockLimits, kVitalCharacteristics,
                                                 kVitalProvisioning};
constexpr std::array<uint8_t, 3> kDiskModePages{kPageErrorRecovery, kPageCaching, kPageControl};
constexpr uint8_t kWriteCacheEnable = 1 << 2;  // WCE, byte 2 of the caching page

constexpr size_t kUnmapHeader = 8;
constexpr size_t kUnmapDescriptor = 16;

}  // namespace

ScsiDisk::ScsiDisk(const ScsiUnitConfig& config, BlockBackend& backend)
    : ScsiUnit(kTypeDisk, config, backend),
      sectors_(backend.size_bytes() / kSector),
      read_only_(backend.read_only()) {}

// Whether sectors can be given back.
bool ScsiDisk::thin() const {
    return !read_only_ && backend().supports(BlockRequest::Kind::discard);
}

DataPlan ScsiDisk::execute(const Cdb& cdb, BlockWork& work) {
    switch (Op{cdb[0]}) {
        case Op::test_unit_ready: return state_.stopped ? fail(kInitializingRequired) : DataPlan{};
        case Op::read6:
        case Op::read10:
        case Op::read12:
        case Op::read16: return transfer(cdb, PlanKind::media_in);
        case Op::write6:
        case Op::write10:
        case Op::write12:
        case Op::write16: return transfer(cdb, PlanKind::media_out);
        case Op::verify10:
        case Op::verify16: return verify(cdb);
        case Op::seek10: return {};
        case Op::synchronize_cache10:
        case Op::synchronize_cache16: return synchronize(cdb, work);
        case Op::write_same10:
        case Op::write_same16: return write_same(cdb);
        case Op::unmap: return unmap(cdb);
        case Op::read_capacity10: return read_capacity10(cdb);
        case Op::service_action_in16:
            if ((cdb[1] & 0x1f) == kReadCapacity16) return read_capacity16(cdb);
            return fail(kInvalidFieldInCdb);
        case Op::mode_sense6:
        case Op::mode_sense10: return mode_sense(cdb);
        case Op::mode_select6: return expect_parameters(cdb[4]);
        case Op::mode_select10: return expect_parameters(big_endian(cdb, 7, 2));
        case Op::start_stop_unit: return start_stop(cdb, work);
        case Op::prevent_allow: return {};
        default: return fail(kInvalidOpcode);
    }
}

DataPlan ScsiDisk::execute_with(const Cdb& cdb, std::span<const std::byte> bytes, BlockWork& work) {
    switch (Op{cdb[0]}) {
        case Op::write_same10:
        case Op::write_same16: return write_same_with(cdb, bytes, work);
        case Op::unmap: return unmap_with(bytes, work);
        default: return mode_select_with(cdb, bytes);
    }
}

// SBC-3, 5: READ, WRITE, VERIFY, SYNCHRONIZE CACHE and WRITE SAME have them at the same places.
ScsiDisk::Extent ScsiDisk::extent(const Cdb& cdb) {
    switch (cdb[0] >> 5) {  // SPC-4, 4.2.5.1: the group gives the length of the command block
        case 0: {
            const uint64_t count = cdb[4];
            return {big_endian(cdb, 1, 3) & mask(20, 0), count != 0 ? count : 256};
        }
        case 5: return {big_endian(cdb, 2, 4), big_endian(cdb, 6, 4)};
        case 4: return {big_endian(cdb, 2, 8), big_endian(cdb, 10, 4)};
        default: return {big_endian(cdb, 2, 4), big_endian(cdb, 7, 2)};
    }
}

bool ScsiDisk::inside(const Extent& extent) const {
    return extent.lba <= sectors_ && extent.count <= sectors_ - extent.lba;
}

DataPlan ScsiDisk::transfer(const Cdb& cdb, PlanKind kind) {
    const bool write = kind == PlanKind::media_out;
    const Extent sectors = extent(cdb);
    const bool six = cdb[0] >> 5 == 0;
    if (state_.stopped) return fail(kInitializingRequired);
    if (!six && cdb[1] >> 5 != 0) return fail(kInvalidFieldInCdb);  // protection information
    if (!inside(sectors)) return fail(kLbaOutOfRange);
    if (write && read_only_) return fail(kWriteProtected);
    if (sectors.count == 0) return {};
    const bool through = !state_.write_cache || (!six && (cdb[1] & kForceUnitAccess) != 0);
    return {.kind = kind,
            .offset = sectors.lba * kSector,
            .length = sectors.count * kSector,
            .flush_after = write && through};
}

// SBC-3, 5.31: without a comparison, that the sectors can be read. The back end knows no
// more of that than whether they are there.
DataPlan ScsiDisk::verify(const Cdb& cdb) {
    if ((cdb[1] & kByteCheck) != 0) return fail(kInvalidFieldInCdb);
    if (!inside(extent(cdb))) return fail(kLbaOutOfRange);
    return {};
}

// SBC-3, 5.21: a count of 0 is to the end. The whole cache is written in any case.
DataPlan ScsiDisk::synchronize(const Cdb& cdb, BlockWork& work) {
    if (!inside(extent(cdb))) return fail(kLbaOutOfRange);
    work.kind = BlockWork::Kind::flush;
    return {.kind = PlanKind::work};
}

// SBC-3, 5.15: all ones where the last sector's number does not fit.
DataPlan ScsiDisk::read_capacity10(const Cdb&) {
    const uint64_t last = sectors_ == 0 ? 0 : sectors_ - 1;
    const auto data = buffer();
    put_big_endian(data, 0, 4, std::min<uint64_t>(last, 0xffff'ffff));
    put_big_endian(data, 4, 4, kSector);
    return respond(8, 8);
}

// SBC-3, 5.16.
DataPlan ScsiDisk::read_capacity16(const Cdb& cdb) {
    const auto data = buffer();
    put_big_endian(data, 0, 8, sectors_ == 0 ? 0 : sectors_ - 1);
    put_big_endian(data, 8, 4, kSector);
    if (thin()) data[14] = 0x80;  // LBPME
    return respond(32, big_endian(cdb, 10, 4));
}

// SBC-3, 5.20: to stop is to write the cache first.
DataPlan ScsiDisk::start_stop(const Cdb& cdb, BlockWork& work) {
    const bool start = (cdb[4] & 1) != 0;
    if ((cdb[4] & 2) != 0) return fail(kInvalidFieldInCdb);  // nothing can be loaded or ejected
    if (cdb[4] >> 4 != 0) return {};  // power conditions: none differs from active
    state_.stopped = !start;
    if (start) return {};
    work.kind = BlockWork::Kind::flush;
    return {.kind = PlanKind::work};
}

DataPlan ScsiDisk::expect_parameters(uint64_t length) {
    if (length > DataPlan::kMaxParameters) return fail(kInvalidFieldInCdb);
    if (length == 0) return {};
    return {.kind = PlanKind::data_out, .length = length};
}

// SBC-3, 5.46 and 5.47.
DataPlan ScsiDisk::write_same(const Cdb& cdb) {
    const Extent sectors = extent(cdb);
    const bool discard = (cdb[1] & kUnmapBit) != 0;
    const bool no_data = Op{cdb[0]} == Op::write_same16 && (cdb[1] & kNoDataOut) != 0;
    if (cdb[1] >> 5 != 0 || (cdb[1] & kAnchorBit) != 0 || no_data || (discard && !thin()))
        return fail(kInvalidFieldInCdb);
    if (read_only_) return fail(kWriteProtected);
    if (!inside(sectors)) return fail(kLbaOutOfRange);
    // 0 is "to the end of the medium", which vital page B0 says is not for this disk (WSNZ).
    if (sectors.count == 0 || sectors.count > kMaxSameSectors) return fail(kInvalidFieldInCdb);
    return expect_parameters(kSector);
}

DataPlan ScsiDisk::write_same_with(const Cdb& cdb, std::span<const std::byte> block,
                                   BlockWork& work) {
    const Extent sectors = extent(cdb);
    // With UNMAP and zeroes, too: what was discarded need not read as zeroes, and this must.
    work.kind = BlockWork::Kind::fill;
    work.range_count = 0;
    work.add({sectors.lba * kSector, sectors.count * kSector});
    std::copy_n(block.begin(), kSector, work.pattern.begin());
    return {.kind = PlanKind::work, .flush_after = !state_.write_cache};
}

// SBC-3, 5.28.
DataPlan ScsiDisk::unmap(const Cdb& cdb) {
    if (!thin()) return read_only_ ? fail(kWriteProtected) : fail(kInvalidOpcode);
    if ((cdb[1] & 1) != 0) return fail(kInvalidFieldInCdb);  // ANCHOR
    return expect_parameters(big_endian(cdb, 7, 2));
}

DataPlan ScsiDisk::unmap_with(std::span<const std::byte> list, BlockWork& work) {
    if (list.size() < kUnmapHeader) return fail(kParameterLengthError);
    const size_t there = list.size() - kUnmapHeader;
    const size_t length = big_endian(list, 2, 2);
    if (length > there || length % kUnmapDescriptor != 0) return fail(kInvalidFieldInParameters);
    if (length / kUnmapDescriptor > BlockWork::kMaxRanges) return fail(kInvalidFieldInParameters);
    work.kind = BlockWork::Kind::discard;
    work.range_count = 0;
    uint64_t total = 0;
    for (size_t at = kUnmapHeader; at < kUnmapHeader + length; at += kUnmapDescriptor) {
        const Extent sectors{big_endian(list, at, 8), big_endian(list, at + 8, 4)};
        total += sectors.count;
        if (!inside(sectors)) return fail(kLbaOutOfRange);
        work.add({sectors.lba * kSector, sectors.count * kSector});
    }
    if (total > kMaxUnmapSectors) return fail(kInvalidFieldInParameters);
    return {.kind = PlanKind::work};
}

// SPC-4, 6.9: all that can be changed is the write cache.
DataPlan ScsiDisk::mode_select_with(const Cdb& cdb, std::span<const std::byte> list) {
    const bool six = Op{cdb[0]} == Op::mode_select6;
    const size_t header = six ? 4 : 8;
    if (list.size() < header) return fail(kParameterLengthError);
    size_t at = header + (six ? big_endian(list, 3, 1) : big_endian(list, 6, 2));
    bool write_cache = state_.write_cache;
    while (at < list.size()) {
        if (list.size() - at < 2) return fail(kParameterLengthError);
        const auto page = static_cast<uint8_t>(list[at]) & 0x3f;
        const size_t length = 2 + big_endian(list, at + 1, 1);
        if (length > list.size() - at) return fail(kParameterLengthError);
        std::array<uint8_t, 64> own{};
        if (mode_page(static_cast<uint8_t>(page), false, own) != length)
            return fail(kInvalidFieldInParameters);
        if (page == kPageCaching)
            write_cache = (static_cast<uint8_t>(list[at + 2]) & kWriteCacheEnable) != 0;
        at += length;
    }
    if (at != list.size()) return fail(kParameterLengthError);
    state_.write_cache = write_cache;
    return {};
}

std::span<const uint8_t> ScsiDisk::vital_pages() const {
    return kDiskVitalPages;
}

size_t ScsiDisk::vital_page(uint8_t page, std::span<uint8_t> body) const {
    switch (page) {
        case kVitalBlockLimits: return block_limits(body);
        case kVitalCharacteristics:
            put_big_endian(body, 0, 2, 1);  // SBC-3, 6.6.2: it does not rotate
            return 60;
        case kVitalProvisioning: return provisioning(body);
        default: return 0;
    }
}

// SBC-3, 6.6.3. Offsets are those of the manual less the header's 4.
size_t ScsiDisk::block_limits(std::span<uint8_t> body) const {
    body[0] = 1;  // WSNZ
    if (thin()) {
        put_big_endian(body, 16, 4, kMaxUnmapSectors);
        put_big_endian(body, 20, 4, BlockWork::kMaxRanges);
    }
    put_big_endian(body, 32, 8, kMaxSameSectors);
    return 60;
}

// SBC-3, 6.6.4.
size_t ScsiDisk::provisioning(std::span<uint8_t> body) const {
    constexpr uint8_t kUnmap = 1 << 7;
    constexpr uint8_t kSame16 = 1 << 6;
    constexpr uint8_t kSame10 = 1 << 5;
    body[1] = thin() ? kUnmap | kSame16 | kSame10 : 0;
    body[2] = thin() ? 2 : 0;  // thin or fully provisioned
    return 4;
}

std::span<const uint8_t> ScsiDisk::mode_pages() const {
    return kDiskModePages;
}

size_t ScsiDisk::mode_page(uint8_t page, bool changeable, std::span<uint8_t> to) const {
    const auto begin = [&](size_t length) {
        to[0] = page;
        to[1] = static_cast<uint8_t>(length - 2);
        return length;
    };
    switch (page) {
        case kPageErrorRecovery: return begin(12);
        case kPageCaching: {
            const size_t length = begin(20);
            if (changeable || state_.write_cache) to[2] = kWriteCacheEnable;
            return length;
        }
        case kPageControl: return begin(12);
        default: return 0;
    }
}

// SBC-3, 6.5.1: write protection; FUA is known.
uint8_t ScsiDisk::mode_device_parameter() const {
    return static_cast<uint8_t>((read_only_ ? 0x80 : 0) | 0x10);
}

size_t ScsiDisk::mode_block_descriptor(std::span<uint8_t, 8> to) const {
    put_big_endian(to, 0, 4, std::min<uint64_t>(sectors_, 0xffff'ffff));
    put_big_endian(to, 5, 3, kSector);
    return 8;
}

}  // namespace banyan
