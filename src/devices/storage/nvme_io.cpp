// I/O commands (NVM Express 1.4, chapter 6 "NVM command set").
#include <algorithm>

#include "devices/storage/nvme_controller.hpp"
#include "support/assert.hpp"

namespace banyan {

using namespace nvme;
using Kind = BlockRequest::Kind;

namespace {

constexpr uint32_t kOnlyNamespace = 1;
constexpr uint32_t kAllNamespaces = 0xFFFF'FFFF;
constexpr uint16_t kInFlight = 0xFFFF;  // no status: it completes later

uint64_t first_block(const Command& command) {
    return uint64_t{command.cdw11} << 32 | command.cdw10;
}

uint32_t block_count(const Command& command) {
    return (command.cdw12 & 0xFFFFU) + 1;
}

}  // namespace

void NvmeController::run_io(unsigned sq, const Command& command) {
    Request& request = requests_[free_.back()];
    free_.pop_back();
    request.busy = true;
    request.sq = static_cast<uint16_t>(sq);
    request.id = command.id;
    request.flush_next = false;
    request.ranges = 0;
    request.next_range = 0;
    request.buffers.clear();
    if (const uint16_t status = start(request, command); status != kInFlight)
        finish(request, status);
}

uint16_t NvmeController::start(Request& request, const Command& command) {
    if (command.flags != kPlainCommand) return INVALID_FIELD;
    const auto opcode = static_cast<Io>(command.opcode);
    const bool all = opcode == Io::flush && command.nsid == kAllNamespaces;
    if (command.nsid != kOnlyNamespace && !all) return INVALID_NAMESPACE;
    switch (opcode) {
        case Io::flush: start_flush(request); return kInFlight;
        case Io::write: return start_transfer(request, command, true);
        case Io::read: return start_transfer(request, command, false);
        case Io::write_zeroes: return start_write_zeroes(request, command);
        case Io::dataset_management: return start_deallocate(request, command);
    }
    return INVALID_OPCODE;
}

bool NvmeController::inside(uint64_t first, uint64_t blocks) const {
    return first <= disk_.blocks && blocks <= disk_.blocks - first;
}

// Section 5.21.1.6: without the volatile write cache, what was written is on the disk.
bool NvmeController::write_through() const {
    return (feature(Feature::volatile_write_cache) & 1U) == 0;
}

uint16_t NvmeController::start_transfer(Request& request, const Command& command, bool write) {
    const uint64_t first = first_block(command);
    const uint64_t length = uint64_t{block_count(command)} * kBlock;
    if (write && disk_.read_only) return WRITE_TO_READ_ONLY;
    if (length > uint64_t{kPage} << kMaxTransferPower) return INVALID_FIELD;
    if (!inside(first, block_count(command))) return LBA_OUT_OF_RANGE;
    switch (request.buffers.gather(memory_, command.prp1, command.prp2, length, !write)) {
        case NvmeBuffers::Error::none: break;
        case NvmeBuffers::Error::bad_offset: return PRP_OFFSET_INVALID;
        case NvmeBuffers::Error::not_memory: return DATA_TRANSFER_ERROR;
    }
    const bool force = (command.cdw12 & kForceUnitAccess) != 0;
    request.flush_next = write && (force || write_through());
    submit(request, write ? Kind::write : Kind::read, first * kBlock, length);
    return kInFlight;
}

uint16_t NvmeController::start_write_zeroes(Request& request, const Command& command) {
    if (disk_.read_only) return WRITE_TO_READ_ONLY;
    if (!disk_.writes_zeroes) return INVALID_OPCODE;
    const uint64_t first = first_block(command);
    if (!inside(first, block_count(command))) return LBA_OUT_OF_RANGE;
    request.flush_next = (command.cdw12 & kForceUnitAccess) != 0 || write_through();
    submit(request, Kind::write_zeroes, first * kBlock, uint64_t{block_count(command)} * kBlock);
    return kInFlight;
}

// Section 6.7: up to 256 ranges. Other hints than to deallocate are taken and do nothing. The
// ranges stay in the guest's memory, and each is copied and checked when its turn comes.
uint16_t NvmeController::start_deallocate(Request& request, const Command& command) {
    if ((command.cdw11 & kDeallocate) == 0) return SUCCESS;
    if (disk_.read_only) return WRITE_TO_READ_ONLY;
    if (!disk_.discards) return INVALID_OPCODE;
    const uint32_t ranges = (command.cdw10 & 0xFFU) + 1;
    switch (request.buffers.gather(memory_, command.prp1, command.prp2, ranges * sizeof(Range),
                                   false)) {
        case NvmeBuffers::Error::none: break;
        case NvmeBuffers::Error::bad_offset: return PRP_OFFSET_INVALID;
        case NvmeBuffers::Error::not_memory: return DATA_TRANSFER_ERROR;
    }
    request.ranges = static_cast<uint16_t>(ranges);
    return deallocate_next(request);
}

uint16_t NvmeController::deallocate_next(Request& request) {
    while (request.next_range < request.ranges) {
        Range range;
        request.buffers.copy_from(request.next_range * sizeof(Range),
                                  std::as_writable_bytes(std::span(&range, 1)));
        ++request.next_range;
        const uint64_t first = range.first;
        const uint64_t blocks = range.blocks;
        if (!inside(first, blocks)) return LBA_OUT_OF_RANGE;
        if (blocks == 0) continue;
        submit(request, Kind::discard, first * kBlock, blocks * kBlock);
        return kInFlight;
    }
    return SUCCESS;
}

void NvmeController::start_flush(Request& request) {
    submit(request, Kind::flush, 0, 0);
}

void NvmeController::submit(Request& request, Kind kind, uint64_t offset, uint64_t length) {
    request.kind = kind;
    const bool moves = kind == Kind::read || kind == Kind::write;
    const auto cookie = static_cast<uint64_t>(&request - requests_.data());
    backend_.submit(
        {.kind = kind,
         .offset = offset,
         .length = length,
         .buffers = moves ? request.buffers.spans() : std::span<const std::span<std::byte>>(),
         .cookie = cookie},
        *this);
}

uint16_t NvmeController::error_of(const Request& request, BlockStatus status) const {
    if (status == BlockStatus::unsupported) return INTERNAL_ERROR;
    return request.kind == Kind::read ? UNRECOVERED_READ_ERROR : WRITE_FAULT;
}

void NvmeController::on_block_complete(uint64_t cookie, BlockStatus status) {
    if (cookie == kMaxInFlight) {
        shutting_down_ = false;
        return state_.status.set<nvme::Status::Shutdown>(2);
    }
    BANYAN_ASSERT(cookie < requests_.size() && requests_[cookie].busy);
    Request& request = requests_[cookie];
    // Also of a read that failed: some of it may have come.
    if (request.kind == Kind::read) request.buffers.tell_written(memory_);
    if (status != BlockStatus::ok) {
        finish(request, error_of(request, status));
    } else if (request.kind == Kind::discard) {
        const uint16_t next = deallocate_next(request);
        if (next != kInFlight) finish(request, next);
    } else if (request.flush_next) {
        request.flush_next = false;
        start_flush(request);
    } else {
        finish(request, SUCCESS);
    }
    flush_interrupts();
}

void NvmeController::finish(Request& request, uint16_t status) {
    request.busy = false;
    const bool waited = free_.empty();
    free_.push_back(static_cast<uint16_t>(&request - requests_.data()));
    complete(request.sq, request.id, status);
    // Not at once: completions may come as fast as a guest makes commands, and must not hold a
    // thread for ever.
    if (waited) run_later();
}

}  // namespace banyan
