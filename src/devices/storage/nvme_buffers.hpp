// NvmeBuffers: the memory that a command's PRP entries name (NVM Express 1.4, section 4.3), checked
// and as host bytes. Has room for the largest transfer, so that filling it does not allocate.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "vm/guest_memory.hpp"

namespace banyan {

class NvmeBuffers {
public:
    NvmeBuffers();

    enum class Error : uint8_t { none, bad_offset, not_memory };
    // `to_guest`: the controller will write there.
    Error gather(GuestMemory& memory, uint64_t prp1, uint64_t prp2, uint64_t length, bool to_guest);
    void clear();

    uint64_t length() const { return length_; }
    std::span<const std::span<std::byte>> spans() const { return spans_; }

    // Copies from the start of `from`, as far as there is room.
    void fill(std::span<const std::byte> from);
    // Copies what lies at an offset; the range is inside.
    void copy_from(uint64_t offset, std::span<std::byte> to) const;
    // After the controller has written there.
    void tell_written(GuestMemory& memory) const;

private:
    struct Place {
        Gpa gpa;
        uint64_t length = 0;
    };
    Error add(GuestMemory& memory, Gpa at, uint64_t length, bool to_guest);
    Error gather_list(GuestMemory& memory, Gpa list, uint64_t length, bool to_guest);

    std::vector<std::span<std::byte>> spans_;
    std::vector<Place> places_;  // the same, as the guest sees them
    uint64_t length_ = 0;
};

}  // namespace banyan
