// GuestRam: host memory that a guest's RAM lives in.
//
// Private to this process, so that hosts back it with large pages, which they seldom do for shared
// memory: a sixteenth of the page faults under KVM, and fewer TLB misses under every engine
// (docs/decisions/0016-private-guest-memory.md). The host gives pages when they are first touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "support/result.hpp"
#include "vm/address.hpp"

namespace banyan {

class GuestRam {
public:
    // What hosts map by one entry of a page directory. They do so only where the guest-physical
    // address and the host's are equal in the bits below.
    static constexpr uint64_t kLargePage = uint64_t{2} << 20;

    // The first place from `offset` on that suits guest-physical memory from `start` on.
    static constexpr uint64_t place_for(Gpa start, uint64_t offset) {
        return offset + ((start.value - offset) & (kLargePage - 1));
    }

    // Small pages are for memory of which little may be touched.
    enum class Pages : uint8_t { large, small };
    // `size` is a multiple of the page size.
    static Result<std::unique_ptr<GuestRam>> create(uint64_t size, Pages pages = Pages::large);
    ~GuestRam();
    GuestRam(const GuestRam&) = delete;
    GuestRam& operator=(const GuestRam&) = delete;

    std::span<std::byte> bytes() const { return bytes_; }

    // Whole pages go back to the host, and are zeroes when they are touched again. False when they
    // are not in bytes(), or the host refuses. From any thread.
    bool discard(std::span<std::byte> pages);

private:
    explicit GuestRam(std::span<std::byte> bytes) : bytes_(bytes) {}

    std::span<std::byte> bytes_;
};

}  // namespace banyan
