// PlanRunner: carries out one DataPlan at a time between a medium and a scatter list in guest
// memory.
//
// A scatter list may be longer than what is set aside for it: the runner works on a window of it at
// a time, so that nothing is allocated while a guest runs, whatever it asks for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "devices/scsi/data_plan.hpp"
#include "vm/address.hpp"
#include "vm/guest_memory.hpp"

namespace banyan {

// A piece of the initiator's buffer.
struct DmaSegment {
    Gpa gpa;
    uint64_t length = 0;  // not 0; in a list of more than a window's pieces at least 2
};

// The initiator's buffer, read from the front.
class DmaSource {
public:
    enum class Next : uint8_t {
        segment,  // there is one
        end,      // the list is used up
        broken,   // the list itself is not in guest memory
    };
    virtual Next next(DmaSegment& segment) = 0;

protected:
    ~DmaSource() = default;
};

class PlanRunner {
public:
    // A window of so many pieces of at least two bytes holds at least a sector.
    static constexpr size_t kMaxSegments = 256;

    enum class Result : uint8_t {
        ok,
        media_error,  // the back end failed
        bad_memory,   // the scatter list, or what it names, is not guest memory
        short_list,   // the initiator's buffer is shorter than what is to be written
    };

    explicit PlanRunner(GuestMemory& memory);

    // For the decoder to fill in, before a plan of that kind is started.
    BlockWork& work() { return work_; }

    // Starts a plan that is neither complete nor failed. True: it has ended, and result() says how.
    // False: `client` is told with `cookie` of each step of the back end (perhaps it was already,
    // from within), and has to call advance() each time.
    // Preconditions: not busy. `source` stays until the end.
    [[nodiscard]] bool start(const DataPlan& plan, DmaSource& source, BlockBackend& backend,
                             BlockClient& client, uint64_t cookie);
    [[nodiscard]] bool advance(BlockStatus status);
    bool busy() const { return busy_; }

    Result result() const { return result_; }
    // Bytes that went to or came from the initiator.
    uint64_t moved() const { return moved_; }
    // The initiator's buffer was too short for what the device had to give.
    bool overflow() const { return overflow_; }
    // A segment of the initiator's buffer was used in part only.
    bool left_over() const { return !held_back_.empty(); }
    // After a data_out: what the initiator sent.
    std::span<const std::byte> parameters() const { return {parameters_.data(), moved_}; }
    // How many bytes of the medium were done when a transfer failed.
    uint64_t done() const { return done_; }

private:
    enum class Direction : uint8_t { to_guest, from_guest };

    bool end(Result result);
    bool copy_response();
    bool copy_parameters();
    bool transfer();
    bool run_work();
    bool fill_once();
    bool fill_window(uint64_t most, Direction direction);
    DmaSource::Next next_segment(DmaSegment& segment);
    bool add_segment(const DmaSegment& segment, Direction direction);
    void trim_window(uint64_t length);
    void tell_memory();
    bool submit(BlockRequest::Kind kind, uint64_t offset, uint64_t length);
    bool submit_flush();

    // wiring
    GuestMemory& memory_;
    DmaSource* source_ = nullptr;
    BlockBackend* backend_ = nullptr;
    BlockClient* client_ = nullptr;
    uint64_t cookie_ = 0;
    // bookkeeping: the plan, and how far it has come
    DataPlan plan_;
    BlockWork work_;
    bool busy_ = false;
    bool overflow_ = false;
    bool flushing_ = false;
    Result result_ = Result::ok;
    uint64_t moved_ = 0;
    uint64_t done_ = 0;
    size_t range_ = 0;
    uint64_t in_flight_length_ = 0;
    std::vector<DmaSegment> held_back_;  // for the next window; the first of them is the last here
    std::vector<std::span<std::byte>> window_;
    std::vector<Gpa> window_gpas_;
    uint64_t window_length_ = 0;
    std::array<std::byte, DataPlan::kMaxParameters> parameters_{};
};

}  // namespace banyan
