#include "backends/block/image/raw_image.hpp"

#include <array>

#include "backends/block/image/image_error.hpp"
#include "backends/block/image/qcow2_header.hpp"

namespace banyan {

namespace {

constexpr size_t kGuarded = 512;  // the first sector

}  // namespace

Result<void> RawImage::write(uint64_t offset, const Scatter& from) {
    if (guard_ == Guard::none || offset != 0) return file_->write(offset, from);
    return write_guarded(from);
}

// What is looked at is what is written: a guest may change its memory meanwhile.
Result<void> RawImage::write_guarded(const Scatter& from) {
    std::array<std::byte, kGuarded> start{};
    const std::span copy = std::span(start).first(std::min<uint64_t>(kGuarded, from.size()));
    from.part(0, copy.size()).copy_to(copy);
    if (looks_like_qcow2(copy)) {
        return fail(ErrorCode::permission,
                    name_ +
                        ": the guest writes what looks like the header of a qcow2 image, "
                        "which is refused on a disk without a format; say format=raw");
    }
    TRY(file_->write_bytes(0, copy));
    return file_->write(copy.size(), from.part(copy.size(), from.size() - copy.size()));
}

bool RawImage::begin_direct(DirectKind kind, uint64_t offset, uint64_t length, const Scatter& bytes,
                            DirectPlaces& places) {
    if (kind == DirectKind::write && guard_ == Guard::formats && offset == 0) return false;
    if (kind == DirectKind::read || kind == DirectKind::write) length = bytes.size();
    return places.add({file_.get(), offset, length});
}

Result<void> RawImage::resize(uint64_t size) {
    if (size < file_->size()) return refuse_shrinking(name_);
    TRY(file_->resize(size));
    return file_->flush();
}

}  // namespace banyan
