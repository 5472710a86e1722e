// FUSE messages in scattered guest memory (linux/fuse.h, protocol 7.27 and later).
//
// A message is copied once, and then read from the copy. Only the data of WRITE and READ move
// directly between guest memory and a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <linux/fuse.h>
#include <optional>
#include <span>
#include <sys/uio.h>
#include <type_traits>
#include <vector>

#include "vm/file_share.hpp"

namespace banyan {

using FuseSegments = std::span<const std::span<const std::byte>>;
using FuseRoom = std::span<const std::span<std::byte>>;

uint64_t length_of(FuseSegments segments);
uint64_t length_of(FuseRoom room);

// Fills `to` from byte `offset` of the segments on; returns how many bytes there were.
size_t copy_from(FuseSegments segments, uint64_t offset, std::span<std::byte> to);
// Copies to byte `offset` of the room on; returns how many bytes fitted.
size_t copy_to(FuseRoom room, uint64_t offset, std::span<const std::byte> from);

// At most `length` bytes, from byte `skip` on, as preadv() and pwritev() want them; no more than
// IOV_MAX parts.
void parts_of(FuseSegments segments, uint64_t skip, uint64_t length, std::vector<iovec>& parts);
void parts_of(FuseRoom room, uint64_t skip, uint64_t length, std::vector<iovec>& parts);

// What follows the header of a message: a structure, names, data.
class FuseArguments {
public:
    FuseArguments() = default;
    explicit FuseArguments(std::span<const std::byte> bytes) : bytes_(bytes) {}

    size_t size() const { return bytes_.size(); }
    // False when there are fewer bytes.
    template <class T>
    bool take(T& object) {
        return take(object, sizeof(T));
    }
    // The first `size` bytes of a structure that was shorter in older protocols.
    template <class T>
    bool take(T& object, size_t size) {
        static_assert(std::is_trivially_copyable_v<T>);
        if (bytes_.size() < size || sizeof(T) < size) return false;
        std::memcpy(&object, bytes_.data(), size);
        bytes_ = bytes_.subspan(size);
        return true;
    }
    // Text up to its NUL, which has to be there.
    const char* take_text();
    std::optional<std::span<const std::byte>> take_bytes(size_t size);

private:
    std::span<const std::byte> bytes_;
};

// What a thread needs to serve requests; nothing in it outlives one.
struct FuseScratch {
    static constexpr size_t kLongestMessage = size_t{72} << 10;  // but WRITE's data: a large xattr
    static constexpr size_t kLongestAnswer = size_t{64} << 10;   // but READ's data

    std::vector<std::byte> message;
    std::vector<std::byte> answer;  // what follows the header
    std::vector<std::byte> entries;
    std::vector<iovec> parts;
};

// One request while it is served.
struct FuseCall {
    const FsRequest& request;
    FuseScratch& scratch;
    fuse_in_header header{};
    FuseArguments arguments{};
    uint64_t room = 0;    // of the answer, without its header
    uint64_t placed = 0;  // bytes that are in the room already, behind the header

    template <class T>
    void answer(const T& object) {
        static_assert(std::is_trivially_copyable_v<T>);
        answer_bytes(std::as_bytes(std::span(&object, 1)));
    }
    void answer_bytes(std::span<const std::byte> bytes) {
        scratch.answer.insert(scratch.answer.end(), bytes.begin(), bytes.end());
    }
};

}  // namespace banyan
