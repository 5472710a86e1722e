// NewImage: an image that is written under another name, and gets its own when it is complete.
#pragma once

#include <memory>
#include <string>

#include "backends/block/image/qcow2_create.hpp"
#include "backends/block/image_format.hpp"
#include "host/linux/new_file.hpp"

namespace banyan {

class NewImageFile {
public:
    // `wanted` without what a raw image does not have.
    static Result<NewImageFile> create(const std::string& path, ImageFormat format,
                                       const NewQcow2& wanted, NewFile::IfThere if_there);

    DiskImage& disk() { return *disk_; }
    // Of a qcow2 image; else nullptr.
    Qcow2Image* qcow2() { return qcow2_; }
    Result<void> finish();

private:
    explicit NewImageFile(NewFile file) : file_(std::move(file)) {}
    Result<void> make_raw(std::unique_ptr<ImageFile> file, uint64_t size);
    Result<void> make_qcow2(std::unique_ptr<ImageFile> file, const NewQcow2& wanted);

    NewFile file_;
    std::string name_;
    std::unique_ptr<DiskImage> disk_;
    Qcow2Image* qcow2_ = nullptr;
};

}  // namespace banyan
