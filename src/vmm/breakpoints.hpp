// Breakpoints: the INT3s that a debugger has planted in the guest's memory. What they replaced is
// kept here, and shown in their place.
//
// A byte that the guest has overwritten meanwhile is the guest's: it is shown, and it stays when
// the breakpoint is lifted. While no vCPU runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "vm/guest_memory.hpp"

namespace banyan {

class Breakpoints {
public:
    static constexpr size_t kMost = 4096;

    explicit Breakpoints(GuestMemory& memory) : memory_(memory) {}

    Result<void> plant(uint64_t linear, Gpa gpa);
    void lift(uint64_t linear);
    void lift_all();
    // Linear, in order.
    std::vector<uint64_t> addresses() const;

    // As GuestMemory's, for ranges within a page.
    [[nodiscard]] bool read(Gpa gpa, std::span<std::byte> to) const;
    [[nodiscard]] bool write(Gpa gpa, std::span<const std::byte> from);

private:
    struct Planted {
        Gpa gpa;
        std::byte original{};
    };

    const Planted* find(Gpa gpa) const;
    void restore(const Planted& planted);

    GuestMemory& memory_;
    std::map<uint64_t, Planted> planted_;  // by linear address; one byte may have several
};

}  // namespace banyan
