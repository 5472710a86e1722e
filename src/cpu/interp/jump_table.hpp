// JumpTable: from linear addresses to blocks, for the loop and for generated code.
//
// An address has two places: its low bits choose the first, where generated code looks in line; a
// hash chooses the second, where goes what loses its first place to another address.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "cpu/interp/storage.hpp"

namespace banyan::interp {

struct Block;

struct alignas(16) Jump {
    uint64_t tag;         // linear address ^ name of the context; 0: none
    const uint8_t* host;  // the accelerator's code, or what stands for none
};

class JumpTable {
public:
    static constexpr unsigned kPlaces = 1U << 16;  // of each kind
    static constexpr uint32_t kHash = 0x9E3779B1;  // odd

    explicit JumpTable(Storage storage = Storage::any) : empty_(storage == Storage::zeroed) {
        forget_all();
    }

    static unsigned first_place(uint64_t linear) { return linear & (kPlaces - 1); }
    // Behind all the first ones.
    static unsigned second_place(uint64_t linear) {
        return ((static_cast<uint32_t>(linear) * kHash) >> 16) + kPlaces;
    }

    // Where the address is. Null: it is not.
    const Jump* find(uint64_t linear, uint64_t context) const {
        const Jump& first = jumps_[first_place(linear)];
        if (first.tag == (linear ^ context)) [[likely]]
            return &first;
        const Jump& second = jumps_[second_place(linear)];
        return second.tag == (linear ^ context) ? &second : nullptr;
    }
    Block* find_block(uint64_t linear, uint64_t context) const {
        const Jump* jump = find(linear, context);
        return jump != nullptr ? blocks_[static_cast<size_t>(jump - jumps_.data())] : nullptr;
    }

    void insert(uint64_t linear, uint64_t context, const uint8_t* host, Block* block) {
        const unsigned first = first_place(linear);
        if (Block* loser = blocks_[first]; loser != nullptr && loser != block) make_room(first);
        empty_ = false;
        jumps_[first] = {linear ^ context, host};
        blocks_[first] = block;
    }
    // The block at this address has, or lost, code of the accelerator.
    void set_host(uint64_t linear, const Block& block, const uint8_t* host) {
        for (const unsigned place : {first_place(linear), second_place(linear)}) {
            if (blocks_[place] == &block) jumps_[place].host = host;
        }
    }
    void forget(uint64_t linear, const Block& block) {
        for (const unsigned place : {first_place(linear), second_place(linear)}) {
            if (blocks_[place] == &block) clear(place);
        }
    }
    void forget_all() {
        if (empty_) return;
        jumps_.fill({});
        blocks_.fill(nullptr);
        empty_ = true;
    }

    static constexpr size_t jumps_offset();

private:
    void make_room(unsigned first);  // code_cache.cpp
    void clear(unsigned place) {
        jumps_[place] = {};
        blocks_[place] = nullptr;
    }

    // Apart from each other: generated code needs no blocks.
    std::array<Jump, 2 * size_t{kPlaces}> jumps_;
    std::array<Block*, 2 * size_t{kPlaces}> blocks_;
    bool empty_;
};

constexpr size_t JumpTable::jumps_offset() {
    return offsetof(JumpTable, jumps_);
}

}  // namespace banyan::interp
