#include "backends/block/disk_ring.hpp"

#include <array>
#include <cerrno>
#include <future>
#include <linux/falloc.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <system_error>

#include "backends/block/image/image_file.hpp"
#include "host/posix/host_error.hpp"
#include "host/posix/threads.hpp"
#include "support/assert.hpp"

namespace banyan {

namespace {

using Kind = BlockRequest::Kind;

// One thread enters the kernel for this ring, and completions may wait until it does: no interrupt
// of what the thread is doing, and less locking (io_uring_setup(2)). Since Linux 6.1.
constexpr unsigned kOneThread =
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN;

io_uring_restriction allowed(unsigned kind, unsigned operation) {
    io_uring_restriction one{};
    one.opcode = static_cast<__u16>(kind);
    one.register_op = static_cast<__u8>(operation);  // at the same place as sqe_op
    return one;
}

// Debian 12's liburing.so lacks the functions for the two registrations that are used here.
int register_with(const io_uring& ring, unsigned operation, const void* values, size_t count) {
    const long result = ::syscall(SYS_io_uring_register, ring.ring_fd, operation, values, count);
    return result < 0 ? -errno : 0;
}

// What a disk asks for, and nothing else: a ring opens files, too, and system call filters do not
// see what it is asked for (io_uring_register(2), IORING_REGISTER_RESTRICTIONS). Since Linux 5.10.
int restrict_ring(const io_uring& ring) {
    constexpr unsigned kRequest = IORING_RESTRICTION_SQE_OP;
    constexpr unsigned kSetUp = IORING_RESTRICTION_REGISTER_OP;
    const std::array all{
        allowed(kRequest, IORING_OP_READV),         allowed(kRequest, IORING_OP_WRITEV),
        allowed(kRequest, IORING_OP_READ),          allowed(kRequest, IORING_OP_FSYNC),
        allowed(kRequest, IORING_OP_FALLOCATE),     allowed(kSetUp, IORING_REGISTER_RING_FDS),
        allowed(kSetUp, IORING_UNREGISTER_RING_FDS)};
    const int result = register_with(ring, IORING_REGISTER_RESTRICTIONS, all.data(), all.size());
    return result == 0 ? register_with(ring, IORING_REGISTER_ENABLE_RINGS, nullptr, 0) : result;
}

int open_ring(unsigned entries, io_uring& ring) {
    int result = ::io_uring_queue_init(entries, &ring, kOneThread | IORING_SETUP_R_DISABLED);
    if (result == -EINVAL) result = ::io_uring_queue_init(entries, &ring, IORING_SETUP_R_DISABLED);
    if (result != 0) return result;
    result = restrict_ring(ring);
    if (result != 0) ::io_uring_queue_exit(&ring);
    return result;
}

std::string_view reason_for(int error_number) {
    switch (error_number) {
        case ENOSYS: return "the kernel has none";
        case EPERM:
        case EACCES:
            return "it is forbidden: by kernel.io_uring_disabled, or the container's seccomp";
        case ENOMEM: return "too little memory may be locked (ulimit -l)";
        default: return "the kernel refuses it";
    }
}

// The places' segments follow each other in work.segments.
void prepare(io_uring_sqe& entry, const DiskWork& work, const DirectPlace& place,
             const iovec* segments, unsigned count) {
    const FileAccess access = place.file->access();
    const auto length = static_cast<off_t>(place.length);
    switch (work.request.kind) {
        case Kind::read:
            ::io_uring_prep_readv(&entry, access.descriptor, segments, count, place.offset);
            return;
        case Kind::write:
            ::io_uring_prep_writev(&entry, access.descriptor, segments, count, place.offset);
            return;
        case Kind::flush:
            ::io_uring_prep_fsync(&entry, access.descriptor, IORING_FSYNC_DATASYNC);
            return;
        case Kind::discard:
            ::io_uring_prep_fallocate(&entry, access.descriptor,
                                      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                      static_cast<off_t>(place.offset), length);
            return;
        case Kind::write_zeroes:
            ::io_uring_prep_fallocate(&entry, access.descriptor,
                                      FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                                      static_cast<off_t>(place.offset), length);
            return;
    }
}

// How many segments hold the next `length` bytes. Places end with segments.
unsigned segments_for(const iovec* segments, uint64_t length) {
    unsigned count = 0;
    for (uint64_t bytes = 0; bytes < length; ++count)
        bytes += segments[count].iov_len;
    return count;
}

bool moves_bytes(Kind kind) {
    return kind == Kind::read || kind == Kind::write;
}

}  // namespace

Result<std::unique_ptr<DiskRing>> DiskRing::create(DiskRingClient& client) {
    std::unique_ptr<DiskRing> ring(new DiskRing(client));
    ring->wake_.reset(::eventfd(0, EFD_CLOEXEC));
    if (!ring->wake_.valid()) return host_fail(errno, "make an eventfd", "raise ulimit -n");
    // The thread that opens it is the one that may use it.
    std::promise<int> opened;
    auto result = opened.get_future();
    try {
        ring->thread_ = start_thread(ThreadKind::disk, "disk-ring",
                                     [raw = ring.get(), opened = std::move(opened)]() mutable {
                                         const int error_number = raw->open();
                                         opened.set_value(error_number);
                                         if (error_number == 0) raw->serve();
                                     });
    } catch (const std::system_error& error) {
        return host_fail(error.code().value(), "start a thread", "raise ulimit -u");
    }
    const int error_number = result.get();
    if (error_number == 0) return ring;
    return host_fail(error_number, "open an io_uring", reason_for(error_number));
}

int DiskRing::open() {
    const int result = open_ring(kEntries, ring_);
    if (result != 0) return -result;
    (void)::io_uring_register_ring_fd(&ring_);  // spares a look-up in each call, where it is known
    return 0;
}

DiskRing::~DiskRing() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    ::eventfd_write(wake_.get(), 1);
    if (thread_.joinable()) thread_.join();
}

