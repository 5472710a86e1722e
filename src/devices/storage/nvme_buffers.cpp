#include "devices/storage/nvme_buffers.hpp"

#include <algorithm>
#include <cstring>

#include "devices/storage/nvme_regs.hpp"
#include "support/bits.hpp"
#include "support/le.hpp"

namespace banyan {

using namespace nvme;

namespace {

// Pages of the largest transfer, the first and the last of which may be used in part.
constexpr size_t kMostPieces = (size_t{1} << kMaxTransferPower) + 1;

uint64_t in_page(uint64_t address) {
    return address & (kPage - 1);
}

}  // namespace

NvmeBuffers::NvmeBuffers() {
    spans_.reserve(kMostPieces);
    places_.reserve(kMostPieces);
}

void NvmeBuffers::clear() {
    spans_.clear();
    places_.clear();
    length_ = 0;
}

// Pages that follow each other become one piece.
NvmeBuffers::Error NvmeBuffers::add(GuestMemory& memory, Gpa at, uint64_t length, bool to_guest) {
    std::byte* host = nullptr;
    if (to_guest) {
        host = memory.writable_range(at, length).data();
    } else {
        // Requests have one kind of scatter list; nobody writes through that of a write.
        host = const_cast<std::byte*>(memory.readable_range(at, length).data());  // NOLINT
    }
    if (host == nullptr) return Error::not_memory;
    length_ += length;
    const bool follows = !spans_.empty() && spans_.back().data() + spans_.back().size() == host &&
                         places_.back().gpa + places_.back().length == at;
    if (follows) {
        spans_.back() = {spans_.back().data(), spans_.back().size() + length};
        places_.back().length += length;
        return Error::none;
    }
    spans_.emplace_back(host, length);
    places_.push_back({at, length});
    return Error::none;
}

// The second entry is the second page when the data end there, else a list.
NvmeBuffers::Error NvmeBuffers::gather(GuestMemory& memory, uint64_t prp1, uint64_t prp2,
                                       uint64_t length, bool to_guest) {
    clear();
    if ((prp1 & 3U) != 0) return Error::bad_offset;
    const uint64_t first = std::min<uint64_t>(length, kPage - in_page(prp1));
    if (first == 0) return Error::none;
    if (const Error error = add(memory, Gpa{prp1}, first, to_guest); error != Error::none)
        return error;
    const uint64_t rest = length - first;
    if (rest == 0) return Error::none;
    if (rest > kPage) return gather_list(memory, Gpa{prp2}, rest, to_guest);
    if (in_page(prp2) != 0) return Error::bad_offset;
    return add(memory, Gpa{prp2}, rest, to_guest);
}

// The last entry of a list's page names the next page of the list, if more than one is to come.
NvmeBuffers::Error NvmeBuffers::gather_list(GuestMemory& memory, Gpa list, uint64_t length,
                                            bool to_guest) {
    if ((list.value & 7U) != 0) return Error::bad_offset;
    while (length != 0) {
        le64 entry;
        if (!memory.read_object(list, entry)) return Error::not_memory;
        const uint64_t page = entry;
        if (in_page(page) != 0) return Error::bad_offset;
        if (in_page(list.value) == kPage - sizeof(le64) && length > kPage) {
            list = Gpa{page};
            if (!memory.read_object(list, entry)) return Error::not_memory;
            if (in_page(entry) != 0) return Error::bad_offset;
        }
        const uint64_t part = std::min<uint64_t>(length, kPage);
        if (const Error error = add(memory, Gpa{entry}, part, to_guest); error != Error::none)
            return error;
        length -= part;
        list = list + sizeof(le64);
    }
    return Error::none;
}

void NvmeBuffers::fill(std::span<const std::byte> from) {
    for (const std::span<std::byte> to : spans_) {
        const size_t count = std::min(to.size(), from.size());
        std::copy_n(from.begin(), count, to.begin());
        from = from.subspan(count);
    }
}

void NvmeBuffers::copy_from(uint64_t offset, std::span<std::byte> to) const {
    for (const std::span<std::byte> from : spans_) {
        if (offset >= from.size()) {
            offset -= from.size();
            continue;
        }
        const size_t count = std::min<size_t>(from.size() - offset, to.size());
        std::memcpy(to.data(), from.data() + offset, count);
        to = to.subspan(count);
        offset = 0;
        if (to.empty()) return;
    }
}

void NvmeBuffers::tell_written(GuestMemory& memory) const {
    for (const Place& place : places_)
        memory.written(place.gpa, place.length);
}

}  // namespace banyan
