// Qcow2Image: what changes an image.
#include <array>
#include <fmt/format.h>

#include "backends/block/image/image_error.hpp"
#include "backends/block/image/qcow2_compression.hpp"
#include "backends/block/image/qcow2_image.hpp"

namespace banyan {

using namespace qcow2;

namespace {

// Clusters given up that wait for a flush. When there are more, we flush ourselves, so that a guest
// that never does cannot make the file grow without bound.
constexpr size_t kMostGivenUp = 4096;
constexpr size_t kZeroPiece = 64 * 1024;

}  // namespace

// An image whose tables contradict each other must not be written to, either.
template <class T>
Result<T> Qcow2Image::noting_failure(Result<T> result) {
    if (!result && result.error().code() == ErrorCode::invalid_data) failed_ = true;
    return result;
}

Result<void> Qcow2Image::begin_change() {
    if (failed_) {
        return fail(ErrorCode::io, fmt::format("{}: an earlier failure left it in an unknown "
                                               "state; restart the VM and check the image",
                                               name_));
    }
    if (header_.lazy_refcounts() && !header_.dirty()) TRY(mark_dirty());
    if (refcounts_.given_up() > kMostGivenUp) TRY(commit());
    if (refcounts_.crowded() || mapping_.crowded()) TRY(write_metadata());
    return release_clusters();
}

Result<void> Qcow2Image::release_clusters() {
    TRY_ASSIGN(freed, refcounts_.release());
    if (freed.empty()) return {};
    {
        const MutexLock lock(decompressed_mutex_);
        decompressed_.reset();
    }
    for (size_t i = 0; i < freed.size();) {
        size_t end = i + 1;
        while (end < freed.size() && freed[end] == freed[i] + (end - i))
            ++end;
        // Space that cannot be given back is only wasted.
        (void)file_->discard(freed[i] << header_.cluster_bits, (end - i) << header_.cluster_bits);
        i = end;
    }
    for (const uint64_t cluster : freed)
        mapping_.forget(cluster);
    return {};
}

// The order is explained at the head of qcow2_image.hpp.
Result<void> Qcow2Image::write_metadata() {
    if (!lazy() || refcounts_.crowded()) {
        TRY(refcounts_.write_new_blocks());
        TRY(refcounts_.write_back());
    }
    if (!mapping_.dirty()) return {};
    TRY(mapping_.write_new_tables());
    TRY(shared_.barrier());
    return mapping_.write_back();
}

Result<void> Qcow2Image::commit() {
    TRY(write_metadata());
    TRY(shared_.barrier());
    refcounts_.unlinked();
    return {};
}

Result<void> Qcow2Image::flush() {
    {
        const MutexLock lock(change_);
        if (failed_) return begin_change();
        if (mapping_.dirty() || refcounts_.given_up() != 0) {
            TRY(commit());
            return noting_failure(release_clusters());
        }
    }
    return shared_.barrier();
}

Result<void> Qcow2Image::close() {
    if (!writable_) return {};
    const MutexLock lock(change_);
    if (failed_) return begin_change();
    TRY(commit());
    TRY(release_clusters());
    TRY(refcounts_.write_new_blocks());
    TRY(refcounts_.write_back());
    TRY(shared_.barrier());
    if (!header_.dirty()) return {};
    header_.incompatible &= ~kIncompatibleDirty;
    return write_features();
}

Result<void> Qcow2Image::write(uint64_t offset, const Scatter& from) {
    const InFlight::Request request(in_flight_);
    for (uint64_t done = 0; done < from.size();) {
        const Scatter rest = from.part(done, from.size() - done);
        TRY_ASSIGN(extent, mapping_.map(offset + done, rest.size()));
        if (extent.in_place()) {
            TRY(noting_failure(write_in_place(extent, rest)));
            done += extent.length;
        } else {
            TRY_ASSIGN(count, noting_failure(write_new(offset + done, rest)));
            done += count;
        }
    }
    return {};
}

// A hostile image could let a guest write its tables, and its header, which names files.
bool Qcow2Image::leads_to_table(const Qcow2Extent& extent) const {
    const uint64_t first = header_.cluster_of(extent.host);
    const uint64_t last = header_.cluster_of(extent.host + extent.length - 1);
    return metadata_.meets(first, last - first + 1);
}

Result<void> Qcow2Image::write_in_place(const Qcow2Extent& extent, const Scatter& from) {
    if (failed_) return fail(ErrorCode::io, name_ + ": it failed before; restart the VM");
    if (leads_to_table(extent)) return malformed(name_, "an L2 entry leads to a table");
    return file_->write(extent.host, from.part(0, extent.length));
}

// Data for clusters that cannot be changed in place. Returns how much of it was written.
Result<uint64_t> Qcow2Image::write_new(uint64_t offset, const Scatter& from) {
    const MutexLock lock(change_);
    TRY(begin_change());
    TRY_ASSIGN(extent, mapping_.map(offset, from.size()));
    if (extent.in_place()) {  // another request was quicker
        TRY(write_in_place(extent, from));
        return extent.length;
    }
    TRY_ASSIGN(table, mapping_.table_to_change(offset));
    TRY_ASSIGN(target, find_target(extent, offset));
    const uint64_t room = target.run.count * header_.cluster_size() - header_.in_cluster(offset);
    const uint64_t length = std::min(extent.length, room);
    const auto filled = fill(target, offset, from.part(0, length), reads_as_zeroes(extent, offset));
    if (!filled) {
        if (target.allocated) TRY(refcounts_.undo(target.run));
        return tl::unexpected(filled.error());
    }
    TRY(link(table, offset, length, target.run.first));
    return length;
}

// "Standard Cluster Descriptor": a cluster that reads as zeroes may have been kept.
Result<Qcow2Image::Target> Qcow2Image::find_target(const Qcow2Extent& extent, uint64_t offset) {
    const uint64_t clusters = header_.clusters_for(header_.in_cluster(offset) + extent.length);
    if (extent.kind == ExtentKind::zero && extent.copied) {
        const ClusterRun kept{header_.cluster_of(extent.host), clusters};
        if (metadata_.meets(kept.first, kept.count)) {
            return malformed(name_, "an L2 entry leads to a table");
        }
        return Target{.run = kept};
    }
    TRY_ASSIGN(run, refcounts_.allocate(clusters));
    const bool fresh = run.first << header_.cluster_bits >= file_->size();
    return Target{.run = run, .allocated = true, .fresh = fresh};
}

// Whole clusters are written: what the request does not bring comes from where it was before.
Result<void> Qcow2Image::fill(const Target& target, uint64_t offset, const Scatter& from,
                              bool was_zero) {
    const uint64_t start = header_.round_down(offset);
    const uint64_t head = offset - start;
    const uint64_t end = offset + from.size();
    const uint64_t tail = header_.round_up(end) - end;
    const uint64_t host = target.run.first << header_.cluster_bits;
    // Clusters beyond the end of the file hold zeroes already.
    if (target.fresh && was_zero && !backing_covers(start)) return file_->write(host + head, from);

    Bytes around(head + tail);
    const std::span before = std::span(around).first(head);
    const std::span behind = std::span(around).subspan(head);
    TRY(read_for_copy(start, before));
    TRY(read_for_copy(end, behind));
    std::vector<std::span<std::byte>> pieces{before};
    from.for_each([&](std::span<std::byte> piece) { pieces.push_back(piece); });
    pieces.push_back(behind);
    return file_->write(host, Scatter(pieces, head + from.size() + tail));
}

// The last cluster may reach beyond the disk.
Result<void> Qcow2Image::read_for_copy(uint64_t offset, std::span<std::byte> to) {
    const uint64_t there = offset < size() ? std::min<uint64_t>(size() - offset, to.size()) : 0;
    return read_mapped(offset, OneBuffer(to.first(there)));
}

Result<void> Qcow2Image::link(const Qcow2Mapping::Table& table, uint64_t offset, uint64_t length,
                              uint64_t first_cluster) {
    const uint64_t clusters = header_.clusters_for(header_.in_cluster(offset) + length);
    for (uint64_t i = 0; i < clusters; ++i) {
        const uint64_t host = (first_cluster + i) << header_.cluster_bits;
        TRY(mapping_.set_entry(table, offset + (i << header_.cluster_bits), host | kCopied));
    }
    return {};
}

Result<void> Qcow2Image::write_zeroes(uint64_t offset, uint64_t length) {
    const InFlight::Request request(in_flight_);
    const uint64_t end = offset + length;
    const uint64_t full_start = header_.round_up(offset);
    // At the end of the disk, nobody sees the rest of the cluster.
    const uint64_t full_end = end == size() ? end : header_.round_down(end);
    if (full_start >= full_end) return write_zero_bytes(offset, length);
    TRY(write_zero_bytes(offset, full_start - offset));
    TRY(clear(full_start, full_end, Clearing::zeroes));
    return write_zero_bytes(full_end, end - full_end);
}

Result<void> Qcow2Image::discard(uint64_t offset, uint64_t length) {
    const InFlight::Request request(in_flight_);
    const uint64_t end = offset + length;
    const uint64_t full_end = end == size() ? end : header_.round_down(end);
    return clear(header_.round_up(offset), full_end, Clearing::discard);
}

// Parts of clusters.
Result<void> Qcow2Image::write_zero_bytes(uint64_t offset, uint64_t length) {
    Bytes zeroes(std::min<uint64_t>(length, kZeroPiece));
    while (length != 0) {
        TRY_ASSIGN(extent, mapping_.map(offset, length));
        const uint64_t count = std::min<uint64_t>(extent.length, zeroes.size());
        if (!reads_as_zeroes(extent, offset)) {
            TRY(write(offset, OneBuffer(std::span(zeroes).first(count))));
        }
        offset += count;
        length -= count;
    }
    return {};
}

Result<void> Qcow2Image::clear(uint64_t start, uint64_t end, Clearing clearing) {
    while (start < end) {
        TRY_ASSIGN(count, noting_failure(clear_some(start, end - start, clearing)));
        start += count;
    }
    return {};
}

// Clusters that are alike. Returns how much of the disk they are.
Result<uint64_t> Qcow2Image::clear_some(uint64_t offset, uint64_t length, Clearing clearing) {
    TRY_ASSIGN(seen, mapping_.map(offset, length));
    const bool hides_backing = backing_covers(offset);
    const bool needless =
        (seen.kind == ExtentKind::zero && seen.host == 0) ||
        (seen.kind == ExtentKind::absent && (clearing == Clearing::discard || !hides_backing));
    if (needless) return seen.length;
    // Version 2 cannot say that a cluster is zero.
    if (hides_backing && header_.version < 3) {
        if (clearing == Clearing::zeroes) TRY(write_zero_bytes(offset, seen.length));
        return seen.length;
    }
    const MutexLock lock(change_);
    TRY(begin_change());
    TRY_ASSIGN(extent, mapping_.map(offset, length));
    TRY(set_entries(offset, extent.length, hides_backing ? kZero : 0));
    return extent.length;
}

Result<void> Qcow2Image::set_entries(uint64_t offset, uint64_t length, uint64_t entry) {
    TRY_ASSIGN(table, mapping_.table_to_change(offset));
    for (uint64_t done = 0; done < length; done += header_.cluster_size())
        TRY(mapping_.set_entry(table, offset + done, entry));
    return {};
}

Result<void> Qcow2Image::write_compressed(uint64_t offset, std::span<std::byte> cluster) {
    const auto data = compress_cluster(cluster);
    if (!data || header_.compression != kCompressionDeflate) {
        return write(offset, OneBuffer(cluster));
    }
    Bytes bytes = *data;
    const MutexLock lock(change_);
    TRY(begin_change());
    TRY_ASSIGN(table, mapping_.table_to_change(offset));
    TRY_ASSIGN(place, place_for_compressed(bytes.size()));
    TRY(file_->write_bytes(place, bytes));
    const Qcow2Compressed compressed{place, bytes.size()};
    return mapping_.set_entry(table, offset, compressed.encode(header_.cluster_bits));
}

// Right behind the last compressed data, also across the end of their cluster, if the cluster's
// count can take one more; else in a new cluster.
Result<uint64_t> Qcow2Image::place_for_compressed(uint64_t length) {
    const uint64_t last = header_.cluster_of(compressed_end_);
    const uint64_t used = header_.in_cluster(compressed_end_);
    const uint64_t room = used == 0 ? 0 : header_.cluster_size() - used;
    bool shared = false;
    if (length <= room) {
        TRY_ASSIGN(added, refcounts_.add_reference(last));
        shared = added;
    }
    if (!shared) {
        TRY_ASSIGN(run, refcounts_.allocate(1));
        if (length > room && room != 0 && run.first == last + 1) {
            TRY_ASSIGN(added, refcounts_.add_reference(last));
            shared = added;
        }
        if (!shared) compressed_end_ = run.first << header_.cluster_bits;
    }
    const uint64_t place = compressed_end_;
    compressed_end_ += length;
    return place;
}

Result<void> Qcow2Image::resize(uint64_t size) {
    const uint64_t old_size = header_.size;
    if (size < old_size) return refuse_shrinking(name_);
    if (size == old_size) return {};
    if (!snapshots_.all.empty()) {
        return unsupported_image(name_, "it has internal snapshots, which have the old size",
                                 "delete them with qemu-img snapshot -d first");
    }
    const uint64_t most = kMostL1Bytes / kEntrySize * header_.l2_entries();
    if (size > most << header_.cluster_bits) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{}: a disk of {} bytes needs larger clusters; make a new image "
                                "with --cluster-size 2M",
                                name_, size));
    }
    TRY(grow_l1(size));
    header_.size = size;
    auto grown = hide_what_grows_into_view(old_size);
    if (grown) grown = write_size();
    if (!grown) header_.size = old_size;
    return grown;
}

Result<void> Qcow2Image::grow_l1(uint64_t size) {
    const uint64_t entries = header_.l1_entries_for(size);
    if (entries <= header_.l1_entries) return {};
    const MutexLock lock(change_);
    TRY(begin_change());
    TRY(commit());
    return noting_failure(mapping_.grow(entries));
}

// What the old end cut off, of the last cluster and of a backing file, must not come into view.
Result<void> Qcow2Image::hide_what_grows_into_view(uint64_t old_size) {
    const uint64_t end_of_cluster = std::min(header_.round_up(old_size), size());
    TRY(write_zero_bytes(old_size, end_of_cluster - old_size));
    const uint64_t end_of_backing = backing_ != nullptr ? backing_->size() : 0;
    const uint64_t end = std::min(end_of_backing, size());
    if (end <= end_of_cluster) return {};
    return write_zeroes(end_of_cluster, end - end_of_cluster);
}

Result<void> Qcow2Image::write_size() {
    TRY(flush());
    be64 field = header_.size;
    TRY(file_->write_bytes(offsetof(Header, size), std::as_writable_bytes(std::span(&field, 1))));
    return shared_.barrier();
}

}  // namespace banyan
