// Submission and completion queues (NVM Express 1.4, section 4.1) and interrupts (section 7.5).
#include <algorithm>
#include <atomic>
#include <cstddef>

#include "devices/storage/nvme_controller.hpp"
#include "support/bits.hpp"

namespace banyan {

using namespace nvme;

bool NvmeController::live() const {
    return state_.status.get<nvme::Status::Ready>() && bus_master_enabled();
}

// Section 3.1.24: even doorbells are tails of submission queues, odd ones heads of completion
// queues. A wrong one is an asynchronous event, and otherwise nothing.
void NvmeController::ring_doorbell(uint32_t index, uint32_t value) {
    if (!state_.status.get<nvme::Status::Ready>()) return;
    const uint32_t queue = index / 2;
    const bool completion = index % 2 != 0;
    const bool exists = queue < kQueues && (completion ? state_.completion[queue].exists
                                                       : state_.submission[queue].exists);
    if (!exists) {
        raise_event(Event::invalid_doorbell);
    } else if (completion) {
        set_completion_head(queue, value);
    } else {
        set_submission_tail(queue, value);
    }
    flush_interrupts();
}

void NvmeController::set_submission_tail(unsigned queue, uint32_t value) {
    SubmissionQueue& sq = state_.submission[queue];
    if (value >= sq.size) return raise_event(Event::invalid_doorbell_value);
    sq.tail = static_cast<uint16_t>(value);
    run_queue(queue);
}

// Room again: for what waited for it.
void NvmeController::set_completion_head(unsigned queue, uint32_t value) {
    CompletionQueue& cq = state_.completion[queue];
    if (value >= cq.size) return raise_event(Event::invalid_doorbell_value);
    cq.head = static_cast<uint16_t>(value);
    update_intx();
    if (queue == 0) tell_events();
    for (unsigned i = 0; i < kQueues; ++i)
        if (state_.submission[i].exists && state_.submission[i].cq == queue) run_queue(i);
}

void NvmeController::run_all_queues() {
    for (unsigned i = 0; i < kQueues; ++i)
        if (state_.submission[i].exists) run_queue(i);
    flush_interrupts();
}

// Takes what is in the queue now. It ends: only doorbells move the tail, and they come with the
// device's lock.
void NvmeController::run_queue(unsigned queue) {
    Command command;
    while (live() && !draining_ && fetch(queue, command)) {
        if (queue == 0) {
            run_admin(command);
        } else {
            run_io(queue, command);
        }
    }
}

// Each command that was taken gets a place for its completion.
bool NvmeController::room_for_completion(unsigned index) const {
    const CompletionQueue& cq = state_.completion[index];
    const uint32_t used = (cq.tail + cq.size - cq.head) % cq.size;
    return used + outstanding_[index] + 1 < cq.size;
}

bool NvmeController::fetch(unsigned queue, Command& command) {
    SubmissionQueue& sq = state_.submission[queue];
    if (!sq.exists || sq.head == sq.tail || free_.empty() || !room_for_completion(sq.cq))
        return false;
    if (!memory_.read_object(sq.base + uint64_t{sq.head} * sizeof(Command), command)) {
        // Section 9.5: the controller cannot go on.
        state_.status.set<nvme::Status::Fatal>(true);
        state_.status.set<nvme::Status::Ready>(false);
        return false;
    }
    sq.head = static_cast<uint16_t>((sq.head + 1U) % sq.size);
    ++outstanding_[sq.cq];
    return true;
}

// The phase tag says that the rest is there, so it goes last.
void NvmeController::complete(uint16_t queue, uint16_t id, uint16_t status, uint32_t result) {
    const SubmissionQueue& sq = state_.submission[queue];
    CompletionQueue& cq = state_.completion[sq.cq];
    --outstanding_[sq.cq];
    if (status != SUCCESS) status |= kDoNotRetry;
    Completion entry;
    entry.result = result;
    entry.sq_head = sq.head;
    entry.sq_id = queue;
    entry.command_id = id;
    entry.status_and_phase = static_cast<uint16_t>(status << 1 | (cq.phase ? 1 : 0));
    const auto bytes = std::as_bytes(std::span(&entry, 1));
    constexpr size_t kLast = offsetof(Completion, command_id);
    const Gpa at = cq.base + uint64_t{cq.tail} * sizeof(Completion);
    (void)memory_.write(at, bytes.first(kLast));
    std::atomic_thread_fence(std::memory_order_release);
    (void)memory_.write(at + kLast, bytes.subspan(kLast));
    cq.tail = static_cast<uint16_t>((cq.tail + 1U) % cq.size);
    if (cq.tail == 0) cq.phase = !cq.phase;
    signal_[sq.cq] = true;
}

// One interrupt for all completions of one go.
void NvmeController::flush_interrupts() {
    for (unsigned i = 0; i < kQueues; ++i) {
        if (!signal_[i]) continue;
        signal_[i] = false;
        const CompletionQueue& cq = state_.completion[i];
        if (cq.exists && cq.interrupts) msix_.signal(cq.vector);
    }
    update_intx();
}

// Section 7.5.1: without MSI-X, the pin shows that some completion queue is not empty. There is one
// vector then, and one mask bit for it.
void NvmeController::update_intx() {
    const bool waits = std::any_of(
        state_.completion.begin(), state_.completion.end(),
        [](const auto& cq) { return cq.exists && cq.interrupts && cq.head != cq.tail; });
    set_intx(waits && !has_bit(state_.interrupt_mask, 0));
}

}  // namespace banyan
