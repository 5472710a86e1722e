#include "backends/block/image/qcow2_header.hpp"

#include <array>
#include <fmt/format.h>

#include "backends/block/image/image_error.hpp"

namespace banyan {

using namespace qcow2;

namespace {

constexpr std::array<std::string_view, 5> kIncompatibleNames{
    "dirty", "corrupt", "external data file", "compression type", "extended L2 entries"};

// The header's cluster, as read, and what is found in it.
class HeaderReader {
public:
    HeaderReader(ImageFile& file, const std::string& name) : file_(file), name_(name) {}

    Result<Qcow2Header> read() {
        TRY(read_fixed_part());
        TRY(check_version());
        take_fields();
        TRY(check_sizes());
        TRY(read_cluster());
        TRY(read_extensions());
        TRY(check_features());
        TRY(check_disk());
        TRY(check_tables());
        TRY(read_backing_file());
        return std::move(header_);
    }

private:
    tl::unexpected<Error> bad(const std::string& why) const { return malformed(name_, why); }

    Result<void> read_fixed_part() {
        if (file_.size() < kHeaderSizeV2) return bad("it is too short for a qcow2 image");
        TRY(file_.read_bytes(0, std::as_writable_bytes(std::span(&fixed_, 1))));
        if (fixed_.magic != kMagic) return bad("it does not begin as a qcow2 image does");
        return {};
    }

    Result<void> check_version() {
        const uint32_t version = fixed_.version;
        if (version != 2 && version != 3) {
            return unsupported_image(name_,
                                     fmt::format("qcow2 version {} is not supported", version),
                                     "convert it to version 3 with qemu-img convert");
        }
        // "Header": what version 2 does not have is taken for zero, the width of refcounts for 16.
        if (version == 2) {
            fixed_.incompatible_features = uint64_t{0};
            fixed_.compatible_features = uint64_t{0};
            fixed_.autoclear_features = uint64_t{0};
            fixed_.refcount_order = 4U;
            fixed_.header_length = kHeaderSizeV2;
        }
        // "Additional fields": one that lies beyond the header's length is not there.
        if (fixed_.header_length <= kLeastHeaderSizeV3) {
            fixed_.compression_type = kCompressionDeflate;
        }
        return {};
    }

    void take_fields() {
        header_.version = fixed_.version;
        header_.cluster_bits = fixed_.cluster_bits;
        header_.size = fixed_.size;
        header_.l1_offset = fixed_.l1_table_offset;
        header_.l1_entries = fixed_.l1_size;
        header_.refcount_table_offset = fixed_.refcount_table_offset;
        header_.refcount_table_clusters = fixed_.refcount_table_clusters;
        header_.snapshots_offset = fixed_.snapshots_offset;
        header_.snapshots = fixed_.nb_snapshots;
        header_.incompatible = fixed_.incompatible_features;
        header_.compatible = fixed_.compatible_features;
        header_.autoclear = fixed_.autoclear_features;
        header_.refcount_order = fixed_.refcount_order;
        header_.compression = fixed_.compression_type;
    }

    // What all further arithmetic stands on.
    Result<void> check_sizes() const {
        if (header_.cluster_bits < kLeastClusterBits || header_.cluster_bits > kMostClusterBits) {
            return bad(
                fmt::format("its clusters are of 2^{} bytes, and must be of 512 bytes to 2 "
                            "MiB",
                            uint32_t{fixed_.cluster_bits}));
        }
        if (header_.refcount_order > 6) return bad("its reference counts have more than 64 bits");
        const uint32_t length = fixed_.header_length;
        const uint32_t least = header_.version == 2 ? kHeaderSizeV2 : kLeastHeaderSizeV3;
        if (length < least || length % 8 != 0 || length > header_.cluster_size()) {
            return bad(fmt::format("a header cannot be {} bytes long", length));
        }
        return {};
    }

    Result<void> read_cluster() {
        cluster_.resize(header_.cluster_size());
        return file_.read_bytes(0, cluster_);
    }

    // "Header extensions": up to the backing file's name, which lies behind them.
    uint64_t end_of_extensions() const {
        const uint64_t backing = fixed_.backing_file_offset;
        return backing != 0 ? std::min<uint64_t>(backing, cluster_.size()) : cluster_.size();
    }

    Result<void> read_extensions() {
        const uint64_t end = end_of_extensions();
        for (uint64_t at = fixed_.header_length; at + sizeof(Extension) <= end;) {
            Extension extension;
            std::memcpy(&extension, &cluster_[at], sizeof(extension));
            if (extension.type == kExtensionEnd) return {};
            at += sizeof(extension);
            if (extension.length > end - at) return bad("a header extension is too long");
            take_extension(extension.type, std::span(cluster_).subspan(at, extension.length));
            at += (uint64_t{extension.length} + 7) / 8 * 8;
        }
        return {};
    }

    void take_extension(uint32_t type, std::span<const std::byte> data) {
        if (type == kExtensionBackingFormat) header_.backing_format = text_of(data);
        if (type == kExtensionFeatureNames) feature_names_ = data;
    }

    static std::string text_of(std::span<const std::byte> data) {
        std::string text(data.size(), '\0');
        std::memcpy(text.data(), data.data(), data.size());
        return text;
    }

