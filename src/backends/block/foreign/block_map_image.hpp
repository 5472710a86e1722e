// BlockMapImage: a disk in blocks of one size, each of which lies somewhere in a file, or nowhere.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/block/image/disk_image.hpp"

namespace banyan {

// Only read; all that writes fails with ErrorCode::unsupported.
class ReadOnlyImage : public DiskImage {
public:
    explicit ReadOnlyImage(std::string name) : name_(std::move(name)) {}

    Result<void> write(uint64_t offset, const Scatter& from) override;
    Result<void> write_zeroes(uint64_t offset, uint64_t length) override;
    Result<void> discard(uint64_t offset, uint64_t length) override;
    Result<void> flush() override { return {}; }
    Result<void> resize(uint64_t size) override;
    Result<void> close() override { return {}; }

protected:
    const std::string& name() const { return name_; }

private:
    tl::unexpected<Error> refuse() const;

    const std::string name_;  // how messages begin: "the disk image 'a.vdi'"
};

// What a format makes of its tables.
struct BlockMap {
    static constexpr uint64_t kNowhere = ~uint64_t{0};

    uint64_t disk_size = 0;
    uint64_t block_size = 0;       // a power of two
    std::vector<uint64_t> places;  // of the blocks, in the file; kNowhere: zeroes

    uint64_t blocks() const { return (disk_size + block_size - 1) / block_size; }
};

class BlockMapImage final : public ReadOnlyImage {
public:
    // All places lie in the file, as far as it reaches: beyond its end there are zeroes.
    BlockMapImage(std::unique_ptr<ImageFile> file, std::string name, BlockMap map);

    uint64_t size() const override { return map_.disk_size; }
    Result<void> read(uint64_t offset, const Scatter& to) override;
    Result<Stretch> stretch(uint64_t offset, uint64_t length) override;
    bool begin_direct(DirectKind kind, uint64_t offset, uint64_t length, const Scatter& bytes,
                      DirectPlaces& places) override;

private:
    // Where the bytes from `offset` on are, as far as they follow each other.
    struct Piece {
        uint64_t place = BlockMap::kNowhere;
        uint64_t length = 0;
    };
    Piece piece_at(uint64_t offset, uint64_t length) const;

    const std::unique_ptr<ImageFile> file_;
    const BlockMap map_;
};

// Limits of what images may ask for, so that a hostile one cannot take the host's memory.
inline constexpr uint64_t kMostBlocks = uint64_t{1} << 23;  // 64 MiB of places
inline constexpr uint64_t kLeastBlock = 512;
inline constexpr uint64_t kMostBlock = uint64_t{256} << 20;

bool is_block_size(uint64_t size);

// Whether a table of the file, which somebody else's numbers describe, lies in it.
bool lies_in(const ImageFile& file, uint64_t offset, uint64_t length);

}  // namespace banyan
