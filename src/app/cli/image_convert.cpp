// Copying a disk from one image to another.
#include <algorithm>
#include <cstring>
#include <vector>

#include "app/cli/image_tasks.hpp"
#include "app/cli/image_values.hpp"
#include "app/cli/new_image.hpp"
#include "backends/block/image_chain.hpp"

namespace banyan {

namespace {

constexpr uint64_t kLeastPiece = uint64_t{2} << 20;  // read at once
constexpr uint64_t kRawBlock = 4096;                 // what a file system can leave out

bool all_zero(std::span<const std::byte> bytes) {
    return bytes.front() == std::byte{0} &&
           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

class DiskCopy {
public:
    // `block`: what is written whole or not at all.
    DiskCopy(DiskImage& from, NewImageFile& to, uint64_t block, bool compress)
        : from_(from),
          to_(to),
          block_(block),
          compress_(compress),
          piece_(std::max(kLeastPiece, block)) {}

    Result<bool> run(const Progress& progress) {
        std::vector<std::byte> buffer(piece_);
        const uint64_t size = from_.size();
        for (uint64_t at = 0; at < size;) {
            if (!progress(at, size)) return false;
            const uint64_t length = std::min(piece_, size - at);
            TRY_ASSIGN(known, from_.stretch(at, size - at));
            if (known.zeroes && known.length >= length) {
                // Whole pieces, so that the next one begins with a block.
                at += std::max(length, known.length / piece_ * piece_);
                continue;
            }
            const std::span piece = std::span(buffer).first(length);
            TRY(from_.read(at, OneBuffer(piece)));
            TRY(write_piece(at, piece));
            at += length;
        }
        return progress(size, size);
    }

private:
    // Blocks of zeroes are not written: a new image reads as zeroes.
    Result<void> write_piece(uint64_t at, std::span<std::byte> piece) {
        size_t start = 0;
        while (start < piece.size()) {
            size_t end = next_block(start, piece.size());
            if (all_zero(piece.subspan(start, end - start))) {
                start = end;
                continue;
            }
            while (!compress_ && end < piece.size()) {
                const size_t next = next_block(end, piece.size());
                if (all_zero(piece.subspan(end, next - end))) break;
                end = next;
            }
            TRY(write_blocks(at + start, piece.subspan(start, end - start)));
            start = end;
        }
        return {};
    }

    size_t next_block(size_t at, size_t end) const { return std::min<size_t>(at + block_, end); }

    Result<void> write_blocks(uint64_t at, std::span<std::byte> bytes) {
        // The last cluster of a disk may be shorter than one.
        if (compress_ && bytes.size() == block_) return to_.qcow2()->write_compressed(at, bytes);
        return to_.disk().write(at, OneBuffer(bytes));
    }

    DiskImage& from_;
    NewImageFile& to_;
    const uint64_t block_;
    const bool compress_;
    const uint64_t piece_;
};

Result<void> check_compress(const ConvertImage& wanted, ImageFormat format) {
    if (!wanted.compress || format == ImageFormat::qcow2) return {};
    return fail(ErrorCode::invalid_argument,
                "--compress: a raw image cannot be compressed; make a qcow2 image with --to qcow2");
}

}  // namespace

Result<bool> convert_image(const ConvertImage& wanted, const Progress& progress) {
    const ImageFormat format = format_for(wanted.to, wanted.to_format);
    TRY(check_compress(wanted, format));
    TRY_ASSIGN(cluster_bits, cluster_bits_of(wanted.cluster_size));
    TRY_ASSIGN(from, open_image_chain({wanted.from, wanted.from_format, true}));
    TRY_ASSIGN(to, NewImageFile::create(
                       wanted.to, format, {.size = from.disk->size(), .cluster_bits = cluster_bits},
                       wanted.force ? NewFile::IfThere::replace : NewFile::IfThere::refuse));
    const uint64_t block = format == ImageFormat::raw ? kRawBlock : wanted.cluster_size;
    TRY_ASSIGN(complete, DiskCopy(*from.disk, to, block, wanted.compress).run(progress));
    if (!complete) return false;
    TRY(to.finish());
    return true;
}

}  // namespace banyan
