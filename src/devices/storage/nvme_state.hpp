// Saved state of NvmeController. No request is in flight when it is saved.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace banyan {

struct NvmeQueueStateV1 {  // of a pair: the submission queue, then the completion queue
    bool sq_exists = false;
    uint64_t sq_base = 0;
    uint32_t sq_size = 0;
    uint16_t sq_head = 0;
    uint16_t sq_tail = 0;
    uint16_t sq_cq = 0;
    bool cq_exists = false;
    uint64_t cq_base = 0;
    uint32_t cq_size = 0;
    uint16_t cq_head = 0;
    uint16_t cq_tail = 0;
    bool cq_phase = false;
    bool cq_interrupts = false;
    uint16_t cq_vector = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, NvmeQueueStateV1& s) {
    auto& [sq_exists, sq_base, sq_size, sq_head, sq_tail, sq_cq, cq_exists, cq_base, cq_size,
           cq_head, cq_tail, cq_phase, cq_interrupts, cq_vector] = s;
    v.field(1, sq_exists);
    v.field(2, sq_base);
    v.field(3, sq_size);
    v.field(4, sq_head);
    v.field(5, sq_tail);
    v.field(6, sq_cq);
    v.field(7, cq_exists);
    v.field(8, cq_base);
    v.field(9, cq_size);
    v.field(10, cq_head);
    v.field(11, cq_tail);
    v.field(12, cq_phase);
    v.field(13, cq_interrupts);
    v.field(14, cq_vector);
}

struct NvmeStateV1 {
    static constexpr std::string_view kKind = "nvme";
    static constexpr uint32_t kVersion = 1;

    uint32_t interrupt_mask = 0;
    uint32_t configuration = 0;
    uint32_t status = 0;
    uint32_t admin_queue_sizes = 0;
    uint64_t admin_submission = 0;
    uint64_t admin_completion = 0;
    std::vector<NvmeQueueStateV1> queues;
    std::array<uint32_t, 12> features{};
    std::vector<uint8_t> vector_features;
    std::array<uint16_t, 4> event_requests{};
    uint8_t event_request_count = 0;
    uint8_t events = 0;
    uint8_t events_masked = 0;
};

template <class Visitor>
void visit_fields(Visitor& v, NvmeStateV1& s) {
    auto& [interrupt_mask, configuration, status, admin_queue_sizes, admin_submission,
           admin_completion, queues, features, vector_features, event_requests, event_request_count,
           events, events_masked] = s;
    v.field(1, interrupt_mask);
    v.field(2, configuration);
    v.field(3, status);
    v.field(4, admin_queue_sizes);
    v.field(5, admin_submission);
    v.field(6, admin_completion);
    v.field(7, queues);
    v.field(8, features);
    v.field(9, vector_features);
    v.field(10, event_requests);
    v.field(11, event_request_count);
    v.field(12, events);
    v.field(13, events_masked);
}

}  // namespace banyan
