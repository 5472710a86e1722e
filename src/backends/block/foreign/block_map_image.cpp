#include "backends/block/foreign/block_map_image.hpp"

#include <bit>

#include "backends/block/image/image_error.hpp"

namespace banyan {

tl::unexpected<Error> ReadOnlyImage::refuse() const {
    return unsupported_image(name_, "images of its format are only read",
                             "make a qcow2 image of it with banyan image convert");
}

Result<void> ReadOnlyImage::write(uint64_t, const Scatter&) {
    return refuse();
}
Result<void> ReadOnlyImage::write_zeroes(uint64_t, uint64_t) {
    return refuse();
}
Result<void> ReadOnlyImage::discard(uint64_t, uint64_t) {
    return refuse();
}
Result<void> ReadOnlyImage::resize(uint64_t) {
    return refuse();
}

BlockMapImage::BlockMapImage(std::unique_ptr<ImageFile> file, std::string name, BlockMap map)
    : ReadOnlyImage(std::move(name)), file_(std::move(file)), map_(std::move(map)) {}

BlockMapImage::Piece BlockMapImage::piece_at(uint64_t offset, uint64_t length) const {
    uint64_t block = offset / map_.block_size;
    const uint64_t in_block = offset % map_.block_size;
    const uint64_t place = map_.places[block];
    const bool nowhere = place == BlockMap::kNowhere;
    Piece piece{nowhere ? place : place + in_block, map_.block_size - in_block};
    while (piece.length < length) {
        const uint64_t next = map_.places[++block];
        const uint64_t wanted = nowhere ? BlockMap::kNowhere : piece.place + piece.length;
        if (next != wanted) break;
        piece.length += map_.block_size;
    }
    piece.length = std::min(piece.length, length);
    return piece;
}

Result<void> BlockMapImage::read(uint64_t offset, const Scatter& to) {
    for (uint64_t done = 0; done < to.size();) {
        const Piece piece = piece_at(offset + done, to.size() - done);
        const Scatter part = to.part(done, piece.length);
        if (piece.place == BlockMap::kNowhere) {
            part.fill_with_zeroes();
        } else {
            TRY(file_->read(piece.place, part));
        }
        done += piece.length;
    }
    return {};
}

Result<Stretch> BlockMapImage::stretch(uint64_t offset, uint64_t length) {
    const Piece piece = piece_at(offset, length);
    return Stretch{piece.place == BlockMap::kNowhere, piece.length};
}

bool BlockMapImage::begin_direct(DirectKind kind, uint64_t offset, uint64_t, const Scatter& bytes,
                                 DirectPlaces& places) {
    if (kind != DirectKind::read) return false;
    for (uint64_t done = 0; done < bytes.size();) {
        const Piece piece = piece_at(offset + done, bytes.size() - done);
        const bool nowhere = piece.place == BlockMap::kNowhere;
        if (!nowhere && !lies_in(*file_, piece.place, piece.length)) return false;
        if (!places.add({nowhere ? nullptr : file_.get(), nowhere ? 0 : piece.place, piece.length}))
            return false;
        done += piece.length;
    }
    return true;
}

bool is_block_size(uint64_t size) {
    return std::has_single_bit(size) && size >= kLeastBlock && size <= kMostBlock;
}

bool lies_in(const ImageFile& file, uint64_t offset, uint64_t length) {
    return offset <= file.size() && length <= file.size() - offset;
}

}  // namespace banyan
