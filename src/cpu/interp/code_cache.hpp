// CodeCache: decoded blocks of one vCPU, found by linear address (fast) or guest-physical address,
// dropped when their bytes are written.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "cpu/interp/arena.hpp"
#include "cpu/interp/cpu.hpp"
#include "cpu/interp/op.hpp"

namespace banyan::interp {

inline constexpr unsigned kMaxInstruction = 15;  // bytes

// A run of instructions. Lies in one page, or is one instruction that crosses into a second.
struct Block {
    uint64_t rip = 0;               // of the first instruction
    uint64_t linear = 0;            // the same with the base of the code segment
    uint64_t gpa = 0;               // of the first byte
    uint64_t second_gpa = kNoPage;  // of the page it crosses into
    Mode mode{};
    uint16_t length = 0;  // bytes
    uint16_t count = 0;   // instructions
    bool valid = true;
    Op* ops = nullptr;  // count of them, then one that ends the block
    Block* next_in_hash = nullptr;
    uint32_t heat = 0;              // times that it was run by the interpreter
    const uint8_t* host = nullptr;  // the accelerator's code for it
    void* translation = nullptr;    // what else the accelerator knows of it
    bool scattered = false;         // its accesses often lie on more pages than expected

    static constexpr uint64_t kNoPage = ~uint64_t{0};
};

class CodeCache {
public:
    explicit CodeCache(Cpu& cpu);
    ~CodeCache();

    // The block at CS:RIP in the current mode, decoded if need be. Null: the fetch faulted, pending
    // in cpu.fault.
    Block* lookup() {
        const uint64_t linear = cpu_.base[x86::kCs] + cpu_.rip;
        if (Block* known = cpu_.jumps.find_block(linear, cpu_.context)) [[likely]]
            return known;
        return lookup_slow(cpu_.mode, linear, true);
    }
    // The same for a block of one instruction, which is not remembered by its linear address.
    Block* lookup_one(Mode mode) {
        return lookup_slow(mode, cpu_.base[x86::kCs] + cpu_.rip, false);
    }
    // A block that has been decoded already. Null: there is none.
    Block* find_decoded(uint64_t gpa, Mode mode, uint64_t rip);

    void forget_jumps();
    // Was code fetched from this linear page since forget_code_pages()? Sometimes says yes wrongly.
    bool may_hold_page(uint64_t linear) const { return code_pages_[page_bit(linear)]; }
    void forget_code_pages() { code_pages_.reset(); }
    // Guest-physical bytes changed: drops the blocks that hold any of them.
    void invalidate(uint64_t gpa, uint64_t length);
    // Do this vCPU's blocks hold code of this page?
    bool has_page(uint64_t gpa) const { return pages_.contains(gpa >> kPageShift); }
    void clear();

    struct Statistics {
        Counter lookups;       // that the table of linear addresses did not answer
        Counter blocks;        // decoded
        Counter instructions;  // decoded
        Counter invalidated;   // blocks
        Counter clears;
    };
    const Statistics& statistics() const { return statistics_; }

private:
    static constexpr size_t kFirstBuckets = 1U << 12;
    static constexpr size_t kArenaLimit = 128U << 20;
    static constexpr unsigned kGranule =
        64;  // bytes of a page that one bit of PageCode::granules stands for

    struct PageCode {
        uint64_t granules = 0;  // which parts hold code
        std::vector<Block*> blocks;
    };

    static constexpr unsigned kPageBits = 1U << 15;
    static unsigned page_bit(uint64_t linear) { return (linear >> kPageShift) & (kPageBits - 1); }

    Block* lookup_slow(Mode mode, uint64_t linear, bool remember);
    bool find_page(uint64_t linear, uint64_t& gpa);
    Block* find(uint64_t gpa, Mode mode, uint64_t linear);
    Block* decode_block(uint64_t gpa, Mode mode, uint64_t linear);
    Block* decode_crossing(uint64_t gpa, Mode mode, uint64_t linear);
    Block* decode_uncached(uint64_t gpa, Mode mode, uint64_t linear);
    Block* add_block(uint64_t gpa, uint64_t second_gpa, Mode mode, uint64_t linear, unsigned length,
                     const std::vector<Op>& ops);
    void add_to_page(uint64_t gpa, unsigned length, Block* block);
    void prepare_page(uint64_t gpa);
    void prepare_pages(uint64_t gpa, uint64_t second_gpa);
    void drop(Block* block);

    // With the rip: programs that share a library have it at addresses of their own.
    static uint64_t block_hash(uint64_t gpa, Mode mode, uint64_t rip) {
        const uint64_t all = (gpa ^ (uint64_t{mode.bits} << 40)) * 0x9E3779B97F4A7C15 + rip;
        return (all * 0xD6E8FEB86659FD93) >> 20;
    }
    Block*& bucket(uint64_t hash) { return buckets_[hash & (buckets_.size() - 1)]; }
    void grow_buckets();

    // Pages that code was fetched from. The context's name in the tag makes an entry untrue when
    // what is mapped changes.
    struct Page {
        uint64_t tag = 0;  // linear page ^ name of the context
        uint64_t gpa = 0;
        bool global = false;
    };
    static constexpr size_t kPages = 1024;

    Cpu& cpu_;
    std::array<Page, kPages> fetched_{};
    std::bitset<kPageBits> code_pages_;
    std::vector<Block*> buckets_;  // by block_hash(), linked by Block::next_in_hash
    size_t block_count_ = 0;
    std::unordered_map<uint64_t, PageCode> pages_;
    Arena arena_;
    Arena scratch_;  // of decode_uncached
    Block scratch_block_;
    std::vector<Op> ops_;  // being decoded
    Statistics statistics_;
};

// Decodes the instruction at `bytes` (at most 15 of `available`). Returns its length and fills op;
// on bytes that are no instruction the handler raises #UD. 0: `available` was too short.
unsigned decode(const uint8_t* bytes, unsigned available, uint64_t rip, Mode mode,
                const CpuModel& model, Arena& arena, Op& op);

}  // namespace banyan::interp
