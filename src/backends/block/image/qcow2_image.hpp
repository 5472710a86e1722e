// Qcow2Image: a disk in QEMU's format qcow2, versions 2 and 3, read and written.
//
// What survives a power cut. Tables that were changed stay in memory until flush() (or until there
// are too many of them), and are then written in this order, where | is a barrier of the file
// (fdatasync):
//
//   new refcount blocks | the refcount table's entries for them, all other refcount blocks, L2
//   tables that no L1 entry on disk leads to | L2 tables, L1 table | and only now are clusters
//   that were given up taken out of use, and their counts written, with the next flush
//
// The first barrier is there only when there are new refcount blocks, the second only when a table
// of the mapping was changed; the last is the flush that the guest asked for. The second also
// brings data to the disk before what leads to them. So whatever part of the writes since the last
// barrier survives, an entry on disk leads to data and tables that are whole and counted, and no
// cluster that an entry on disk leads to is used for something else. What a power cut can leave are
// clusters that are counted and not used (leaks), as in QEMU. Tables that must be contiguous (L1,
// refcount table) are written elsewhere when they grow, before the header leads to them; the fields
// of the header that change together lie in one sector.
//
// With lazy refcounts, counts are written when the image is closed; until then the dirty bit says
// that they are to be made anew ("Header", incompatible_features).
//
// Threads: requests for clusters that are in the image go their way without a lock but those of the
// caches; changes of the mapping take turns. A cluster that is given up stays as it is until all
// requests that may be on their way to it have ended.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "backends/block/image/disk_image.hpp"
#include "backends/block/image/qcow2_mapping.hpp"

namespace banyan {

struct Qcow2Options {
    std::string name;  // how messages begin: "the disk image 'a.qcow2'"
    bool writable = false;
};

class Qcow2Image final : public DiskImage {
public:
    // With a dirty image that is to be written, its counts are made anew first.
    static Result<std::unique_ptr<Qcow2Image>> open(std::unique_ptr<ImageFile> file,
                                                    const Qcow2Options& options);

    const Qcow2Header& header() const { return header_; }
    const Qcow2Snapshots& snapshots() const { return snapshots_; }
    ImageFile& file() { return *file_; }
    // Before the first request, if the header names one.
    void set_backing(std::unique_ptr<DiskImage> backing) { backing_ = std::move(backing); }
    const DiskImage* backing() const { return backing_.get(); }

    uint64_t size() const override { return header_.size; }
    Result<void> read(uint64_t offset, const Scatter& to) override;
    Result<void> write(uint64_t offset, const Scatter& from) override;
    Result<void> write_zeroes(uint64_t offset, uint64_t length) override;
    Result<void> discard(uint64_t offset, uint64_t length) override;
    Result<void> flush() override;
    Result<void> resize(uint64_t size) override;
    Result<void> close() override;
    Result<Stretch> stretch(uint64_t offset, uint64_t length) override;
    // Reads and writes of clusters that are in the image, or in one that it stands on.
    bool begin_direct(DirectKind kind, uint64_t offset, uint64_t length, const Scatter& bytes,
                      DirectPlaces& places) override;
    void end_direct(const DirectPlaces& places) override;

    // Makes the reference counts anew, if nothing else is wrong. Before the first request.
    Result<void> mend();

    // A whole cluster that was never written, in an image that is being made.
    Result<void> write_compressed(uint64_t offset, std::span<std::byte> cluster);

private:
    enum class Clearing : uint8_t { zeroes, discard };
    // Clusters that data are about to be written to.
    struct Target {
        ClusterRun run;
        bool allocated = false;  // for this, and not kept from before
        bool fresh = false;      // nothing was ever written there
    };

    Qcow2Image(std::unique_ptr<ImageFile> file, const Qcow2Options& options, Qcow2Header header,
               Qcow2Snapshots snapshots);
    Result<void> open_tables();
    Result<void> claim_fixed_tables();
    Result<void> prepare_to_write();
    Result<void> write_features();
    Result<void> mark_dirty();

    Result<void> read_mapped(uint64_t offset, const Scatter& to);
    Result<void> read_extent(const Qcow2Extent& extent, uint64_t offset, const Scatter& to);
    Result<void> read_backing(uint64_t offset, const Scatter& to);
    Result<void> read_compressed(const Qcow2Extent& extent, uint64_t offset, const Scatter& to);
    Result<void> read_for_copy(uint64_t offset, std::span<std::byte> to);
    bool find_places(DirectKind kind, uint64_t offset, const Scatter& bytes, DirectPlaces& places);
    bool add_place(DirectKind kind, const Qcow2Extent& extent, uint64_t offset,
                   const Scatter& bytes, DirectPlaces& places);
    bool leads_to_table(const Qcow2Extent& extent) const;
    bool backing_covers(uint64_t offset) const;
    bool reads_as_zeroes(const Qcow2Extent& extent, uint64_t offset) const;

    Result<void> write_in_place(const Qcow2Extent& extent, const Scatter& from);
    Result<uint64_t> write_new(uint64_t offset, const Scatter& from);
    Result<Target> find_target(const Qcow2Extent& extent, uint64_t offset);
    Result<void> fill(const Target& target, uint64_t offset, const Scatter& from, bool was_zero);
    Result<void> link(const Qcow2Mapping::Table& table, uint64_t offset, uint64_t length,
                      uint64_t first_cluster);
    Result<uint64_t> place_for_compressed(uint64_t length) REQUIRES(change_);
    Result<void> write_zero_bytes(uint64_t offset, uint64_t length);
    Result<void> clear(uint64_t start, uint64_t end, Clearing clearing);
    Result<uint64_t> clear_some(uint64_t offset, uint64_t length, Clearing clearing);
    Result<void> set_entries(uint64_t offset, uint64_t length, uint64_t entry);

    Result<void> begin_change() REQUIRES(change_);
    Result<void> release_clusters() REQUIRES(change_);
    Result<void> write_metadata() REQUIRES(change_);
    Result<void> commit() REQUIRES(change_);
    Result<void> grow_l1(uint64_t size);
    Result<void> hide_what_grows_into_view(uint64_t old_size);
    Result<void> write_size();
    // Counts are written when the image is closed.
    bool lazy() const { return header_.dirty(); }
    template <class T>
    Result<T> noting_failure(Result<T> result);

    const std::unique_ptr<ImageFile> file_;
    const std::string name_;
    const bool writable_;
    Qcow2Header header_;
    Qcow2Snapshots snapshots_;
    std::unique_ptr<DiskImage> backing_;
    std::atomic<bool> failed_{false};  // Qcow2Shared::failed
    ClusterSet metadata_;
    const Qcow2Shared shared_;
    InFlight in_flight_;
    Qcow2Refcounts refcounts_;
    Qcow2Mapping mapping_;

    Mutex change_;  // refcounts_, and changes of mapping_; before the locks of the caches
    uint64_t compressed_end_ GUARDED_BY(change_) = 0;  // where the next compressed data may go

    using Bytes = std::vector<std::byte>;
    Mutex decompressed_mutex_;  // the cluster that was decompressed last, for those who read on
    std::shared_ptr<const Bytes> decompressed_ GUARDED_BY(decompressed_mutex_);
    uint64_t decompressed_entry_ GUARDED_BY(decompressed_mutex_) = 0;
};

}  // namespace banyan