    // "Header", incompatible_features: "must fail to open an image if an unknown bit is set".
    Result<void> check_features() const {
        const uint64_t unknown = header_.incompatible & ~kIncompatibleKnown;
        if (unknown != 0) {
            return unsupported(feature_name(static_cast<unsigned>(std::countr_zero(unknown))));
        }
        if (fixed_.crypt_method != 0U) return unsupported("encryption");
        for (const uint64_t refused : {kIncompatibleExternalData, kIncompatibleExtendedL2}) {
            if ((header_.incompatible & refused) == 0) continue;
            return unsupported(feature_name(static_cast<unsigned>(std::countr_zero(refused))));
        }
        const bool other = (header_.incompatible & kIncompatibleCompression) != 0;
        if (other != (header_.compression != kCompressionDeflate)) {
            return bad("its header contradicts itself about the kind of compression");
        }
        if (header_.compression > kCompressionZstd) {
            return unsupported(fmt::format("compression of kind {}", header_.compression));
        }
        return {};
    }

    tl::unexpected<Error> unsupported(std::string_view feature) const {
        return unsupported_image(name_, fmt::format("it uses {}, which is not supported", feature),
                                 "make an image without that with qemu-img convert -O qcow2");
    }

    // As the image itself calls it; else as we do; else by its number.
    std::string feature_name(unsigned bit) const {
        for (auto rest = feature_names_; rest.size() >= sizeof(FeatureName);
             rest = rest.subspan(sizeof(FeatureName))) {
            FeatureName entry;
            std::memcpy(&entry, rest.data(), sizeof(entry));
            if (entry.type != 0 || entry.bit != bit) continue;
            return fmt::format("the feature '{}'", printable(entry.name, sizeof(entry.name)));
        }
        if (bit < kIncompatibleNames.size()) {
            return fmt::format("the feature '{}'", kIncompatibleNames[bit]);
        }
        return fmt::format("the incompatible feature {}", bit);
    }

    static std::string printable(const char* text, size_t most) {
        std::string result(text, ::strnlen(text, most));
        for (char& c : result) {
            if (c < 0x20 || c > 0x7E) c = '?';
        }
        return result;
    }

    Result<void> check_disk() const {
        if (header_.size % kSector != 0) {
            return bad(fmt::format("its disk of {} bytes does not end with a sector of 512",
                                   header_.size));
        }
        const uint64_t most = kMostL1Bytes / kEntrySize * header_.l2_entries();
        if (header_.size > most << header_.cluster_bits) {
            return bad("its disk is larger than its clusters can be told of");
        }
        if (header_.l1_entries > kMostL1Bytes / kEntrySize) return bad("its L1 table is too large");
        if (header_.l1_entries < header_.l1_entries_for(header_.size)) {
            return bad("its L1 table is too short for its disk");
        }
        return {};
    }

    Result<void> check_tables() const {
        TRY(check_table("L1 table", header_.l1_offset, header_.l1_entries * kEntrySize));
        const uint64_t bytes = uint64_t{header_.refcount_table_clusters} << header_.cluster_bits;
        if (bytes == 0) return bad("it has no refcount table");
        if (bytes > kMostRefcountTableBytes) return bad("its refcount table is too large");
        TRY(check_table("refcount table", header_.refcount_table_offset, bytes));
        if (header_.snapshots > kMostSnapshots) return bad("it has too many snapshots");
        const uint64_t snapshots = header_.snapshots * sizeof(SnapshotEntry);
        return check_table("snapshot table", header_.snapshots_offset, snapshots);
    }

    // Not in the header, not beyond the end.
    Result<void> check_table(std::string_view what, uint64_t offset, uint64_t bytes) const {
        if (bytes == 0) return {};
        if (offset == 0) return bad(fmt::format("its {} lies in its header", what));
        if (header_.in_cluster(offset) != 0) {
            return bad(fmt::format("its {} does not begin with a cluster", what));
        }
        if (offset > file_.size() || bytes > file_.size() - offset) {
            return bad(fmt::format("its {} lies beyond its end", what));
        }
        return {};
    }

    Result<void> read_backing_file() {
        const uint64_t offset = fixed_.backing_file_offset;
        if (offset == 0) return {};
        const uint32_t length = fixed_.backing_file_size;
        if (length > kMostBackingName) return bad("the name of its backing file is too long");
        if (offset < fixed_.header_length || offset > cluster_.size() ||
            length > cluster_.size() - offset) {
            return bad("the name of its backing file lies outside of its header");
        }
        header_.backing_file = text_of(std::span(cluster_).subspan(offset, length));
        if (header_.backing_file.find('\0') != std::string::npos) {
            return bad("the name of its backing file has a zero byte in it");
        }
        return {};
    }

    ImageFile& file_;
    const std::string& name_;
    Header fixed_;
    std::vector<std::byte> cluster_;
    std::span<const std::byte> feature_names_;
    Qcow2Header header_;
};

}  // namespace

Result<Qcow2Header> Qcow2Header::read(ImageFile& file, const std::string& name) {
    return HeaderReader(file, name).read();
}

bool looks_like_qcow2(std::span<const std::byte> bytes) {
    be32 magic;
    if (bytes.size() < sizeof(magic)) return false;
    std::memcpy(&magic, bytes.data(), sizeof(magic));
    return magic == kMagic;
}

Qcow2Compressed Qcow2Compressed::decode(uint64_t entry, unsigned cluster_bits) {
    const unsigned offset_bits = 62 - (cluster_bits - 8);
    const uint64_t offset = entry & ((uint64_t{1} << offset_bits) - 1);
    const uint64_t sectors = ((entry & (kCompressed - 1)) >> offset_bits) + 1;
    return {offset, sectors * kSector - offset % kSector};
}

uint64_t Qcow2Compressed::encode(unsigned cluster_bits) const {
    const unsigned offset_bits = 62 - (cluster_bits - 8);
    const uint64_t more_sectors = (offset + length - 1) / kSector - offset / kSector;
    return kCompressed | more_sectors << offset_bits | offset;
}

}  // namespace banyan
