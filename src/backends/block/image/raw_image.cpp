#include "backends/block/image/raw_image.hpp"

#include <array>

#include "backends/block/image/image_error.hpp"
#include "backends/block/image/qcow2_header.hpp"

namespace banyan {

Result<void> RawImage::write(uint64_t offset, const Scatter& from) {
    std::array<std::byte, 4> start{};
    if (guard_ == Guard::formats && offset == 0 && from.size() >= start.size()) {
        from.part(0, start.size()).copy_to(start);
        if (looks_like_qcow2(start)) {
            return fail(ErrorCode::permission,
                        name_ +
                            ": the guest writes what looks like the header of a qcow2 image, "
                            "which is refused on a disk without a format; say format=raw");
        }
    }
    return file_->write(offset, from);
}

Result<void> RawImage::resize(uint64_t size) {
    if (size < file_->size()) return refuse_shrinking(name_);
    TRY(file_->resize(size));
    return file_->flush();
}

}  // namespace banyan
