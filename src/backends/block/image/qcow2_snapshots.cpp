#include <fmt/format.h>

#include "backends/block/image/image_error.hpp"
#include "backends/block/image/qcow2_header.hpp"

namespace banyan {

using namespace qcow2;

namespace {

Result<std::string> read_text(ImageFile& file, uint64_t offset, uint64_t length) {
    std::string text(length, '\0');
    TRY(file.read_bytes(offset, std::as_writable_bytes(std::span(text))));
    return text;
}

Result<void> check_snapshot(const Qcow2Snapshot& snapshot, const Qcow2Header& header,
                            uint64_t file_size, const std::string& name) {
    const uint64_t bytes = snapshot.l1_entries * kEntrySize;
    if (bytes > kMostL1Bytes) return malformed(name, "the L1 table of a snapshot is too large");
    if (bytes == 0) return {};
    const uint64_t offset = snapshot.l1_offset;
    if (offset == 0 || header.in_cluster(offset) != 0 || offset > file_size ||
        bytes > file_size - offset) {
        return malformed(name, "the L1 table of a snapshot lies where there can be none");
    }
    return {};
}

}  // namespace

Result<Qcow2Snapshots> read_snapshots(ImageFile& file, const Qcow2Header& header,
                                      const std::string& name) {
    Qcow2Snapshots snapshots;
    uint64_t at = header.snapshots_offset;
    for (uint32_t i = 0; i < header.snapshots; ++i) {
        SnapshotEntry entry;
        TRY(file.read_bytes(at, std::as_writable_bytes(std::span(&entry, 1))));
        if (entry.extra_data_size > kMostSnapshotExtra) {
            return malformed(name, "a snapshot has too much extra data");
        }
        at += sizeof(entry) + entry.extra_data_size;
        TRY_ASSIGN(id, read_text(file, at, entry.id_length));
        at += entry.id_length;
        TRY_ASSIGN(title, read_text(file, at, entry.name_length));
        at = (at + entry.name_length + 7) / 8 * 8;
        snapshots.table_bytes = at - header.snapshots_offset;
        if (at > file.size() + 7 || snapshots.table_bytes > kMostSnapshotTableBytes) {
            return malformed(name, "its snapshot table is too long");
        }
        Qcow2Snapshot snapshot{std::move(id), std::move(title), entry.l1_table_offset,
                               entry.l1_size};
        TRY(check_snapshot(snapshot, header, file.size(), name));
        snapshots.all.push_back(std::move(snapshot));
    }
    return snapshots;
}

}  // namespace banyan
