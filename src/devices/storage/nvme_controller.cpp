// The controller's registers, its life cycle and its saved state.
#include "devices/storage/nvme_controller.hpp"

#include <algorithm>

#include "devices/storage/nvme_state.hpp"
#include "snapshot/state.hpp"
#include "support/bits.hpp"

namespace banyan {

using namespace nvme;

namespace {

constexpr PciIdentity kIdentity{.vendor = 0x1B36,
                                .device = 0x0010,
                                .subsystem_vendor = 0x1AF4,
                                .subsystem = 0x1100,
                                .class_code = 0x010802,
                                .revision = 2,
                                .interrupt_pin = 1};
constexpr unsigned kRegistersBar = 0;
constexpr unsigned kMsixBar = 4;
constexpr uint64_t kRunLaterNs = 20'000;
constexpr size_t kSerialLength = 20;

constexpr uint64_t capabilities() {
    Capabilities value;
    value.set<Capabilities::MaxQueueEntries>(NvmeController::kMaxEntries - 1);
    value.set<Capabilities::ContiguousQueues>(true);
    value.set<Capabilities::Timeout>(20);
    value.set<Capabilities::NvmCommandSet>(true);
    return value.raw;
}

Disk describe(std::string_view serial, const BlockBackend& backend) {
    using Kind = BlockRequest::Kind;
    const bool writable = !backend.read_only();
    return {.serial = std::string(serial.substr(0, kSerialLength)),
            .blocks = backend.size_bytes() / kBlock,
            .read_only = !writable,
            .discards = writable && backend.supports(Kind::discard),
            .writes_zeroes = writable && backend.supports(Kind::write_zeroes)};
}

void set_half(uint64_t& reg, bool high, uint32_t value) {
    reg = high ? (reg & mask(31, 0)) | uint64_t{value} << 32 : (reg & mask(63, 32)) | value;
}

}  // namespace

NvmeController::NvmeController(std::string_view serial, const NvmeWiring& wiring)
    : PciFunction(kIdentity, {wiring.mapper, wiring.intx}),
      disk_(describe(serial, wiring.backend)),
      controller_page_(identify_controller(disk_)),
      namespace_page_(identify_namespace(disk_)),
      descriptors_page_(identify_descriptors(disk_)),
      memory_(wiring.memory),
      backend_(wiring.backend),
      clock_(wiring.clock),
      timer_(wiring.timers.create_timer(*this, 0)),
      msix_(kQueues, wiring.msi) {
    declare_memory_bar(kRegistersBar, PciBarKind::memory64, kRegistersSize, *this);
    add_msix(msix_, kMsixBar);
    requests_.resize(kMaxInFlight);
    free_.reserve(kMaxInFlight);
    for (uint16_t i = 0; i < kMaxInFlight; ++i)
        free_.push_back(i);
    reset_config();
    set_default_features();
}

// Meanwhile nothing is taken from the queues. Requests of several steps go on until they end.
void NvmeController::drain() const {
    draining_ = true;
    while (free_.size() != requests_.size() || shutting_down_)
        backend_.drain();
    draining_ = false;
}

void NvmeController::reset() {
    reset_controller();
    state_.admin_queue_sizes = {};
    state_.admin_submission = 0;
    state_.admin_completion = 0;
    state_.configuration = {};
    state_.status = {};
    reset_config();
}

// Section 7.3.2 "Controller level reset": all but the admin queue's place.
void NvmeController::reset_controller() {
    drain();
    timer_->cancel();
    state_.interrupt_mask = 0;
    state_.submission = {};
    state_.completion = {};
    state_.event_request_count = 0;
    state_.event_requests = {};
    state_.events = 0;
    state_.events_masked = 0;
    outstanding_ = {};
    signal_ = {};
    set_default_features();
    set_intx(false);
}

void NvmeController::set_default_features() {
    constexpr uint32_t kNoBurstLimit = 7;
    constexpr uint32_t kWarningTemperature = 0x157;
    state_.features = {};
    state_.vector_features = {};
    feature(Feature::arbitration) = kNoBurstLimit;
    feature(Feature::temperature_threshold) = kWarningTemperature;
    feature(Feature::volatile_write_cache) = 1;
}

IoStatus NvmeController::mmio_read(uint64_t offset, unsigned size, uint64_t& value) {
    if (size < 4 || !is_aligned<uint64_t>(offset, size)) return IoStatus::bad_size;
    const auto at = static_cast<uint32_t>(offset);
    value = read_register(at);
    if (size == 8) value |= uint64_t{read_register(at + 4)} << 32;
    return IoStatus::ok;
}

IoStatus NvmeController::mmio_write(uint64_t offset, unsigned size, uint64_t value) {
    if (size < 4 || !is_aligned<uint64_t>(offset, size)) return IoStatus::bad_size;
    const auto at = static_cast<uint32_t>(offset);
    write_register(at, static_cast<uint32_t>(value));
    if (size == 8) write_register(at + 4, static_cast<uint32_t>(value >> 32));
    return IoStatus::ok;
}

uint32_t NvmeController::read_register(uint32_t offset) const {
    const bool high = (offset & 4U) != 0;
    const auto half = [high](uint64_t reg) {
        return static_cast<uint32_t>(high ? reg >> 32 : reg);
    };
    switch (static_cast<nvme::Reg>(offset)) {
        case nvme::Reg::version: return kVersion14;
        case nvme::Reg::mask_set:
        case nvme::Reg::mask_clear: return state_.interrupt_mask;
        case nvme::Reg::configuration: return state_.configuration.raw;
        case nvme::Reg::status: return state_.status.raw;
        case nvme::Reg::admin_queue_sizes: return state_.admin_queue_sizes.raw;
        default: break;
    }
    switch (static_cast<nvme::Reg>(offset & ~4U)) {
        case nvme::Reg::capabilities: return half(capabilities());
        case nvme::Reg::admin_submission: return half(state_.admin_submission);
        case nvme::Reg::admin_completion: return half(state_.admin_completion);
        default: return 0;  // "reserved registers return 0"; doorbells too
    }
}

void NvmeController::write_register(uint32_t offset, uint32_t value) {
    if (offset >= kDoorbells) return ring_doorbell((offset - kDoorbells) / 4, value);
    const bool high = (offset & 4U) != 0;
    switch (static_cast<nvme::Reg>(offset)) {
        case nvme::Reg::mask_set: state_.interrupt_mask |= value; return update_intx();
        case nvme::Reg::mask_clear: state_.interrupt_mask &= ~value; return update_intx();
        case nvme::Reg::configuration: return write_configuration(value);
        case nvme::Reg::admin_queue_sizes:
            state_.admin_queue_sizes.raw = value & AdminQueueSizes::kWritable;
            return;
        default: break;
    }
    switch (static_cast<nvme::Reg>(offset & ~4U)) {
        case nvme::Reg::admin_submission: set_half(state_.admin_submission, high, value); return;
        case nvme::Reg::admin_completion: set_half(state_.admin_completion, high, value); return;
        default: return;
    }
}

void NvmeController::write_configuration(uint32_t value) {
    const Configuration before = state_.configuration;
    state_.configuration.raw = value & Configuration::kWritable;
    const bool enabled = state_.configuration.get<Configuration::Enable>();
    if (enabled != before.get<Configuration::Enable>()) {
        if (enabled) {
            enable();
        } else {
            disable();
        }
    }
    const auto shutdown = state_.configuration.get<Configuration::Shutdown>();
    if (shutdown != 0 && before.get<Configuration::Shutdown>() == 0) shut_down();
}

// Section 7.6.1 "Initialization". What the controller cannot do is a fatal status.
void NvmeController::enable() {
    const auto& c = state_.configuration;
    const AdminQueueSizes sizes = state_.admin_queue_sizes;
    const uint32_t submission = sizes.get<AdminQueueSizes::Submission>() + 1U;
    const uint32_t completion = sizes.get<AdminQueueSizes::Completion>() + 1U;
    const uint64_t places = state_.admin_submission | state_.admin_completion;
    const bool possible = c.get<Configuration::CommandSet>() == 0 &&
                          c.get<Configuration::PageSize>() == 0 &&
                          c.get<Configuration::Arbitration>() == 0 && (places & (kPage - 1)) == 0 &&
                          submission >= 2 && completion >= 2;
    state_.status = {};
    if (!possible) return state_.status.set<nvme::Status::Fatal>(true);
    state_.submission[0] = {
        .exists = true, .base = Gpa{state_.admin_submission}, .size = submission};
    state_.completion[0] = {.exists = true,
                            .base = Gpa{state_.admin_completion},
                            .size = completion,
                            .interrupts = true};
    state_.status.set<nvme::Status::Ready>(true);
}

void NvmeController::disable() {
    reset_controller();
    state_.status = {};
}

// Section 7.6.2 "Shutdown": complete when what was written is on the disk.
void NvmeController::shut_down() {
    drain();
    state_.status.set<nvme::Status::Shutdown>(1);
    shutting_down_ = true;
    backend_.submit({.kind = BlockRequest::Kind::flush, .cookie = kMaxInFlight}, *this);
}

// The command register: only a bus master reads its queues.
void NvmeController::on_config_written(uint16_t offset, unsigned /*size*/) {
    if ((offset & ~3U) == static_cast<uint16_t>(pci::Reg16::command) && live()) run_later();
}

void NvmeController::run_later() {
    timer_->arm(clock_.now_ns() + kRunLaterNs);
}

void NvmeController::on_timer(unsigned /*cookie*/) {
    run_all_queues();
}

void NvmeController::save(StateWriter& writer) const {
    drain();
    NvmeStateV1 saved{
        .interrupt_mask = state_.interrupt_mask,
        .configuration = state_.configuration.raw,
        .status = state_.status.raw,
        .admin_queue_sizes = state_.admin_queue_sizes.raw,
        .admin_submission = state_.admin_submission,
        .admin_completion = state_.admin_completion,
        .queues = {},
        .features = state_.features,
        .vector_features = {state_.vector_features.begin(), state_.vector_features.end()},
        .event_requests = state_.event_requests,
        .event_request_count = state_.event_request_count,
        .events = state_.events,
        .events_masked = state_.events_masked};
    for (unsigned i = 0; i < kQueues; ++i) {
        const SubmissionQueue& sq = state_.submission[i];
        const CompletionQueue& cq = state_.completion[i];
        saved.queues.push_back({sq.exists, sq.base.value, sq.size, sq.head, sq.tail, sq.cq,
                                cq.exists, cq.base.value, cq.size, cq.head, cq.tail, cq.phase,
                                cq.interrupts, cq.vector});
    }
    save_config(writer);
    writer.section(saved);
}

Result<void> NvmeController::restore(StateReader& reader) {
    reset();
    auto result = apply(reader);
    if (!result) reset();
    return result;
}

bool NvmeController::valid(const NvmeStateV1& saved) const {
    const Configuration configuration{saved.configuration};
    const nvme::Status status{saved.status};
    constexpr uint32_t kKnownStatus = mask<uint32_t>(3, 0);
    if ((saved.configuration & ~Configuration::kWritable) != 0 ||
        (saved.status & ~kKnownStatus) != 0 ||
        (saved.admin_queue_sizes & ~AdminQueueSizes::kWritable) != 0 ||
        saved.queues.size() != kQueues || saved.vector_features.size() != kQueues ||
        saved.event_request_count > kMaxEventRequests || saved.events >= 8 ||
        saved.events_masked >= 8) {
        return false;
    }
    if (status.get<nvme::Status::Ready>() &&
        (!configuration.get<Configuration::Enable>() || !saved.queues[0].sq_exists ||
         !saved.queues[0].cq_exists)) {
        return false;
    }
    return std::all_of(saved.queues.begin(), saved.queues.end(), [&](const auto& q) {
        const bool sq = !q.sq_exists || (q.sq_size >= 2 && q.sq_size <= 4096 &&
                                         q.sq_head < q.sq_size && q.sq_tail < q.sq_size &&
                                         q.sq_cq < kQueues && saved.queues[q.sq_cq].cq_exists);
        const bool cq =
            !q.cq_exists || (q.cq_size >= 2 && q.cq_size <= 4096 && q.cq_head < q.cq_size &&
                             q.cq_tail < q.cq_size && q.cq_vector < kQueues);
        return sq && cq;
    });
}

Result<void> NvmeController::apply(StateReader& reader) {
    TRY(restore_config(reader));
    TRY_ASSIGN(saved, reader.section<NvmeStateV1>());
    if (!valid(saved))
        return fail(ErrorCode::invalid_data,
                    "load saved state: a register of 'nvme' is impossible");
    load(saved);
    update_intx();
    if (live()) run_later();
    return {};
}

void NvmeController::load(const NvmeStateV1& saved) {
    state_.interrupt_mask = saved.interrupt_mask;
    state_.configuration.raw = saved.configuration;
    state_.status.raw = saved.status;
    state_.admin_queue_sizes.raw = saved.admin_queue_sizes;
    state_.admin_submission = saved.admin_submission;
    state_.admin_completion = saved.admin_completion;
    for (unsigned i = 0; i < kQueues; ++i) {
        const NvmeQueueStateV1& q = saved.queues[i];
        state_.submission[i] = {q.sq_exists, Gpa{q.sq_base}, q.sq_size,
                                q.sq_head,   q.sq_tail,      q.sq_cq};
        state_.completion[i] = {q.cq_exists, Gpa{q.cq_base}, q.cq_size,       q.cq_head,
                                q.cq_tail,   q.cq_phase,     q.cq_interrupts, q.cq_vector};
    }
    state_.features = saved.features;
    std::copy(saved.vector_features.begin(), saved.vector_features.end(),
              state_.vector_features.begin());
    state_.event_requests = saved.event_requests;
    state_.event_request_count = saved.event_request_count;
    state_.events = saved.events;
    state_.events_masked = saved.events_masked;
}

}  // namespace banyan
