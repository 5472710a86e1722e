#include "devices/virtio/virtio_scsi.hpp"

#include <algorithm>
#include <utility>

#include "devices/virtio/virtio_scsi_state.hpp"
#include "snapshot/state.hpp"
#include "support/assert.hpp"

namespace banyan {

using namespace virtio;

namespace {

constexpr std::array<uint16_t, 3> kScsiQueueSizes{64, 64, 128};
// What a driver can set the sizes of commands and of sense data to (5.6.4): what is needed is less.
constexpr uint32_t kMaxCdbSize = 255;
constexpr uint32_t kMaxSenseSize = 252;
constexpr uint32_t kScsiMaxSectors = 0xffff;

VirtioIdentity scsi_identity() {
    return {"virtio-scsi", kDeviceScsi, 0x010000, 0};
}

ScsiConfig default_config(uint8_t max_target) {
    ScsiConfig config;
    config.num_queues = 1U;
    config.seg_max = kScsiQueueSizes[kScsiRequestQueue] - 2U;
    config.max_sectors = kScsiMaxSectors;
    config.cmd_per_lun = uint32_t{VirtioScsi::kMaxInFlight};
    config.event_info_size = kScsiEventSize;
    config.sense_size = kScsiDefaultSenseSize;
    config.cdb_size = kScsiDefaultCdbSize;
    config.max_target = uint16_t{max_target};
    config.max_lun = 0xffU;
    return config;
}

uint8_t highest_target(const std::vector<VirtioScsiUnit>& units) {
    uint8_t highest = 0;
    for (const VirtioScsiUnit& each : units)
        highest = std::max(highest, each.target);
    return highest;
}

ScsiResponseHeader response_of(ScsiResponse response) {
    ScsiResponseHeader header;
    header.response = static_cast<uint8_t>(response);
    return header;
}

}  // namespace

void VirtioScsi::ChainData::start(std::span<const VirtioSegment> segments, uint64_t skip) {
    segments_ = segments;
    skip_ = skip;
}

DmaSource::Next VirtioScsi::ChainData::next(DmaSegment& segment) {
    while (!segments_.empty()) {
        const VirtioSegment& first = segments_.front();
        segments_ = segments_.subspan(1);
        const uint64_t skipped = std::min<uint64_t>(skip_, first.length);
        skip_ -= skipped;
        if (skipped == first.length) continue;
        segment = {first.gpa + skipped, first.length - skipped};
        return Next::segment;
    }
    return Next::end;
}

VirtioScsi::Request::Request(GuestMemory& memory)
    : chain(kScsiQueueSizes[kScsiRequestQueue]), runner(memory) {}

VirtioScsi::VirtioScsi(GuestMemory& guest_memory, std::vector<VirtioScsiUnit> units)
    : VirtioDevice(guest_memory, scsi_identity(), kScsiQueueSizes),
      units_(std::move(units)),
      control_chain_(kScsiQueueSizes[kScsiControlQueue]),
      config_(default_config(highest_target(units_))) {
    requests_.reserve(kMaxInFlight);
    free_.reserve(kMaxInFlight);
    for (uint16_t i = 0; i < kMaxInFlight; ++i) {
        requests_.emplace_back(guest_memory);
        free_.push_back(i);
    }
}

std::span<const std::byte> VirtioScsi::config_space() const {
    return std::as_bytes(std::span(&config_, 1));
}

// 5.6.4: the driver may change two fields.
void VirtioScsi::write_config(uint32_t offset, unsigned size, uint32_t value) {
    if (size != 4) return;
    if (offset == offsetof(ScsiConfig, sense_size) && value <= kMaxSenseSize)
        config_.sense_size = value;
    if (offset == offsetof(ScsiConfig, cdb_size) && value != 0 && value <= kMaxCdbSize)
        config_.cdb_size = value;
}

uint64_t VirtioScsi::request_size() const {
    return sizeof(ScsiRequestHeader) + uint32_t{config_.cdb_size};
}

uint64_t VirtioScsi::response_size() const {
    return sizeof(ScsiResponseHeader) + uint32_t{config_.sense_size};
}

bool VirtioScsi::in_flight(const ScsiUnit* unit, const uint64_t* id) const {
    return std::any_of(requests_.begin(), requests_.end(), [&](const Request& request) {
        return request.busy && (unit == nullptr || request.unit == unit) &&
               (id == nullptr || request.id == *id);
    });
}

// Meanwhile nothing is taken from the ring, or a guest that goes on would never let it end.
void VirtioScsi::drain() {
    if (free_.size() == requests_.size()) return;
    draining_ = true;
    // More than once: a command may have several steps.
    while (free_.size() != requests_.size()) {
        for (const VirtioScsiUnit& each : units_) {
            if (in_flight(each.unit.get(), nullptr)) each.unit->backend().drain();
        }
    }
    draining_ = false;
    continue_later(kScsiRequestQueue);
}

VirtioDevice::Step VirtioScsi::step(unsigned index) {
    switch (index) {
        case kScsiControlQueue: return step_control();
        case kScsiRequestQueue: return step_request();
        default: return Step::stalled;  // there are no events: buffers for them stay in the ring
    }
}

VirtioDevice::Step VirtioScsi::step_request() {
    if (free_.empty() || draining_) {
        stalled_ = true;
        return Step::stalled;
    }
    Request& request = requests_[free_.back()];
    switch (queue(kScsiRequestQueue).peek(request.chain)) {
        case Virtqueue::Next::empty: return Step::empty;
        case Virtqueue::Next::broken: return Step::broken;
        case Virtqueue::Next::chain: break;
    }
    // Without a header or a place for the response there is no request, and no way to say so.
    if (request.chain.readable_length() < request_size() ||
        request.chain.writable_length() < response_size()) {
        return Step::broken;
    }
    queue(kScsiRequestQueue).pop();
    free_.pop_back();
    request.busy = true;
    request.unit = nullptr;
    start(request);
    return Step::done;
}

// 5.6.6.1: the first byte is 1, the second the target, and then a LUN of one level.
bool VirtioScsi::parse(const ScsiLun& lun, uint8_t& target, uint16_t& number) {
    target = lun[1];
    number = static_cast<uint16_t>((lun[2] & 0x3f) << 8 | lun[3]);
    const unsigned method = lun[2] >> 6;  // SAM-5, 4.7.6: peripheral or flat addressing
    return lun[0] == 1 && method <= 1;
}

bool VirtioScsi::has_target(uint8_t target) const {
    return std::any_of(units_.begin(), units_.end(),
                       [&](const VirtioScsiUnit& each) { return each.target == target; });
}

ScsiUnit* VirtioScsi::find(uint8_t target, uint16_t lun) const {
    for (const VirtioScsiUnit& each : units_) {
        if (each.target == target && each.lun == lun) return each.unit.get();
    }
    return nullptr;
}

void VirtioScsi::start(Request& request) {
    ScsiRequestHeader header;
    (void)request.chain.copy_from(0, std::as_writable_bytes(std::span(&header, 1)));
    request.cdb = {};
    const size_t cdb_size = std::min<size_t>(uint32_t{config_.cdb_size}, request.cdb.size());
    (void)request.chain.copy_from(sizeof(header),
                                  std::as_writable_bytes(std::span(request.cdb)).first(cdb_size));
    request.id = header.id;
    uint8_t target = 0;
    uint16_t lun = 0;
    if (!parse(header.lun, target, lun) || !has_target(target))
        return finish(request, response_of(ScsiResponse::bad_target));
    if (scsi::Op{request.cdb[0]} == scsi::Op::report_luns) return report_luns(request, target);
    request.unit = find(target, lun);
    if (request.unit == nullptr) return start_without_unit(request);
    request.plan = request.unit->start(request.cdb, request.runner.work());
    carry_out(request);
}

// SPC-4, 6.6.2 and SAM-5, 4.11: INQUIRY says that nothing is there, all else fails.
void VirtioScsi::start_without_unit(Request& request) {
    constexpr uint8_t kNotThere = 0x7f;
    if (scsi::Op{request.cdb[0]} != scsi::Op::inquiry)
        return check_condition(request, scsi::kLunNotSupported);
    std::array<uint8_t, 36> data{kNotThere, 0, 5, 2, 31};
    answer_with_bytes(request, std::as_bytes(std::span(data)), scsi::big_endian(request.cdb, 3, 2));
}

// SPC-4, 6.33.
void VirtioScsi::report_luns(Request& request, uint8_t target) {
    std::array<uint8_t, 8 + 256 * 8> data{};
    size_t length = 8;
    for (const VirtioScsiUnit& each : units_) {
        if (each.target != target) continue;
        data[length + 1] = each.lun;
        length += 8;
    }
    scsi::put_big_endian(data, 0, 4, length - 8);
    answer_with_bytes(request, std::as_bytes(std::span(data)).first(length),
                      scsi::big_endian(request.cdb, 6, 4));
}

// What of the initiator's buffer was not used; a request has one for one direction.
le32 VirtioScsi::residual(const Request& request, uint64_t moved) const {
    const DescriptorChain& chain = request.chain;
    const uint64_t in = chain.writable_length() - response_size();
    const uint64_t out = chain.readable_length() - request_size();
    const uint64_t room = in != 0 ? in : out;
    return static_cast<uint32_t>(room - std::min(room, moved));
}

void VirtioScsi::answer_with_bytes(Request& request, std::span<const std::byte> bytes,
                                   uint64_t allocation_length) {
    const auto cut = bytes.first(std::min<uint64_t>(bytes.size(), allocation_length));
    const size_t moved = request.chain.copy_to(memory(), response_size(), cut);
    ScsiResponseHeader response =
        response_of(moved == cut.size() ? ScsiResponse::ok : ScsiResponse::overrun);
    response.residual = residual(request, moved);
    finish(request, response);
}

void VirtioScsi::carry_out(Request& request) {
    switch (request.plan.kind) {
        case PlanKind::failed: return check_condition(request, request.unit->take_sense());
        case PlanKind::complete: {
            ScsiResponseHeader response;
            response.residual = residual(request, 0);
            return finish(request, response);
        }
        case PlanKind::data_out:
        case PlanKind::media_out:
            request.data.start(request.chain.readable(), request_size());
            break;
        default: request.data.start(request.chain.writable(), response_size()); break;
    }
    const auto cookie = static_cast<uint64_t>(&request - requests_.data());
    if (request.runner.start(request.plan, request.data, request.unit->backend(), *this, cookie))
        plan_ended(request);
}

void VirtioScsi::on_block_complete(uint64_t cookie, BlockStatus status) {
    BANYAN_ASSERT(cookie < requests_.size() && requests_[cookie].busy);
    Request& request = requests_[cookie];
    if (request.runner.advance(status)) plan_ended(request);
}

void VirtioScsi::plan_ended(Request& request) {
    const PlanRunner& runner = request.runner;
    const bool write = request.plan.kind != PlanKind::media_in;
    if (runner.result() == PlanRunner::Result::ok && request.plan.kind == PlanKind::data_out) {
        request.plan =
            request.unit->take_parameters(request.cdb, runner.parameters(), request.runner.work());
        return carry_out(request);
    }
    // 5.6.6.1: the command wants more data than the buffers hold.
    if (runner.result() == PlanRunner::Result::short_list)
        return finish(request, response_of(ScsiResponse::overrun));
    if (runner.result() != PlanRunner::Result::ok) {
        request.unit->fail_plan(runner.result(), write);
        return check_condition(request, request.unit->take_sense());
    }
    ScsiResponseHeader response =
        response_of(runner.overflow() ? ScsiResponse::overrun : ScsiResponse::ok);
    const uint64_t moved = request.plan.kind == PlanKind::work ? 0 : runner.moved();
    response.residual = residual(request, moved);
    finish(request, response);
}

void VirtioScsi::check_condition(Request& request, const scsi::Sense& sense) {
    ScsiResponseHeader response;
    response.status = scsi::kStatusCheckCondition;
    response.residual = residual(request, 0);
    finish(request, response, sense);
}

void VirtioScsi::finish(Request& request, const ScsiResponseHeader& answer,
                        const scsi::Sense& sense) {
    ScsiResponseHeader response = answer;
    std::array<std::byte, sizeof(response) + kMaxSenseSize> bytes{};
    if (response.status == scsi::kStatusCheckCondition) {
        const auto fixed = scsi::fixed_format(sense);
        const size_t length = std::min<size_t>(fixed.size(), uint32_t{config_.sense_size});
        response.sense_length = static_cast<uint32_t>(length);
        std::copy_n(std::as_bytes(std::span(fixed)).begin(), length,
                    bytes.begin() + sizeof(response));
    }
    std::copy_n(std::as_bytes(std::span(&response, 1)).begin(), sizeof(response), bytes.begin());
    (void)request.chain.copy_to(memory(), 0, std::span(bytes).first(response_size()));
    // 2.7.8.2: what was written without a gap: the response, and what came of the data after it.
    const uint64_t in = request.chain.writable_length() - response_size();
    const uint64_t data = in > response.residual ? in - response.residual : 0;
    queue(kScsiRequestQueue)
        .push_used(request.chain.head(), static_cast<uint32_t>(response_size() + data));
    request.busy = false;
    free_.push_back(static_cast<uint16_t>(&request - requests_.data()));
    if (!running() || in_control_) send_interrupt(kScsiRequestQueue);
    // Not at once: completions may come as fast as a guest makes requests, and must not hold a
    // thread for ever.
    if (std::exchange(stalled_, false)) continue_later(kScsiRequestQueue);
}

VirtioDevice::Step VirtioScsi::step_control() {
    Virtqueue& control = queue(kScsiControlQueue);
    DescriptorChain& chain = control_chain_;
    switch (control.peek(chain)) {
        case Virtqueue::Next::empty: return Step::empty;
        case Virtqueue::Next::broken: return Step::broken;
        case Virtqueue::Next::chain: break;
    }
    ScsiTaskManagement asked;
    const size_t length = chain.copy_from(0, std::as_writable_bytes(std::span(&asked, 1)));
    const ScsiControlType type{uint32_t{asked.type}};
    const bool management = type == ScsiControlType::task_management;
    if (length < (management ? sizeof(asked) : kScsiNotificationSize)) return Step::broken;
    control.pop();
    size_t written = 0;
    if (management) {
        in_control_ = true;
        const auto response = static_cast<uint8_t>(task_management(asked));
        in_control_ = false;
        written = chain.copy_to(memory(), 0, std::as_bytes(std::span(&response, 1)));
    } else {
        // 5.6.6.2: none of the events that could be asked for are known.
        const ScsiNotificationResponse response;
        written = chain.copy_to(memory(), 0, std::as_bytes(std::span(&response, 1)));
    }
    control.push_used(chain.head(), static_cast<uint32_t>(written));
    return Step::done;
}

// Nothing can be taken back from a back end: what is to be aborted is awaited, and completes.
ScsiResponse VirtioScsi::task_management(const ScsiTaskManagement& asked) {
    uint8_t target = 0;
    uint16_t lun = 0;
    if (!parse(asked.lun, target, lun) || !has_target(target)) return ScsiResponse::bad_target;
    const ScsiTaskFunction function{uint32_t{asked.function}};
    ScsiUnit* unit = find(target, lun);
    if (unit == nullptr && function != ScsiTaskFunction::nexus_reset)
        return ScsiResponse::incorrect_lun;
    const uint64_t id = asked.id;
    const auto succeeded_if = [](bool there) {
        return there ? ScsiResponse::function_succeeded : ScsiResponse::ok;
    };
    switch (function) {
        case ScsiTaskFunction::query_task: return succeeded_if(in_flight(unit, &id));
        case ScsiTaskFunction::query_task_set: return succeeded_if(in_flight(unit, nullptr));
        case ScsiTaskFunction::abort_task:
        case ScsiTaskFunction::abort_task_set:
        case ScsiTaskFunction::clear_task_set: drain(); return ScsiResponse::ok;
        case ScsiTaskFunction::logical_unit_reset:
            drain();
            unit->reset();
            return ScsiResponse::ok;
        case ScsiTaskFunction::nexus_reset:
            drain();
            for (const VirtioScsiUnit& each : units_) {
                if (each.target == target) each.unit->reset();
            }
            return ScsiResponse::ok;
        case ScsiTaskFunction::clear_aca: break;
    }
    return ScsiResponse::function_rejected;
}

void VirtioScsi::on_reset() {
    config_ = default_config(highest_target(units_));
    for (const VirtioScsiUnit& each : units_)
        each.unit->reset();
}

void VirtioScsi::save_device(StateWriter& writer) const {
    VirtioScsiStateV1 state{config_.sense_size, config_.cdb_size, {}};
    for (const VirtioScsiUnit& each : units_)
        state.units.push_back(each.unit->state());
    writer.section(state);
}

Result<void> VirtioScsi::restore_device(StateReader& reader) {
    TRY_ASSIGN(state, reader.section<VirtioScsiStateV1>());
    if (state.units.size() != units_.size() || state.sense_size > kMaxSenseSize ||
        state.cdb_size == 0 || state.cdb_size > kMaxCdbSize) {
        return fail(ErrorCode::invalid_data,
                    "load saved state: virtio-scsi: it is of a host with other units");
    }
    for (size_t i = 0; i < units_.size(); ++i) {
        if (!units_[i].unit->restore(state.units[i])) {
            return fail(ErrorCode::invalid_data,
                        "load saved state: virtio-scsi: a unit is impossible");
        }
    }
    config_.sense_size = state.sense_size;
    config_.cdb_size = state.cdb_size;
    return {};
}

}  // namespace banyan
