#include "app/cli/new_image.hpp"

#include <fmt/format.h>

#include "backends/block/image/raw_image.hpp"
#include "backends/block/posix_file.hpp"
#include "host/posix/host_error.hpp"

namespace banyan {

Result<NewImageFile> NewImageFile::create(const std::string& path, ImageFormat format,
                                          const NewQcow2& wanted, NewFile::IfThere if_there) {
    if (!can_be_written(format)) {
        return fail(ErrorCode::unsupported,
                    fmt::format("make {}: images of the format {} are only read; make a raw or "
                                "qcow2 image",
                                quote_name(path), name_of(format)));
    }
    TRY_ASSIGN(new_file, NewFile::create(path, if_there));
    NewImageFile image(std::move(new_file));
    // Messages name the file as the user does.
    image.name_ = "the new image " + quote_name(path);
    TRY_ASSIGN(opened, open_image("open " + image.name_, image.file_.temporary_path(), false));
    auto file = std::make_unique<PosixFile>(std::move(opened), image.name_);
    if (format == ImageFormat::raw) {
        TRY(image.make_raw(std::move(file), wanted.size));
    } else {
        TRY(image.make_qcow2(std::move(file), wanted));
    }
    return image;
}

Result<void> NewImageFile::make_raw(std::unique_ptr<ImageFile> file, uint64_t size) {
    TRY(file->resize(size));
    disk_ = std::make_unique<RawImage>(std::move(file), name_);
    return {};
}

Result<void> NewImageFile::make_qcow2(std::unique_ptr<ImageFile> file, const NewQcow2& wanted) {
    TRY(create_qcow2(*file, wanted, name_));
    TRY_ASSIGN(image, Qcow2Image::open(std::move(file), {.name = name_, .writable = true}));
    qcow2_ = image.get();
    disk_ = std::move(image);
    return {};
}

Result<void> NewImageFile::finish() {
    TRY(disk_->close());
    return file_.keep();
}

}  // namespace banyan
