// What a translation leaves behind besides its code: the places where it calls the interpreter and
// the jumps by which it leaves.
#pragma once

#include <array>
#include <cstdint>
#include <deque>

#include "cpu/interp/code_cache.hpp"

namespace banyan::jit {

// An instruction that the interpreter does: always, or when the fast way fails.
struct Site {
    std::array<interp::Op, 2> ops{};  // itself, then one that notes that it went on
    interp::Block* block = nullptr;
    interp::Block* entry = nullptr;  // of its region
    uint32_t index = 0;              // in its block
    uint32_t unfinished = 0;         // instructions of its basic block from this one on
    uint32_t scattered = 0;          // times that its group lay on more than one page
    bool uses_x87 = false;           // its region does
};

// A jump to a constant address outside its region. Until its target is known it leads out.
struct Link {
    uint64_t target = 0;  // rip
    uint64_t page = 0;    // guest-physical, of the jump
    interp::Mode mode{};  // of its code
    // The displacement of the jump, and where it leads while it is not linked.
    const uint8_t* jump = nullptr;
    const uint8_t* unlinked = nullptr;
    // Only for targets on another page, which may come to mean something else: the context that the
    // jump is good for (upper half of its name), and the way for others.
    const uint8_t* context = nullptr;
    const uint8_t* other_jump = nullptr;
    const uint8_t* other = nullptr;
    interp::Block* linked_to = nullptr;
    uint32_t made = 0;  // times that it was linked
};

// Numbers of sites and links are their places here.
struct Translations {
    std::deque<Site> sites;
    std::deque<Link> links;
};

}  // namespace banyan::jit
