#include "cpu/interp/code_cache.hpp"

#include <algorithm>

#include "cpu/interp/accelerator.hpp"
#include "cpu/interp/code_coherence.hpp"
#include "support/assert.hpp"
#include "support/bits.hpp"

namespace banyan::interp {

namespace {

constexpr size_t kMaxOps = 64;

// Ends a block after its last instruction, where no branch did.
void op_end_block(Cpu& cpu, const Op* op) {
    cpu.rip = cpu.rip_of(op);
}

// Stands for every instruction of a block whose bytes were written while it ran.
void op_stale(Cpu& cpu, const Op* op) {
    cpu.rip = cpu.rip_of(op);
    cpu.retired -= cpu.unfinished(op);
}

// Stands for an instruction at which a debugger stops.
void op_marked(Cpu& cpu, const Op* op) {
    cpu.rip = cpu.rip_of(op);
    cpu.retired -= cpu.unfinished(op);
    const DebugPoint* point = cpu.debugger.execution_point(cpu.base[x86::kCs] + cpu.rip);
    BANYAN_ASSERT(point != nullptr);  // code is decoded anew when points change
    cpu.leave_for_debugger({DebugEvent::point, *point});
}

// Instructions that run one by one are looked at before they run.
void mark_for_debugger(const Cpu& cpu, uint64_t linear, Mode mode, Op& op) {
    if (mode.has(Mode::kOneInstruction) || cpu.debugger.execution_point(linear) == nullptr) return;
    op.handler = op_marked;
    op.bits |= Op::kMarked | Op::kStartsBlock | Op::kEndsBlock;
}

uint64_t page_of(uint64_t gpa) {
    return gpa >> kPageShift;
}
uint64_t offset_of(uint64_t gpa) {
    return gpa & (kPageSize - 1);
}

}  // namespace

CodeCache::CodeCache(Cpu& cpu) : cpu_(cpu), buckets_(kFirstBuckets) {}

CodeCache::~CodeCache() {
    clear();
}

// The bytes at `linear` may be fetched, and are at `gpa`. False: #PF is pending.
bool CodeCache::find_page(uint64_t linear, uint64_t& gpa) {
    const uint64_t number = linear >> kPageShift;
    Page& page = fetched_[number % kPages];
    const uint64_t tag = (number << kPageShift) ^ cpu_.context;
    if (page.tag != tag) {
        const View view = cpu_.cpl == 3 ? View::user : View::supervisor;
        Translation at;
        if (!cpu_.translate(nullptr, linear, Access::fetch, view, at)) return false;
        code_pages_.set(page_bit(linear));
        page = {tag, at.gpa & ~(kPageSize - 1), at.global};
    }
    if (cpu_.cpl != 3 && !page.global) cpu_.spaces.note_local_kernel_code();
    gpa = page.gpa | offset_of(linear);
    return true;
}

void JumpTable::make_room(unsigned first) {
    const unsigned second = second_place(blocks_[first]->linear);
    jumps_[second] = jumps_[first];
    blocks_[second] = blocks_[first];
}

Block* CodeCache::lookup_slow(Mode mode, uint64_t linear, bool remember) {
    ++statistics_.lookups;
    if (!cpu_.check_fetch(linear)) return nullptr;
    uint64_t gpa;
    if (!find_page(linear, gpa)) return nullptr;
    // A page walk may be the first to see what another vCPU has mapped there after it wrote the
    // code: no one asks for a serialising instruction then.
    Block* block;
    do {
        cpu_.coherence.service(cpu_);
        block = find(gpa, mode, linear);
    } while (cpu_.coherence.has_written_code(cpu_));
    if (block == nullptr) {
        if (arena_.used() > kArenaLimit) clear();
        block = decode_block(gpa, mode, linear);
        if (block == nullptr) return nullptr;
    }
    if (block != &scratch_block_ && remember)
        cpu_.jumps.insert(linear, cpu_.context, block->host != nullptr ? block->host : cpu_.no_host,
                          block);
    return block;
}

Block* CodeCache::find(uint64_t gpa, Mode mode, uint64_t linear) {
    for (Block* b = bucket(block_hash(gpa, mode, cpu_.rip)); b != nullptr; b = b->next_in_hash) {
        if (b->gpa != gpa || b->rip != cpu_.rip || b->linear != linear || !(b->mode == mode))
            continue;
        // Decoded by a code segment that goes further than this one.
        if (!cpu_.within_code_limit(b->rip + b->length - 1)) continue;
        if (b->second_gpa == Block::kNoPage) return b;
        // The second page is looked up each time: it may be another one in this address space.
        Translation second;
        const uint64_t next_page = align_up(linear + 1, kPageSize);
        const View view = cpu_.cpl == 3 ? View::user : View::supervisor;
        if (!cpu_.translate(nullptr, next_page, Access::fetch, view, second)) {
            cpu_.fault.active = false;  // decode_crossing() finds out again, if it matters
            return nullptr;
        }
        if (second.gpa != b->second_gpa) continue;
        code_pages_.set(page_bit(next_page));
        return b;
    }
    return nullptr;
}

void CodeCache::prepare_page(uint64_t gpa) {
    if (pages_.contains(page_of(gpa))) return;
    pages_.emplace(page_of(gpa), PageCode{});
    cpu_.coherence.acquire_page(cpu_, gpa);
}

Block* CodeCache::decode_block(uint64_t gpa, Mode mode, uint64_t linear) {
    const uint64_t room = kPageSize - offset_of(gpa);
    if (cpu_.memory.readable_range(Gpa{gpa}, room).empty())
        return decode_uncached(gpa, mode, linear);
    prepare_page(gpa);
    const auto bytes = cpu_.memory.readable_range(Gpa{gpa}, room);
    const auto* code = reinterpret_cast<const uint8_t*>(bytes.data());
    const size_t limit = mode.has(Mode::kOneInstruction) ? 1 : kMaxOps;
    ops_.clear();
    unsigned length = 0;
    while (ops_.size() < limit && length < room) {
        Op op;
        const uint64_t rip = cpu_.cut_rip(cpu_.rip + length);
        if (!cpu_.within_code_limit(rip)) break;
        const unsigned size = decode(code + length, static_cast<unsigned>(room - length), rip, mode,
                                     cpu_.model, arena_, op);
        if (size == 0 || !cpu_.within_code_limit(rip + size - 1)) break;
        mark_for_debugger(cpu_, linear + length, mode, op);
        if (op.has(Op::kStartsBlock) && !ops_.empty()) break;
        op.offset = static_cast<uint16_t>(length);
        length += size;
        const bool shadowed = !ops_.empty() && ops_.back().has(Op::kShadow);
        if (shadowed) ops_.back().bits |= Op::kFollowed;
        ops_.push_back(op);
        if (op.has(Op::kEndsBlock) || shadowed) break;
    }
    if (ops_.empty()) return decode_crossing(gpa, mode, linear);
    return add_block(gpa, Block::kNoPage, mode, linear, length, ops_);
}

// To prepare one page may be to wait for other vCPUs, which may write to the other page meanwhile.
void CodeCache::prepare_pages(uint64_t gpa, uint64_t second_gpa) {
    do {
        prepare_page(gpa);
        prepare_page(second_gpa);
    } while (!pages_.contains(page_of(gpa)));
}

// The first instruction crosses into the next page, which may fault, or passes the code segment's
// limit.
Block* CodeCache::decode_crossing(uint64_t gpa, Mode mode, uint64_t linear) {
    const uint64_t room = kPageSize - offset_of(gpa);
    const unsigned first = static_cast<unsigned>(std::min<uint64_t>(room, kMaxInstruction));
    unsigned available = kMaxInstruction;
    while (available > 0 && !cpu_.within_code_limit(cpu_.rip + available - 1))
        --available;
    Translation second;
    const bool needs_second = available > first;
    if (needs_second) {
        const View view = cpu_.cpl == 3 ? View::user : View::supervisor;
        if (!cpu_.translate(nullptr, align_up(linear + 1, kPageSize), Access::fetch, view, second))
            return nullptr;
        prepare_pages(gpa, second.gpa);
        code_pages_.set(page_bit(linear + kPageSize));
    }
    uint8_t bytes[kMaxInstruction] = {};
    if (!cpu_.memory.read(Gpa{gpa}, std::as_writable_bytes(std::span(bytes, first))))
        return nullptr;
    if (needs_second) {
        const auto rest = std::as_writable_bytes(std::span(bytes + first, kMaxInstruction - first));
        if (!cpu_.memory.read(Gpa{second.gpa}, rest))
            std::memset(bytes + first, 0xFF, kMaxInstruction - first);
    }
    Op op;
    const unsigned size = decode(bytes, available, cpu_.rip, mode, cpu_.model, arena_, op);
    if (size == 0) {
        cpu_.raise(nullptr, x86::Vector::gp, 0);  // longer than 15 bytes, or past the limit
        return nullptr;
    }
    mark_for_debugger(cpu_, linear, mode, op);
    op.offset = 0;
    return add_block(gpa, needs_second ? second.gpa : Block::kNoPage, mode, linear, size, {op});
}

// Code in device memory: fetched anew each time, one instruction at a time.
Block* CodeCache::decode_uncached(uint64_t gpa, Mode mode, uint64_t linear) {
    uint8_t bytes[kMaxInstruction];
    for (unsigned i = 0; i < kMaxInstruction; ++i) {
        bytes[i] = static_cast<uint8_t>(cpu_.wiring.io->mmio_read(Gpa{gpa + i}, 1));
    }
    scratch_.clear();
    Op* ops = scratch_.allocate<Op>(2);
    const unsigned size =
        decode(bytes, kMaxInstruction, cpu_.rip, mode, cpu_.model, scratch_, ops[0]);
    if (size == 0) {
        cpu_.raise(nullptr, x86::Vector::gp, 0);
        return nullptr;
    }
    mark_for_debugger(cpu_, linear, mode, ops[0]);
    ops[1].handler = op_end_block;
    ops[1].offset = static_cast<uint16_t>(size);
    scratch_block_ = {.rip = cpu_.rip,
                      .gpa = gpa,
                      .mode = mode,
                      .length = static_cast<uint16_t>(size),
                      .count = 1,
                      .ops = ops};
    return &scratch_block_;
}

Block* CodeCache::add_block(uint64_t gpa, uint64_t second_gpa, Mode mode, uint64_t linear,
                            unsigned length, const std::vector<Op>& ops) {
    Block* block = arena_.allocate<Block>();
    Op* stored = arena_.allocate<Op>(ops.size() + 1);
    std::copy(ops.begin(), ops.end(), stored);
    stored[ops.size()].handler = op_end_block;
    stored[ops.size()].offset = static_cast<uint16_t>(length);
    block->rip = cpu_.rip;
    block->linear = linear;
    block->gpa = gpa;
    block->second_gpa = second_gpa;
    block->mode = mode;
    block->length = static_cast<uint16_t>(length);
    block->count = static_cast<uint16_t>(ops.size());
    block->ops = stored;
    if (++block_count_ > buckets_.size()) grow_buckets();
    Block*& head = bucket(block_hash(gpa, mode, cpu_.rip));
    block->next_in_hash = head;
    head = block;
    const uint64_t room = kPageSize - offset_of(gpa);
    add_to_page(gpa, static_cast<unsigned>(std::min<uint64_t>(length, room)), block);
    if (second_gpa != Block::kNoPage) add_to_page(second_gpa, kMaxInstruction, block);
    ++statistics_.blocks;
    statistics_.instructions += ops.size();
    return block;
}

void CodeCache::grow_buckets() {
    std::vector<Block*> old(buckets_.size() * 2);
    old.swap(buckets_);
    for (Block* block : old) {
        while (block != nullptr) {
            Block* next = block->next_in_hash;
            Block*& head = bucket(block_hash(block->gpa, block->mode, block->rip));
            block->next_in_hash = head;
            head = block;
            block = next;
        }
    }
}

void CodeCache::add_to_page(uint64_t gpa, unsigned length, Block* block) {
    PageCode& page = pages_[page_of(gpa)];
    const unsigned first = static_cast<unsigned>(offset_of(gpa)) / kGranule;
    const unsigned last =
        std::min((static_cast<unsigned>(offset_of(gpa)) + length - 1) / kGranule, 63U);
    page.granules |= mask(last, first);
    page.blocks.push_back(block);
}

void CodeCache::invalidate(uint64_t gpa, uint64_t length) {
    if (length == 0) return;
    for (uint64_t page = page_of(gpa); page <= page_of(gpa + length - 1); ++page) {
        const auto found = pages_.find(page);
        if (found == pages_.end()) continue;
        const uint64_t begin = std::max(gpa, page << kPageShift);
        const uint64_t end = std::min(gpa + length - 1, (page << kPageShift) + kPageSize - 1);
        const unsigned first = static_cast<unsigned>(offset_of(begin)) / kGranule;
        const unsigned last = static_cast<unsigned>(offset_of(end)) / kGranule;
        if ((found->second.granules & mask(last, first)) == 0) continue;
        const PageCode code = std::move(found->second);
        pages_.erase(found);
        for (Block* block : code.blocks)
            drop(block);
        cpu_.coherence.release_page(page << kPageShift);
    }
}

void CodeCache::drop(Block* block) {
    if (!block->valid) return;
    block->valid = false;
    ++statistics_.invalidated;
    // The block may be running: what is left of it ends at once.
    for (unsigned i = 0; i < block->count; ++i)
        block->ops[i].handler = op_stale;
    if (block->host != nullptr) cpu_.accelerator->drop(*block);
    cpu_.jumps.forget(block->linear, *block);
    --block_count_;
    Block** link = &bucket(block_hash(block->gpa, block->mode, block->rip));
    while (*link != nullptr && *link != block)
        link = &(*link)->next_in_hash;
    if (*link == block) *link = block->next_in_hash;
}

void CodeCache::forget_jumps() {
    cpu_.jumps.forget_all();
}

Block* CodeCache::find_decoded(uint64_t gpa, Mode mode, uint64_t rip) {
    for (Block* b = bucket(block_hash(gpa, mode, rip)); b != nullptr; b = b->next_in_hash) {
        if (b->gpa == gpa && b->rip == rip && b->mode == mode) return b;
    }
    return nullptr;
}

void CodeCache::clear() {
    for (const auto& [page, code] : pages_)
        cpu_.coherence.release_page(page << kPageShift);
    pages_.clear();
    buckets_.assign(kFirstBuckets, nullptr);
    block_count_ = 0;
    arena_.clear();
    if (cpu_.accelerator != nullptr) cpu_.accelerator->clear();
    forget_jumps();
    ++statistics_.clears;
}

}  // namespace banyan::interp