void DiskRing::submit(DiskWork& work) {
    bool wake = false;
    {
        const std::lock_guard lock(mutex_);
        incoming_.push(work);
        wake = std::exchange(asleep_, false);
    }
    if (wake) ::eventfd_write(wake_.get(), 1);
}

void DiskRing::serve() {
    watch_wake_ups();
    while (hand_over()) {
        {
            const std::lock_guard lock(mutex_);
            asleep_ = false;
        }
        reap();
    }
    ::io_uring_queue_exit(&ring_);
}

// Gives the kernel what there is, and waits if there is nothing to do. False: it is time to end.
// Whoever submits, and finds us asleep, wakes us.
bool DiskRing::hand_over() {
    bool sleeps = false;
    {
        const std::lock_guard lock(mutex_);
        backlog_.append(std::exchange(incoming_, {}));
        if (stopping_ && backlog_.empty() && under_way_ == 0) return false;
        asleep_ = true;
    }
    while (!backlog_.empty() && under_way_ + backlog_.first()->places.size() <= kMostUnderWay)
        enqueue(*backlog_.pop());
    {
        const std::lock_guard lock(mutex_);
        sleeps = asleep_;
    }
    (void)::io_uring_submit_and_wait(&ring_, sleeps ? 1 : 0);
    return true;
}

// When there is no room for another entry, the kernel takes those that are there.
io_uring_sqe& DiskRing::next_entry() {
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    while (entry == nullptr) {
        (void)::io_uring_submit(&ring_);
        entry = ::io_uring_get_sqe(&ring_);
    }
    return *entry;
}

void DiskRing::enqueue(DiskWork& work) {
    const iovec* segments = work.segments.data();
    work.failed = false;
    work.bytes_left = 0;
    work.pieces_left = 0;
    for (const DirectPlace& place : work.places) {
        if (place.file == nullptr) continue;
        const bool moves = moves_bytes(work.request.kind);
        const unsigned count = moves ? segments_for(segments, place.length) : 0;
        io_uring_sqe& entry = next_entry();
        prepare(entry, work, place, segments, count);
        ::io_uring_sqe_set_data(&entry, &work);
        segments += count;
        if (moves) work.bytes_left += place.length;
        ++work.pieces_left;
        ++under_way_;
    }
    BANYAN_ASSERT(work.pieces_left != 0);
}

void DiskRing::watch_wake_ups() {
    io_uring_sqe& entry = next_entry();
    ::io_uring_prep_read(&entry, wake_.get(), &wake_count_, sizeof(wake_count_), 0);
    ::io_uring_sqe_set_data(&entry, nullptr);
}

void DiskRing::reap() {
    io_uring_cqe* end = nullptr;
    while (::io_uring_peek_cqe(&ring_, &end) == 0) {
        auto* work = static_cast<DiskWork*>(::io_uring_cqe_get_data(end));
        const int result = end->res;
        ::io_uring_cqe_seen(&ring_, end);
        if (work != nullptr) {
            complete(*work, result);
        } else {
            watch_wake_ups();
        }
    }
}

void DiskRing::complete(DiskWork& work, int result) {
    --under_way_;
    if (result < 0) {
        work.failed = true;
    } else if (moves_bytes(work.request.kind)) {
        work.bytes_left -= static_cast<uint64_t>(result);
    }
    if (--work.pieces_left == 0) client_.on_ring_done(work);
}

IoUringReport report_io_uring() {
    io_uring ring{};
    const int result = open_ring(2, ring);
    if (result != 0) {
        return {false, errno_text(-result) + ": " + std::string(reason_for(-result)) +
                           "; disks are served by threads"};
    }
    ::io_uring_queue_exit(&ring);
    return {true, "serves disks"};
}

}  // namespace banyan
