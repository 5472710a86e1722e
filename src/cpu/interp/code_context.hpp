// CodeContexts: names for "what linear addresses mean as code": one for each combination of mode,
// address space and code segment that was met lately. Tables from linear address to code carry the
// name in their tags, so that a change of context costs no flush, and forgetting one is giving it
// a new name.
#pragma once

#include <array>
#include <cstdint>
#include <random>

#include "cpu/interp/op.hpp"

namespace banyan::interp {

class CodeContexts {
public:
    CodeContexts();

    struct Key {
        Mode mode{};
        uint32_t segment_limit = 0;
        uint64_t segment_base = 0;
        uint64_t space = 0;
        friend bool operator==(const Key&, const Key&) = default;
    };

    // The name of `key`, to be XORed into linear addresses. Names are random, so that no guest can
    // find an address that means in one context what another means in another; the upper 32 bits
    // are a number that no other name has.
    uint64_t name_of(const Key& key) {
        const Known& known = known_[index(key)];
        return known.key == key ? known.name : new_name(key);
    }

private:
    static constexpr unsigned kKnown = 64;

    struct Known {
        Key key;
        uint64_t name = 0;
    };
    static unsigned index(const Key& key) {
        constexpr uint64_t kMix = 0x9E3779B97F4A7C15;
        const uint64_t all = (key.mode.bits + (key.space << 24)) ^ key.segment_base ^
                             (uint64_t{key.segment_limit} << 32);
        return static_cast<unsigned>((all * kMix) >> 58);
    }
    uint64_t new_name(const Key& key);

    std::array<Known, kKnown> known_{};
    uint32_t count_ = 0;
    uint32_t secret_;
    std::mt19937_64 random_;
};

// Generations of address spaces: a new number means that nothing is known of what is mapped where.
// User code runs in the space of the current CR3, kernel code in one for all as long as its pages
// are global.
class AddressSpaces {
public:
    uint64_t user() const { return user_; }
    uint64_t kernel() const { return kernel_; }

    // CR3 was written. `keep`: translations of this PCID stay (Intel SDM vol. 3 section 4.10.4.1).
    void switch_to(uint16_t pcid, bool keep);
    // Kernel code was found on a page that is not global: it goes with the next CR3.
    void note_local_kernel_code() { local_kernel_code_ = true; }
    void forget_all();

private:
    static constexpr unsigned kPcids = 16;
    struct Saved {
        uint16_t pcid = 0;
        uint64_t space = 0;  // 0: none
    };

    uint64_t last_ = 1;
    uint64_t user_ = 1;
    uint64_t kernel_ = 1;
    bool local_kernel_code_ = false;
    uint16_t pcid_ = 0;
    std::array<Saved, kPcids> saved_{};
};

}  // namespace banyan::interp
