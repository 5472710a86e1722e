// Admin commands (NVM Express 1.4, chapter 5).
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "devices/storage/nvme_controller.hpp"
#include "support/bits.hpp"

namespace banyan {

using namespace nvme;

namespace {

constexpr uint16_t kTemperature = 303;  // kelvins: always 30 degrees Celsius
constexpr uint32_t kEveryNamespace = 0xFFFF'FFFF;

uint32_t low_half(uint32_t dword) {
    return dword & 0xFFFFU;
}

uint32_t high_half(uint32_t dword) {
    return dword >> 16;
}

// Section 5.14.1.2. What a disk image has of health: a temperature and spare blocks.
std::array<std::byte, 512> health_page() {
    std::array<std::byte, 512> page{};
    page[1] = std::byte{kTemperature & 0xFF};
    page[2] = std::byte{kTemperature >> 8};
    page[3] = std::byte{100};  // available spare, percent
    page[4] = std::byte{10};   // its threshold
    return page;
}

// Section 5.14.1.3: slot 1 is active.
std::array<std::byte, 512> firmware_page() {
    std::array<std::byte, 512> page{};
    page[0] = std::byte{1};
    std::memcpy(page.data() + 8, "1.0     ", 8);
    return page;
}

}  // namespace

void NvmeController::run_admin(const Command& command) {
    if (static_cast<Admin>(command.opcode) == Admin::async_event_request)
        return request_event(command.id);
    const Answer answer =
        command.flags == kPlainCommand ? carry_out(command) : Answer{INVALID_FIELD, 0};
    complete(0, command.id, answer.status, answer.result);
    tell_events();
}

NvmeController::Answer NvmeController::carry_out(const Command& command) {
    switch (static_cast<Admin>(command.opcode)) {
        case Admin::delete_sq: return delete_submission_queue(command);
        case Admin::create_sq: return create_submission_queue(command);
        case Admin::get_log_page: return get_log_page(command);
        case Admin::delete_cq: return delete_completion_queue(command);
        case Admin::create_cq: return create_completion_queue(command);
        case Admin::identify: return identify(command);
        // Section 5.1: best effort. Commands are with the backend at once, which lets none go.
        case Admin::abort: return {SUCCESS, 1};
        case Admin::set_features: return set_features(command);
        case Admin::get_features: return get_features(command);
        case Admin::async_event_request: break;
    }
    return {INVALID_OPCODE, 0};
}

// Section 5.3: identifier and size less one in dword 10.
NvmeController::Answer NvmeController::create_completion_queue(const Command& command) {
    const uint32_t id = low_half(command.cdw10);
    const uint32_t size = high_half(command.cdw10) + 1;
    const uint32_t vector = high_half(command.cdw11);
    if (id == 0 || id >= kQueues || state_.completion[id].exists) return {QUEUE_ID_INVALID, 0};
    if (size < 2 || size > kMaxEntries) return {QUEUE_SIZE_INVALID, 0};
    if (vector >= kQueues) return {INTERRUPT_VECTOR_INVALID, 0};
    if ((command.cdw11 & kContiguous) == 0) return {INVALID_FIELD, 0};
    if ((command.prp1 & (kPage - 1)) != 0) return {PRP_OFFSET_INVALID, 0};
    state_.completion[id] = {.exists = true,
                             .base = Gpa{command.prp1},
                             .size = size,
                             .interrupts = (command.cdw11 & kInterruptsEnabled) != 0,
                             .vector = static_cast<uint16_t>(vector)};
    return {};
}

// Section 5.4.
NvmeController::Answer NvmeController::create_submission_queue(const Command& command) {
    const uint32_t id = low_half(command.cdw10);
    const uint32_t size = high_half(command.cdw10) + 1;
    const uint32_t cq = high_half(command.cdw11);
    if (cq == 0 || cq >= kQueues || !state_.completion[cq].exists) return {CQ_INVALID, 0};
    if (id == 0 || id >= kQueues || state_.submission[id].exists) return {QUEUE_ID_INVALID, 0};
    if (size < 2 || size > kMaxEntries) return {QUEUE_SIZE_INVALID, 0};
    if ((command.cdw11 & kContiguous) == 0) return {INVALID_FIELD, 0};
    if ((command.prp1 & (kPage - 1)) != 0) return {PRP_OFFSET_INVALID, 0};
    state_.submission[id] = {
        .exists = true, .base = Gpa{command.prp1}, .size = size, .cq = static_cast<uint16_t>(cq)};
    return {};
}

// Section 5.6: what was taken from the queue is completed before.
NvmeController::Answer NvmeController::delete_submission_queue(const Command& command) {
    const uint32_t id = low_half(command.cdw10);
    if (id == 0 || id >= kQueues || !state_.submission[id].exists) return {QUEUE_ID_INVALID, 0};
    drain();
    state_.submission[id] = {};
    return {};
}

// Section 5.5.
NvmeController::Answer NvmeController::delete_completion_queue(const Command& command) {
    const uint32_t id = low_half(command.cdw10);
    if (id == 0 || id >= kQueues || !state_.completion[id].exists) return {QUEUE_ID_INVALID, 0};
    const bool used = std::any_of(state_.submission.begin(), state_.submission.end(),
                                  [&](const auto& sq) { return sq.exists && sq.cq == id; });
    if (used) return {QUEUE_DELETION_INVALID, 0};
    state_.completion[id] = {};
    signal_[id] = false;
    return {};
}

// Data for the guest, at most a page of them.
NvmeController::Answer NvmeController::give(const Command& command, std::span<const std::byte> data,
                                            uint64_t length) {
    switch (admin_buffers_.gather(memory_, command.prp1, command.prp2, length, true)) {
        case NvmeBuffers::Error::none: break;
        case NvmeBuffers::Error::bad_offset: return {PRP_OFFSET_INVALID, 0};
        case NvmeBuffers::Error::not_memory: return {DATA_TRANSFER_ERROR, 0};
    }
    admin_buffers_.fill(data);
    admin_buffers_.tell_written(memory_);
    return {};
}

// Section 5.15.
NvmeController::Answer NvmeController::identify(const Command& command) {
    const uint32_t nsid = command.nsid;
    const bool ours = nsid == 1;
    switch (static_cast<Cns>(command.cdw10 & 0xFFU)) {
        case Cns::name_space:
            if (!ours) return {INVALID_NAMESPACE, 0};
            return give(command, namespace_page_, kPage);
        case Cns::controller: return give(command, controller_page_, kPage);
        case Cns::active_namespaces:
            if (nsid >= kEveryNamespace - 1) return {INVALID_NAMESPACE, 0};
            return give(command, identify_active(nsid), kPage);
        case Cns::descriptors:
            if (!ours) return {INVALID_NAMESPACE, 0};
            return give(command, descriptors_page_, kPage);
    }
    return {INVALID_FIELD, 0};
}

// Section 5.14. Without RAE the event that the page belongs to may come again.
NvmeController::Answer NvmeController::get_log_page(const Command& command) {
    constexpr uint64_t kLongest = kPage;
    const uint64_t wanted =
        ((uint64_t{low_half(command.cdw11)} << 16 | high_half(command.cdw10)) + 1) * 4;
    const uint64_t offset = uint64_t{command.cdw13} << 32 | command.cdw12;
    std::array<std::byte, 512> page{};
    uint8_t told = 0;
    switch (static_cast<LogPage>(command.cdw10 & 0xFFU)) {
        case LogPage::errors:
            told = bit<uint8_t>(static_cast<unsigned>(Event::invalid_doorbell)) |
                   bit<uint8_t>(static_cast<unsigned>(Event::invalid_doorbell_value));
            break;
        case LogPage::health:
            page = health_page();
            told = bit<uint8_t>(static_cast<unsigned>(Event::temperature));
            break;
        case LogPage::firmware: page = firmware_page(); break;
        default: return {LOG_PAGE_INVALID, 0};
    }
    if ((offset & 3U) != 0 || offset >= page.size() || wanted > kLongest) return {INVALID_FIELD, 0};
    if ((command.cdw10 & kRetainEvent) == 0) state_.events_masked &= static_cast<uint8_t>(~told);
    const uint64_t length = std::min<uint64_t>(wanted, page.size() - offset);
    return give(command, std::span(page).subspan(offset, length), length);
}

// Section 5.13. Nothing can be saved, so the current values are the only ones that differ from the
// defaults.
NvmeController::Answer NvmeController::get_features(const Command& command) {
    switch (const auto which = static_cast<Feature>(command.cdw10 & 0xFFU)) {
        case Feature::temperature_threshold: {
            const bool over = (command.cdw11 >> 20 & 3U) == 0;
            const uint32_t both = feature(which);
            return {SUCCESS, over ? low_half(both) : high_half(both)};
        }
        case Feature::number_of_queues:
            return {SUCCESS, (kMaxIoQueues - 1) << 16 | (kMaxIoQueues - 1)};
        case Feature::interrupt_vector: {
            const uint32_t vector = low_half(command.cdw11);
            if (vector >= kQueues) return {INVALID_FIELD, 0};
            return {SUCCESS, uint32_t{state_.vector_features[vector]} << 16 | vector};
        }
        case Feature::arbitration:
        case Feature::power_management:
        case Feature::error_recovery:
        case Feature::volatile_write_cache:
        case Feature::interrupt_coalescing:
        case Feature::write_atomicity:
        case Feature::async_events: return {SUCCESS, feature(which)};
    }
    return {INVALID_FIELD, 0};
}

// Section 5.21. The value is in dword 11.
NvmeController::Answer NvmeController::set_features(const Command& command) {
    if ((command.cdw10 & kSaveFeature) != 0) return {FEATURE_NOT_SAVEABLE, 0};
    const uint32_t value = command.cdw11;
    switch (const auto which = static_cast<Feature>(command.cdw10 & 0xFFU)) {
        case Feature::temperature_threshold: return set_temperature_threshold(value);
        case Feature::number_of_queues: {
            const auto exists = [](const auto& queue) { return queue.exists; };
            if (std::any_of(state_.completion.begin() + 1, state_.completion.end(), exists))
                return {COMMAND_SEQUENCE_ERROR, 0};
            if (low_half(value) == 0xFFFF || high_half(value) == 0xFFFF) return {INVALID_FIELD, 0};
            return {SUCCESS, (kMaxIoQueues - 1) << 16 | (kMaxIoQueues - 1)};
        }
        case Feature::interrupt_vector:
            if (low_half(value) >= kQueues) return {INVALID_FIELD, 0};
            state_.vector_features[low_half(value)] = value >> 16 & 1;
            return {};
        case Feature::power_management:
            if ((value & 0x1FU) != 0) return {INVALID_FIELD, 0};  // there is power state 0
            feature(which) = value;
            return {};
        case Feature::arbitration:
        case Feature::error_recovery:
        case Feature::volatile_write_cache:
        case Feature::interrupt_coalescing:
        case Feature::write_atomicity:
        case Feature::async_events: feature(which) = value; return {};
    }
    return {INVALID_FIELD, 0};
}

// Section 5.21.1.4: the over-temperature threshold in the low half of what is kept, that of
// under-temperature in the high. The composite temperature is the only sensor. An event is told
// after the command's own completion.
NvmeController::Answer NvmeController::set_temperature_threshold(uint32_t value) {
    const uint32_t sensor = value >> 16 & 0xFU;
    const uint32_t kind = value >> 20 & 3U;
    if ((sensor != 0 && sensor != 0xF) || kind > 1) return {INVALID_FIELD, 0};
    uint32_t& both = feature(Feature::temperature_threshold);
    both = kind == 0 ? (both & 0xFFFF'0000U) | low_half(value)
                     : (both & 0xFFFFU) | low_half(value) << 16;
    if (kTemperature >= low_half(both) || kTemperature <= high_half(both))
        state_.events |= bit<uint8_t>(static_cast<unsigned>(Event::temperature));
    return {};
}

// Section 5.2: it completes when something happens. It holds no place in the completion queue
// meanwhile.
void NvmeController::request_event(uint16_t id) {
    if (state_.event_request_count == kMaxEventRequests) return complete(0, id, ASYNC_EVENT_LIMIT);
    --outstanding_[0];
    state_.event_requests[state_.event_request_count++] = id;
    tell_events();
}

void NvmeController::raise_event(Event event) {
    state_.events |= bit<uint8_t>(static_cast<unsigned>(event));
    tell_events();
}

// An event that was told is not told again before its log page was read.
void NvmeController::tell_events() {
    constexpr std::array<uint32_t, 3> kResults{kEventInvalidDoorbell, kEventInvalidDoorbellValue,
                                               kEventTemperature};
    for (unsigned event = 0; event < kResults.size(); ++event) {
        const uint8_t flag = bit<uint8_t>(event);
        const bool due = (state_.events & ~state_.events_masked & flag) != 0;
        if (!due || state_.event_request_count == 0 || !room_for_completion(0)) continue;
        state_.events &= static_cast<uint8_t>(~flag);
        state_.events_masked |= flag;
        const uint16_t id = state_.event_requests[--state_.event_request_count];
        ++outstanding_[0];
        complete(0, id, SUCCESS, kResults[event]);
    }
}

}  // namespace banyan
