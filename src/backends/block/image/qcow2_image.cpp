#include "backends/block/image/qcow2_image.hpp"

#include <fmt/format.h>

#include "backends/block/image/image_error.hpp"
#include "backends/block/image/qcow2_check.hpp"
#include "backends/block/image/qcow2_compression.hpp"

namespace banyan {

using namespace qcow2;

Result<std::unique_ptr<Qcow2Image>> Qcow2Image::open(std::unique_ptr<ImageFile> file,
                                                     const Qcow2Options& options) {
    TRY_ASSIGN(header, Qcow2Header::read(*file, options.name));
    TRY_ASSIGN(snapshots, read_snapshots(*file, header, options.name));
    std::unique_ptr<Qcow2Image> image(
        new Qcow2Image(std::move(file), options, std::move(header), std::move(snapshots)));
    TRY(image->open_tables());
    if (options.writable) TRY(image->prepare_to_write());
    return image;
}

Qcow2Image::Qcow2Image(std::unique_ptr<ImageFile> file, const Qcow2Options& options,
                       Qcow2Header header, Qcow2Snapshots snapshots)
    : file_(std::move(file)),
      name_(options.name),
      writable_(options.writable),
      header_(std::move(header)),
      snapshots_(std::move(snapshots)),
      shared_{*file_, header_, metadata_, failed_, name_},
      refcounts_(shared_, in_flight_),
      mapping_(shared_, refcounts_) {}

Result<void> Qcow2Image::open_tables() {
    TRY(claim_fixed_tables());
    TRY(refcounts_.open());
    return mapping_.open();
}

// What a guest's data must never be written to. No two tables may share a cluster.
Result<void> Qcow2Image::claim_fixed_tables() {
    const auto claim = [&](uint64_t offset, uint64_t bytes) {
        return bytes == 0 || metadata_.add(header_.cluster_of(offset), header_.clusters_for(bytes));
    };
    bool apart = claim(0, header_.cluster_size());
    apart = apart && claim(header_.l1_offset, header_.l1_entries * kEntrySize);
    apart = apart && claim(header_.refcount_table_offset,
                           uint64_t{header_.refcount_table_clusters} << header_.cluster_bits);
    apart = apart && claim(header_.snapshots_offset, snapshots_.table_bytes);
    for (const Qcow2Snapshot& snapshot : snapshots_.all)
        apart = apart && claim(snapshot.l1_offset, snapshot.l1_entries * kEntrySize);
    if (!apart) return malformed(name_, "two of its tables lie in the same place");
    return {};
}

Result<void> Qcow2Image::prepare_to_write() {
    if (header_.corrupt()) {
        return malformed(name_, "it is marked as corrupt, and can only be read (readonly=on)");
    }
    if (header_.dirty()) TRY(mend());
    if (header_.autoclear == 0) return {};
    // "Header", autoclear_features: what we do not keep up to date, we must not claim.
    header_.autoclear = 0;
    return write_features();
}

// "Header", incompatible_features, bit 0: the tables are right, the counts may be not.
Result<void> Qcow2Image::mend() {
    TRY_ASSIGN(report, check_qcow2(*file_, header_, snapshots_, name_));
    if (!report.mendable) {
        return malformed(name_, "more than its reference counts is wrong");
    }
    TRY(refcounts_.rebuild(report.counts, report.end));
    TRY(refcounts_.write_new_blocks());
    TRY(refcounts_.write_back());
    TRY(shared_.barrier());
    header_.incompatible &= ~kIncompatibleDirty;
    return write_features();
}

// All in one sector.
Result<void> Qcow2Image::write_features() {
    if (header_.version < 3) return {};
    std::array<be64, 3> fields{header_.incompatible, header_.compatible, header_.autoclear};
    TRY(file_->write_bytes(offsetof(Header, incompatible_features),
                           std::as_writable_bytes(std::span(fields))));
    return shared_.barrier();
}

Result<void> Qcow2Image::mark_dirty() {
    header_.incompatible |= kIncompatibleDirty;
    auto marked = write_features();
    if (!marked) header_.incompatible &= ~kIncompatibleDirty;
    return marked;
}

Result<void> Qcow2Image::read(uint64_t offset, const Scatter& to) {
    const InFlight::Request request(in_flight_);
    return read_mapped(offset, to);
}

Result<void> Qcow2Image::read_mapped(uint64_t offset, const Scatter& to) {
    for (uint64_t done = 0; done < to.size();) {
        TRY_ASSIGN(extent, mapping_.map(offset + done, to.size() - done));
        TRY(read_extent(extent, offset + done, to.part(done, extent.length)));
        done += extent.length;
    }
    return {};
}

Result<void> Qcow2Image::read_extent(const Qcow2Extent& extent, uint64_t offset,
                                     const Scatter& to) {
    switch (extent.kind) {
        case ExtentKind::absent: return read_backing(offset, to);
        case ExtentKind::data: return file_->read(extent.host, to);
        case ExtentKind::compressed: return read_compressed(extent, offset, to);
        case ExtentKind::zero: break;
    }
    to.fill_with_zeroes();
    return {};
}

// "Cluster mapping": behind the end of the backing file there are zeroes.
Result<void> Qcow2Image::read_backing(uint64_t offset, const Scatter& to) {
    const uint64_t there = backing_covers(offset) ? backing_->size() - offset : 0;
    const uint64_t count = std::min(there, to.size());
    if (count != 0) TRY(backing_->read(offset, to.part(0, count)));
    to.part(count, to.size() - count).fill_with_zeroes();
    return {};
}

bool Qcow2Image::backing_covers(uint64_t offset) const {
    return backing_ != nullptr && offset < backing_->size();
}

bool Qcow2Image::reads_as_zeroes(const Qcow2Extent& extent, uint64_t offset) const {
    return extent.kind == ExtentKind::zero ||
           (extent.kind == ExtentKind::absent && !backing_covers(offset));
}

Result<void> Qcow2Image::read_compressed(const Qcow2Extent& extent, uint64_t offset,
                                         const Scatter& to) {
    const MutexLock lock(decompressed_mutex_);
    if (decompressed_ == nullptr || decompressed_entry_ != extent.compressed) {
        const auto place = Qcow2Compressed::decode(extent.compressed, header_.cluster_bits);
        Bytes data(std::min(place.length, file_->size() - place.offset));
        TRY(file_->read_bytes(place.offset, data));
        auto cluster = std::make_shared<Bytes>(header_.cluster_size());
        if (!decompress_cluster(header_.compression, data, *cluster)) {
            return malformed(name_, "a compressed cluster cannot be decompressed");
        }
        decompressed_ = std::move(cluster);
        decompressed_entry_ = extent.compressed;
    }
    to.copy_from(std::span(*decompressed_).subspan(header_.in_cluster(offset), to.size()));
    return {};
}

Result<Stretch> Qcow2Image::stretch(uint64_t offset, uint64_t length) {
    TRY_ASSIGN(extent, mapping_.map(offset, length));
    if (extent.kind == ExtentKind::absent && backing_covers(offset)) {
        return backing_->stretch(offset, std::min(extent.length, backing_->size() - offset));
    }
    return Stretch{reads_as_zeroes(extent, offset), extent.length};
}

}  // namespace banyan
