#include "devices/scsi/plan_runner.hpp"

#include <algorithm>
#include <cstring>

#include "support/assert.hpp"
#include "support/bits.hpp"

namespace banyan {

using Kind = BlockRequest::Kind;

namespace {

constexpr uint64_t kSector = 512;
// A fill without the back end's help goes by windows of copies of the pattern.
constexpr uint64_t kFillStep = PlanRunner::kMaxSegments * BlockWork::kPatternSize;

bool all_zero(std::span<const std::byte> bytes) {
    for (const std::byte b : bytes) {
        if (b != std::byte{0}) return false;
    }
    return true;
}

}  // namespace

PlanRunner::PlanRunner(GuestMemory& memory) : memory_(memory) {
    window_.reserve(kMaxSegments);
    window_gpas_.reserve(kMaxSegments);
    held_back_.reserve(kMaxSegments + 1);
}

bool PlanRunner::start(const DataPlan& plan, DmaSource& source, BlockBackend& backend,
                       BlockClient& client, uint64_t cookie) {
    BANYAN_ASSERT(!busy_);
    plan_ = plan;
    source_ = &source;
    backend_ = &backend;
    client_ = &client;
    cookie_ = cookie;
    busy_ = true;
    overflow_ = flushing_ = false;
    moved_ = done_ = in_flight_length_ = 0;
    range_ = 0;
    held_back_.clear();
    switch (plan_.kind) {
        case DataPlan::Kind::data_in: return copy_response();
        case DataPlan::Kind::data_out: return copy_parameters();
        case DataPlan::Kind::media_in:
        case DataPlan::Kind::media_out: return transfer();
        case DataPlan::Kind::work: return run_work();
        case DataPlan::Kind::complete:
        case DataPlan::Kind::failed: break;
    }
    BANYAN_ASSERT(false);
}

bool PlanRunner::end(Result result) {
    result_ = result;
    busy_ = false;
    return true;
}

bool PlanRunner::copy_response() {
    std::span<const std::byte> left = plan_.response;
    while (!left.empty()) {
        if (!fill_window(left.size(), Direction::to_guest)) return end(Result::bad_memory);
        if (window_length_ == 0) {
            overflow_ = true;
            break;
        }
        for (const std::span<std::byte> piece : window_) {
            std::memcpy(piece.data(), left.data(), piece.size());
            left = left.subspan(piece.size());
        }
        tell_memory();
        moved_ += window_length_;
    }
    return end(Result::ok);
}

bool PlanRunner::copy_parameters() {
    BANYAN_ASSERT(plan_.length <= parameters_.size());
    while (moved_ < plan_.length) {
        if (!fill_window(plan_.length - moved_, Direction::from_guest))
            return end(Result::bad_memory);
        if (window_length_ == 0) return end(Result::short_list);
        for (const std::span<std::byte> piece : window_) {
            std::memcpy(parameters_.data() + moved_, piece.data(), piece.size());
            moved_ += piece.size();
        }
    }
    return end(Result::ok);
}

// The next window of a transfer, or what comes after the last.
bool PlanRunner::transfer() {
    const bool in = plan_.kind == DataPlan::Kind::media_in;
    if (done_ == plan_.length) {
        if (plan_.flush_after) return submit_flush();
        return end(Result::ok);
    }
    const Direction direction = in ? Direction::to_guest : Direction::from_guest;
    if (!fill_window(plan_.length - done_, direction)) return end(Result::bad_memory);
    trim_window(align_down(window_length_, kSector));
    if (window_length_ == 0) {
        overflow_ = in;
        return end(in ? Result::ok : Result::short_list);
    }
    in_flight_length_ = window_length_;
    return submit(in ? Kind::read : Kind::write, plan_.offset + done_, window_length_);
}

bool PlanRunner::run_work() {
    switch (work_.kind) {
        case BlockWork::Kind::flush: return submit_flush();
        case BlockWork::Kind::fill: return fill_once();
        case BlockWork::Kind::discard: break;
    }
    if (range_ == work_.range_count) {
        if (plan_.flush_after) return submit_flush();
        return end(Result::ok);
    }
    const BlockRange& range = work_.ranges[range_++];
    return submit(Kind::discard, range.offset, range.length);
}

bool PlanRunner::fill_once() {
    const BlockRange& range = work_.ranges[0];
    const uint64_t left = range.length - done_;
    if (left == 0) {
        if (plan_.flush_after) return submit_flush();
        return end(Result::ok);
    }
    if (all_zero(work_.pattern) && backend_->supports(Kind::write_zeroes)) {
        in_flight_length_ = left;
        return submit(Kind::write_zeroes, range.offset + done_, left);
    }
    window_.clear();
    window_gpas_.clear();
    in_flight_length_ = std::min(left, kFillStep);
    window_.assign(in_flight_length_ / work_.pattern.size(), std::span(work_.pattern));
    return submit(Kind::write, range.offset + done_, in_flight_length_);
}

bool PlanRunner::advance(BlockStatus status) {
    BANYAN_ASSERT(busy_);
    // Also of a read that failed: some of it may have come.
    if (plan_.kind == DataPlan::Kind::media_in) tell_memory();
    if (status != BlockStatus::ok) return end(Result::media_error);
    if (flushing_) return end(Result::ok);
    done_ += in_flight_length_;
    if (plan_.kind == DataPlan::Kind::work) return run_work();
    moved_ += in_flight_length_;
    return transfer();
}

// False when the list or what it names is not in memory.
bool PlanRunner::fill_window(uint64_t most, Direction direction) {
    window_.clear();
    window_gpas_.clear();
    window_length_ = 0;
    while (window_length_ < most && window_.size() < kMaxSegments) {
        DmaSegment segment;
        switch (next_segment(segment)) {
            case DmaSource::Next::broken: return false;
            case DmaSource::Next::end: return true;
            case DmaSource::Next::segment: break;
        }
        const uint64_t take = std::min(segment.length, most - window_length_);
        if (take != segment.length)
            held_back_.push_back({segment.gpa + take, segment.length - take});
        if (!add_segment({segment.gpa, take}, direction)) return false;
    }
    return true;
}

DmaSource::Next PlanRunner::next_segment(DmaSegment& segment) {
    if (held_back_.empty()) return source_->next(segment);
    segment = held_back_.back();
    held_back_.pop_back();
    return DmaSource::Next::segment;
}

bool PlanRunner::add_segment(const DmaSegment& segment, Direction direction) {
    std::span<std::byte> host;
    if (direction == Direction::to_guest) {
        host = memory_.writable_range(segment.gpa, segment.length);
    } else {
        const auto bytes = memory_.readable_range(segment.gpa, segment.length);
        // SAFETY: what is written to a medium is only read, but shares its type with what is read.
        host = {const_cast<std::byte*>(bytes.data()), bytes.size()};
    }
    if (host.size() != segment.length) return false;
    window_.push_back(host);
    window_gpas_.push_back(segment.gpa);
    window_length_ += segment.length;
    return true;
}

// Cuts the window to whole sectors; what is cut off comes first in the next one.
void PlanRunner::trim_window(uint64_t length) {
    while (window_length_ != length) {
        std::span<std::byte>& last = window_.back();
        const uint64_t cut = std::min<uint64_t>(window_length_ - length, last.size());
        const uint64_t kept = last.size() - cut;
        held_back_.push_back({window_gpas_.back() + kept, cut});
        window_length_ -= cut;
        last = last.first(kept);
        if (kept != 0) continue;
        window_.pop_back();
        window_gpas_.pop_back();
    }
}

void PlanRunner::tell_memory() {
    for (size_t i = 0; i < window_.size(); ++i)
        memory_.written(window_gpas_[i], window_[i].size());
}

bool PlanRunner::submit(Kind kind, uint64_t offset, uint64_t length) {
    const bool with_data = kind == Kind::read || kind == Kind::write;
    const std::span<const std::span<std::byte>> buffers =
        with_data ? std::span<const std::span<std::byte>>(window_)
                  : std::span<const std::span<std::byte>>();
    backend_->submit({kind, offset, length, buffers, cookie_}, *client_);
    return false;
}

bool PlanRunner::submit_flush() {
    flushing_ = true;
    return submit(Kind::flush, 0, 0);
}

}  // namespace banyan
