#include "backends/block/image/qcow2_create.hpp"

#include <fmt/format.h>

#include "backends/block/image/borrowed_file.hpp"

namespace banyan {

using namespace qcow2;

namespace {

// What is where in an image without a disk: one cluster each, in a file of zeroes. The L1 table
// comes when it grows.
constexpr uint64_t kTableCluster = 1;
constexpr uint64_t kBlockCluster = 2;
constexpr uint64_t kClusters = 3;

class NewImage {
public:
    NewImage(ImageFile& file, const NewQcow2& wanted) : file_(file), wanted_(wanted) {}

    Result<void> write() {
        TRY(write_header());
        TRY(write_refcounts());
        return file_.flush();
    }

private:
    uint64_t cluster_size() const { return uint64_t{1} << wanted_.cluster_bits; }
    bool has_features() const { return wanted_.version >= 3; }

    Result<void> write_header() {
        header_.magic = kMagic;
        header_.version = wanted_.version;
        header_.cluster_bits = wanted_.cluster_bits;
        header_.refcount_table_offset = kTableCluster * cluster_size();
        header_.refcount_table_clusters = 1U;
        header_.refcount_order = wanted_.refcount_order;
        header_.header_length = uint32_t{sizeof(header_)};
        if (wanted_.lazy_refcounts) header_.compatible_features = kCompatibleLazyRefcounts;
        cluster_.resize(cluster_size());
        at_ = has_features() ? sizeof(header_) : kHeaderSizeV2;
        if (!wanted_.backing_format.empty()) {
            append_extension(kExtensionBackingFormat, wanted_.backing_format);
        }
        append_extension(kExtensionEnd, "");
        if (!wanted_.backing_file.empty()) append_backing_file();
        std::memcpy(cluster_.data(), &header_, has_features() ? sizeof(header_) : kHeaderSizeV2);
        // The rest of the cluster stays a hole, as far as nothing else is written there.
        return file_.write_bytes(0, std::span(cluster_).first(at_));
    }

    void append_text(std::string_view text) {
        std::memcpy(&cluster_[at_], text.data(), text.size());
        at_ += text.size();
    }

    // "Header extensions"
    void append_extension(uint32_t type, std::string_view data) {
        const Extension extension{type, static_cast<uint32_t>(data.size())};
        std::memcpy(&cluster_[at_], &extension, sizeof(extension));
        at_ += sizeof(extension);
        append_text(data);
        at_ = (at_ + 7) / 8 * 8;
    }

    void append_backing_file() {
        header_.backing_file_offset = at_;
        header_.backing_file_size = static_cast<uint32_t>(wanted_.backing_file.size());
        append_text(wanted_.backing_file);
    }

    Result<void> write_refcounts() {
        be64 block = kBlockCluster * cluster_size();
        TRY(file_.write_bytes(kTableCluster * cluster_size(),
                              std::as_writable_bytes(std::span(&block, 1))));
        std::vector<std::byte> counts(cluster_size());
        for (uint64_t i = 0; i < kClusters; ++i)
            set_refcount_at(counts, wanted_.refcount_order, i, 1);
        return file_.write_bytes(kBlockCluster * cluster_size(), counts);
    }

    ImageFile& file_;
    const NewQcow2& wanted_;
    Header header_;
    std::vector<std::byte> cluster_;
    size_t at_ = 0;
};

Result<void> check_wanted(const NewQcow2& wanted, const std::string& name) {
    const auto wrong = [&](std::string_view why) {
        return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", name, why));
    };
    if (wanted.size % kSector != 0) {
        return wrong("a disk has whole sectors of 512 bytes; give a multiple of 512 as its size");
    }
    if (wanted.cluster_bits < kLeastClusterBits || wanted.cluster_bits > kMostClusterBits) {
        return wrong("clusters are of 512 bytes to 2 MiB; give a power of two in that range");
    }
    const bool old = wanted.version == 2;
    if (old && (wanted.lazy_refcounts || wanted.refcount_order != 4)) {
        return wrong("version 2 has neither lazy nor other than 16-bit counts; use version 3");
    }
    constexpr size_t kRoom = sizeof(Header) + 4 * sizeof(Extension);
    const size_t names = wanted.backing_file.size() + wanted.backing_format.size();
    if (wanted.backing_file.size() > kMostBackingName ||
        names + kRoom > uint64_t{1} << wanted.cluster_bits) {
        return wrong("the name of the backing file is too long; give a shorter one");
    }
    return {};
}

}  // namespace

Result<void> create_qcow2(ImageFile& file, const NewQcow2& wanted, const std::string& name) {
    TRY(check_wanted(wanted, name));
    TRY(NewImage(file, wanted).write());
    TRY_ASSIGN(image, Qcow2Image::open(std::make_unique<BorrowedFile>(file),
                                       {.name = name, .writable = true}));
    TRY(image->resize(wanted.size));
    return image->close();
}

}  // namespace banyan
