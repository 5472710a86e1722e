// PosixFile: an image in a file or block device of the host.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "backends/block/image/image_file.hpp"
#include "backends/block/open_image.hpp"

namespace banyan {

class PosixFile final : public ImageFile {
public:
    // `name` is for messages: "the disk image 'a.img'".
    PosixFile(OpenImage file, std::string name)
        : fd_(std::move(file.fd)),
          direct_fd_(std::move(file.direct_fd)),
          flushes_(file.cache != DiskCache::unsafe),
          name_(std::move(name)),
          size_(file.size) {}

    uint64_t size() const override { return size_; }
    Result<void> read(uint64_t offset, const Scatter& to) override;
    Result<void> write(uint64_t offset, const Scatter& from) override;
    Result<void> flush() override;
    Result<void> resize(uint64_t size) override;
    Result<void> write_zeroes(uint64_t offset, uint64_t length) override;
    Result<void> discard(uint64_t offset, uint64_t length) override;
    Stretch stretch(uint64_t offset, uint64_t length) override;
    FileAccess access() const override;

private:
    tl::unexpected<Error> failed(std::string_view operation, int error_number) const;
    Result<void> write_zero_bytes(uint64_t offset, uint64_t length);
    void grown_to(uint64_t end);

    const UniqueFd fd_;
    const UniqueFd direct_fd_;  // none: all goes through the page cache
    const bool flushes_;
    const std::string name_;
    std::atomic<uint64_t> size_;
};

}  // namespace banyan
