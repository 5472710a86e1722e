#include "cpu/interp/code_coherence.hpp"

#include <immintrin.h>

#include "cpu/interp/code_cache.hpp"
#include "cpu/interp/cpu.hpp"
#include "support/assert.hpp"

namespace banyan::interp {

namespace {

constexpr uint64_t page_start(uint64_t gpa) {
    return gpa & ~(kPageSize - 1);
}

}  // namespace

CodeCoherence::CodeCoherence(GuestMemory& memory) : memory_(memory) {
    memory_.set_write_observer(this);
}

CodeCoherence::~CodeCoherence() {
    memory_.set_write_observer(nullptr);
}

void CodeCoherence::join(Cpu& cpu) {
    const unsigned index = cpu.wiring.index;
    if (members_.size() <= index) members_.resize(index + 1);
    members_[index] = std::make_unique<Member>();
    members_[index]->cpu = &cpu;
}

void CodeCoherence::leave(Cpu& cpu) {
    member(cpu).cpu = nullptr;
}

CodeCoherence::Member& CodeCoherence::member(const Cpu& cpu) {
    return *members_[cpu.wiring.index];
}

void CodeCoherence::enter(Cpu& cpu) {
    member(cpu).running.store(true, std::memory_order_seq_cst);
    service(cpu);
}

void CodeCoherence::exit(Cpu& cpu) {
    member(cpu).running.store(false, std::memory_order_seq_cst);
}

void CodeCoherence::ask_to_drop(Member& other) {
    other.asked.fetch_add(1, std::memory_order_seq_cst);
    other.cpu->post(kEventCode);
}

bool CodeCoherence::hold_page(uint64_t gpa) {
    const std::lock_guard lock(pages_mutex_);
    CodePage& page = pages_[gpa >> kPageShift];
    ++page.holders;
    memory_.set_page_flag(Gpa{page_start(gpa)}, kPageHasCode);
    return page.settled;
}

void CodeCoherence::settle_page(uint64_t gpa) {
    const std::lock_guard lock(pages_mutex_);
    pages_[gpa >> kPageShift].settled = true;
}

// Where another vCPU has come first but still waits, this one must wait, too.
void CodeCoherence::acquire_page(Cpu& cpu, uint64_t gpa) {
    if (hold_page(gpa)) return;
    drop_write_mappings_of_all(cpu);
    settle_page(gpa);
}

// Returns when no vCPU can write but by mappings that it made after it was asked.
void CodeCoherence::drop_write_mappings_of_all(Cpu& cpu) {
    for (Tlb& tlb : cpu.tlbs)
        tlb.drop_write_tags();
    std::vector<std::pair<Member*, uint64_t>> waiting;
    for (const auto& other : members_) {
        if (other == nullptr || other->cpu == nullptr || other->cpu == &cpu) continue;
        ask_to_drop(*other);
        waiting.emplace_back(other.get(), other->asked.load());
    }
    for (const auto& [other, ticket] : waiting) {
        while (other->running.load(std::memory_order_seq_cst) && other->answered.load() < ticket) {
            service(cpu);  // the other may be waiting for us
            _mm_pause();
        }
    }
}

void CodeCoherence::release_page(uint64_t gpa) {
    const std::lock_guard lock(pages_mutex_);
    const auto found = pages_.find(gpa >> kPageShift);
    BANYAN_ASSERT(found != pages_.end());
    if (--found->second.holders != 0) return;
    pages_.erase(found);
    memory_.clear_page_flag(Gpa{page_start(gpa)}, kPageHasCode);
}

void CodeCoherence::code_written(Cpu* by, uint64_t gpa, uint64_t length) {
    for (const auto& other : members_) {
        if (other == nullptr || other->cpu == nullptr || other->cpu == by) continue;
        {
            const std::lock_guard lock(other->mutex);
            other->written.push_back({gpa, length});
            other->has_written.store(true);
        }
        other->cpu->post(kEventCode);
    }
}

void CodeCoherence::service(Cpu& cpu) {
    Member& self = member(cpu);
    const uint64_t asked = self.asked.load(std::memory_order_seq_cst);
    if (asked != self.answered.load()) {
        for (Tlb& tlb : cpu.tlbs)
            tlb.drop_write_tags();
        self.answered.store(asked, std::memory_order_seq_cst);
    }
    if (!self.has_written.load()) return;
    std::vector<Range> written;
    {
        const std::lock_guard lock(self.mutex);
        written.swap(self.written);
        self.has_written.store(false);
    }
    for (const Range& range : written)
        cpu.code->invalidate(range.gpa, range.length);
}

void CodeCoherence::drop_write_mappings() {
    for (const auto& other : members_) {
        if (other != nullptr && other->cpu != nullptr) ask_to_drop(*other);
    }
}

}  // namespace banyan::interp
