// An initiator without a transport, for tests and fuzz targets: sends command blocks to a unit with
// a buffer in guest memory, and carries the plans out.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "devices/scsi/scsi_unit.hpp"
#include "support/assert.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {

// A scatter list of a test.
class ListedSegments final : public DmaSource {
public:
    explicit ListedSegments(std::vector<DmaSegment> segments) : segments_(std::move(segments)) {}
    Next next(DmaSegment& segment) override {
        if (at_ == segments_.size()) return broken_end ? Next::broken : Next::end;
        segment = segments_[at_++];
        return Next::segment;
    }
    bool broken_end = false;

private:
    std::vector<DmaSegment> segments_;
    size_t at_ = 0;
};

class ScsiInitiator final : private BlockClient {
public:
    static constexpr uint64_t kRamSize = 1U << 18;
    static constexpr Gpa kBuffer{0x1000};

    explicit ScsiInitiator(ScsiUnit& unit) : unit_(unit), runner_(ram_.memory()) {}

    // Shorter blocks are filled up with zeroes. The buffer is `buffer_length` bytes at kBuffer.
    uint8_t send(std::vector<uint8_t> cdb, uint64_t buffer_length = 0x10000) {
        return send(std::move(cdb), std::vector<DmaSegment>{{kBuffer, buffer_length}});
    }
    uint8_t send(std::vector<uint8_t> cdb, std::vector<DmaSegment> segments) {
        scsi::Cdb block{};
        std::copy_n(cdb.begin(), std::min(cdb.size(), block.size()), block.begin());
        moved = 0;
        overflow = false;
        DataPlan plan = unit_.start(block, runner_.work());
        // A list ends where its first segment of no length is.
        std::erase_if(segments, [](const DmaSegment& s) { return s.length == 0; });
        if (plan.kind == DataPlan::Kind::data_out) {
            if (!carry_out(plan, segments)) return scsi::kStatusCheckCondition;
            plan = unit_.take_parameters(block, runner_.parameters(), runner_.work());
        }
        if (plan.kind == DataPlan::Kind::failed) return scsi::kStatusCheckCondition;
        if (plan.kind == DataPlan::Kind::complete) return scsi::kStatusGood;
        return carry_out(plan, segments) ? scsi::kStatusGood : scsi::kStatusCheckCondition;
    }

    void poke(std::string_view bytes, Gpa at = kBuffer) {
        BANYAN_ASSERT(ram_.memory().write(at, std::as_bytes(std::span(bytes))));
    }
    std::string peek(size_t length, Gpa at = kBuffer) {
        std::string text(length, '\0');
        BANYAN_ASSERT(ram_.memory().read(at, std::as_writable_bytes(std::span(text))));
        return text;
    }
    // Big-endian, from the buffer.
    uint64_t number(uint64_t at, size_t size) {
        return scsi::big_endian(peek(size, kBuffer + at), 0, size);
    }
    scsi::Sense sense() { return unit_.sense(); }
    GuestMemory& memory() { return ram_.memory(); }

    uint64_t moved = 0;
    bool overflow = false;

private:
    bool carry_out(const DataPlan& plan, const std::vector<DmaSegment>& segments) {
        ListedSegments source(segments);
        ended_ = false;
        if (runner_.start(plan, source, unit_.backend(), *this, 7)) ended_ = true;
        if (!ended_) unit_.backend().drain();
        BANYAN_ASSERT(ended_);
        moved = runner_.moved();
        overflow = runner_.overflow();
        if (runner_.result() == PlanRunner::Result::ok) return true;
        unit_.fail_plan(runner_.result(), plan.kind != DataPlan::Kind::media_in);
        return false;
    }
    void on_block_complete(uint64_t cookie, BlockStatus status) override {
        BANYAN_ASSERT(cookie == 7 && !ended_);
        if (runner_.advance(status)) ended_ = true;
    }

    ScsiUnit& unit_;
    FakeRam ram_{kRamSize};
    PlanRunner runner_;
    bool ended_ = false;
};

}  // namespace banyan
