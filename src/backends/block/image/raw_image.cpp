#include "backends/block/image/raw_image.hpp"

#include "backends/block/image/image_error.hpp"

namespace banyan {

Result<void> RawImage::resize(uint64_t size) {
    if (size < file_->size()) return refuse_shrinking(name_);
    TRY(file_->resize(size));
    return file_->flush();
}

}  // namespace banyan
