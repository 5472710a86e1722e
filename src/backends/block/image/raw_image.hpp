// RawImage: a disk that is a file byte for byte.
#pragma once

#include <memory>
#include <string>

#include "backends/block/image/disk_image.hpp"

namespace banyan {

class RawImage final : public DiskImage {
public:
    // Whether a guest may make the file look like one of another format. Not if the next one to
    // open it would guess.
    enum class Guard : uint8_t { none, formats };

    // `name` is for messages.
    RawImage(std::unique_ptr<ImageFile> file, std::string name, Guard guard = Guard::none)
        : file_(std::move(file)), name_(std::move(name)), guard_(guard) {}

    uint64_t size() const override { return file_->size(); }
    Result<void> read(uint64_t offset, const Scatter& to) override {
        return file_->read(offset, to);
    }
    Result<void> write(uint64_t offset, const Scatter& from) override;
    Result<void> write_zeroes(uint64_t offset, uint64_t length) override {
        return file_->write_zeroes(offset, length);
    }
    Result<void> discard(uint64_t offset, uint64_t length) override {
        return file_->discard(offset, length);
    }
    Result<void> flush() override { return file_->flush(); }
    Result<void> resize(uint64_t size) override;
    Result<void> close() override { return file_->flush(); }
    Result<Stretch> stretch(uint64_t offset, uint64_t length) override {
        return file_->stretch(offset, length);
    }
    bool begin_direct(DirectKind kind, uint64_t offset, uint64_t length, const Scatter& bytes,
                      DirectPlaces& places) override;

private:
    Result<void> write_guarded(const Scatter& from);

    const std::unique_ptr<ImageFile> file_;
    const std::string name_;
    const Guard guard_;
};

}  // namespace banyan
