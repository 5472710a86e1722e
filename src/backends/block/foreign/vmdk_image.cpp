#include "backends/block/foreign/vmdk_image.hpp"

#include <algorithm>

#include "backends/block/foreign/vmdk_descriptor.hpp"
#include "backends/block/foreign/vmdk_sparse.hpp"
#include "backends/block/image/image_error.hpp"

namespace banyan {

namespace {

// A disk that is files, or parts of files, one behind the other.
class VmdkFlat final : public ReadOnlyImage {
public:
    struct Part {
        uint64_t start = 0;  // on the disk
        uint64_t length = 0;
        std::unique_ptr<ImageFile> file;  // null: zeroes
        uint64_t offset = 0;              // in it
    };

    VmdkFlat(const std::string& name, std::vector<Part> parts)
        : ReadOnlyImage(name), parts_(std::move(parts)) {}

    uint64_t size() const override { return parts_.back().start + parts_.back().length; }

    Result<void> read(uint64_t offset, const Scatter& to) override {
        for (uint64_t done = 0; done < to.size();) {
            const Part& part = part_at(offset + done);
            const uint64_t in_part = offset + done - part.start;
            const uint64_t count = std::min(part.length - in_part, to.size() - done);
            const Scatter bytes = to.part(done, count);
            if (part.file == nullptr) {
                bytes.fill_with_zeroes();
            } else {
                TRY(part.file->read(part.offset + in_part, bytes));
            }
            done += count;
        }
        return {};
    }

    Result<Stretch> stretch(uint64_t offset, uint64_t length) override {
        const Part& part = part_at(offset);
        const uint64_t in_part = offset - part.start;
        length = std::min(length, part.length - in_part);
        if (part.file == nullptr) return Stretch{true, length};
        return part.file->stretch(part.offset + in_part, length);
    }

    bool begin_direct(DirectKind kind, uint64_t offset, uint64_t, const Scatter& bytes,
                      DirectPlaces& places) override {
        const Part& part = part_at(offset);
        const uint64_t in_part = offset - part.start;
        const bool inside = part.file != nullptr && bytes.size() <= part.length - in_part;
        return kind == DirectKind::read && inside &&
               places.add({part.file.get(), part.offset + in_part, bytes.size()});
    }

private:
    const Part& part_at(uint64_t offset) const {
        const auto next =
            std::upper_bound(parts_.begin(), parts_.end(), offset,
                             [](uint64_t at, const Part& part) { return at < part.start; });
        return *std::prev(next);
    }

    const std::vector<Part> parts_;
};

// Files beside the descriptor only: an image of a stranger must not name others of this host.
bool is_plain_name(const std::string& name) {
    return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos;
}

Result<VmdkFlat::Part> open_part(const VmdkExtent& extent, uint64_t start, const std::string& name,
                                 const OpenExtent& open_extent) {
    constexpr uint64_t kSectorBytes = 512;
    VmdkFlat::Part part{start, extent.sectors * kSectorBytes, nullptr,
                        extent.file_sector * kSectorBytes};
    if (extent.kind == VmdkExtent::Kind::zero) return part;
    if (extent.kind == VmdkExtent::Kind::sparse) {
        return unsupported_image(name, "its disk lies in several sparse files",
                                 "make one of them with qemu-img convert");
    }
    if (!is_plain_name(extent.file)) {
        return unsupported_image(name, "it names a file that is not in its own folder",
                                 "put both into one folder, and the bare name into the text");
    }
    TRY_ASSIGN(file, open_extent(extent.file));
    if (!lies_in(*file, part.offset, part.length)) {
        return malformed(name, "the file that it names is shorter than it says");
    }
    part.file = std::move(file);
    return part;
}

Result<std::unique_ptr<DiskImage>> open_flat(std::string_view text, const std::string& name,
                                             const OpenExtent& open_extent) {
    TRY_ASSIGN(descriptor, parse_vmdk_descriptor(text, name));
    if (descriptor.extents.empty()) return malformed(name, "it describes a disk of nothing");
    std::vector<VmdkFlat::Part> parts;
    uint64_t start = 0;
    for (const VmdkExtent& extent : descriptor.extents) {
        TRY_ASSIGN(part, open_part(extent, start, name, open_extent));
        start += part.length;
        parts.push_back(std::move(part));
    }
    return std::make_unique<VmdkFlat>(name, std::move(parts));
}

}  // namespace

Result<std::unique_ptr<DiskImage>> open_vmdk(std::unique_ptr<ImageFile> file,
                                             const std::string& name,
                                             const OpenExtent& open_extent) {
    TRY_ASSIGN(sparse, open_vmdk_sparse(file, name));
    if (sparse != nullptr) return sparse;
    std::string text(std::min<uint64_t>(file->size(), kMostDescriptorBytes), '\0');
    TRY(file->read_bytes(0, std::as_writable_bytes(std::span(text))));
    if (!looks_like_vmdk_descriptor(text)) return malformed(name, "it is no VMDK image");
    return open_flat(text, name, open_extent);
}

}  // namespace banyan
