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
    memory_.add_layout_observer(*this);
}

CodeCoherence::~CodeCoherence() {
    memory_.set_write_observer(nullptr);
    memory_.remove_layout_observer(*this);
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

// Returns the number that the answer will have, or pass.
uint64_t CodeCoherence::ask_to_drop(Member& other, const std::byte* page) {
    {
        const std::lock_guard lock(other.mutex);
        if (other.to_drop.size() < kMaxToDrop) {
            other.to_drop.push_back(page);
        } else {
            other.to_drop.assign(1, kAllPages);
        }
    }
    const uint64_t number = other.asked.fetch_add(1, std::memory_order_seq_cst) + 1;
    other.cpu->post(kEventCode);
    return number;
}

void CodeCoherence::drop(Cpu& cpu, const std::byte* page) {
    for (Tlb& tlb : cpu.tlbs) {
        if (page == kAllPages) {
            tlb.drop_write_tags();
        } else {
            tlb.drop_write_tags_of(page);
        }
    }
}

// What was asked up to that number is in the list.
void CodeCoherence::answer(Member& self, uint64_t asked) {
    std::vector<const std::byte*> pages;
    {
        const std::lock_guard lock(self.mutex);
        pages.swap(self.to_drop);
    }
    for (const std::byte* page : pages)
        drop(*self.cpu, page);
    self.answered.store(asked, std::memory_order_seq_cst);
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
    drop_write_mappings_of_all(cpu, gpa);
    settle_page(gpa);
}

// Returns when no vCPU can write to the page but by mappings that it made after it was asked.
void CodeCoherence::drop_write_mappings_of_all(Cpu& cpu, uint64_t gpa) {
    const std::byte* page = memory_.readable_range(Gpa{page_start(gpa)}, kPageSize).data();
    drop(cpu, page);
    std::vector<std::pair<Member*, uint64_t>> waiting;
    for (const auto& other : members_) {
        if (other == nullptr || other->cpu == nullptr || other->cpu == &cpu) continue;
        waiting.emplace_back(other.get(), ask_to_drop(*other, page));
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

// Other memory is there now, which vCPUs may map writable.
void CodeCoherence::unsettle_pages(const MemoryRegion& region) {
    const std::lock_guard lock(pages_mutex_);
    for (auto& [number, page] : pages_) {
        if (region.contains(Gpa{number << kPageShift}, 1)) page.settled = false;
    }
}

void CodeCoherence::on_layout_changed(std::span<const Change> changes) {
    for (const auto& other : members_) {
        if (other != nullptr) other->layout_changed.store(true, std::memory_order_seq_cst);
    }
    for (const Change& change : changes) {
        for (const auto& region : {change.before, change.now}) {
            if (!region) continue;
            unsettle_pages(*region);
            code_written(nullptr, region->start.value, region->size);
        }
    }
}

void CodeCoherence::service(Cpu& cpu) {
    Member& self = member(cpu);
    if (self.layout_changed.exchange(false, std::memory_order_seq_cst)) cpu.flush_tlb();
    const uint64_t asked = self.asked.load(std::memory_order_seq_cst);
    if (asked != self.answered.load()) answer(self, asked);
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
        if (other != nullptr && other->cpu != nullptr) (void)ask_to_drop(*other, kAllPages);
    }
}

}  // namespace banyan::interp
