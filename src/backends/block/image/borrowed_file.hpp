// BorrowedFile: an ImageFile that passes all on to another one.
#pragma once

#include "backends/block/image/image_file.hpp"

namespace banyan {

// A file that somebody else owns, for an image that is open meanwhile.
class BorrowedFile final : public ImageFile {
public:
    explicit BorrowedFile(ImageFile& file) : file_(file) {}
    uint64_t size() const override { return file_.size(); }
    Result<void> read(uint64_t offset, const Scatter& to) override {
        return file_.read(offset, to);
    }
    Result<void> write(uint64_t offset, const Scatter& from) override {
        return file_.write(offset, from);
    }
    Result<void> flush() override { return file_.flush(); }
    Result<void> resize(uint64_t size) override { return file_.resize(size); }
    Result<void> write_zeroes(uint64_t offset, uint64_t length) override {
        return file_.write_zeroes(offset, length);
    }
    Result<void> discard(uint64_t offset, uint64_t length) override {
        return file_.discard(offset, length);
    }
    Stretch stretch(uint64_t offset, uint64_t length) override {
        return file_.stretch(offset, length);
    }

private:
    ImageFile& file_;
};

}  // namespace banyan
