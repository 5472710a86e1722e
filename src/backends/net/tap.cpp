#include "backends/net/tap.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "host/posix/host_error.hpp"
#include "host/posix/threads.hpp"

namespace banyan {

namespace {

// struct virtio_net_hdr_v1 of <linux/virtio_net.h>, which C++ does not take; in the byte order of
// the host.
struct TapHeader {
    uint8_t flags = 0;
    uint8_t gso_type = 0;
    uint16_t hdr_len = 0;
    uint16_t gso_size = 0;
    uint16_t csum_start = 0;
    uint16_t csum_offset = 0;
    uint16_t num_buffers = 0;
};
static_assert(sizeof(TapHeader) == 12);
constexpr uint8_t kTapNeedsCsum = 1;
constexpr uint8_t kTapDataValid = 2;
constexpr uint8_t kTapGsoTcp4 = 1;
constexpr uint8_t kTapGsoTcp6 = 4;
constexpr uint8_t kTapGsoEcn = 0x80;

using Segmentation = NetFrameInfo::Segmentation;

constexpr size_t kTapSlot = sizeof(TapHeader) + kLargestNetFrame;
constexpr size_t kMostTapParts = 1024;  // UIO_MAXIOV

TapHeader header_of(const NetFrameInfo& info) {
    TapHeader header{};
    if (info.needs_checksum) {
        header.flags = kTapNeedsCsum;
        header.csum_start = info.checksum_start;
        header.csum_offset = info.checksum_offset;
    }
    if (info.segmentation == Segmentation::none) return header;
    header.gso_type = info.segmentation == Segmentation::tcp4 ? kTapGsoTcp4 : kTapGsoTcp6;
    if (info.ecn) header.gso_type |= kTapGsoEcn;
    header.gso_size = info.segment_size;
    header.hdr_len = info.header_length;
    return header;
}

NetFrameInfo info_of(const TapHeader& header) {
    NetFrameInfo info;
    info.needs_checksum = (header.flags & kTapNeedsCsum) != 0;
    info.checksum_valid = (header.flags & kTapDataValid) != 0;
    if (info.needs_checksum) {
        info.checksum_start = header.csum_start;
        info.checksum_offset = header.csum_offset;
    }
    const int kind = header.gso_type & ~kTapGsoEcn;
    if (kind == 0) return info;
    info.segmentation = kind == kTapGsoTcp4 ? Segmentation::tcp4 : Segmentation::tcp6;
    info.ecn = (header.gso_type & kTapGsoEcn) != 0;
    info.segment_size = header.gso_size;
    info.header_length = header.hdr_len;
    return info;
}

Result<void> attach(int tap, const std::string& interface) {
    const std::string what = "--net tap=" + interface;
    ifreq request{};
    if (interface.size() >= sizeof(request.ifr_name)) {
        return fail(ErrorCode::invalid_argument,
                    what + ": too long for a name of an interface; ip link shows those there are");
    }
    std::memcpy(request.ifr_name, interface.data(), interface.size());
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    int header_size = sizeof(TapHeader);
    if (::ioctl(tap, TUNSETIFF, &request) < 0) {
        return host_fail(errno, what,
                         "let root make it for you: ip tuntap add dev " + interface +
                             " mode tap user $USER && ip link set " + interface + " up");
    }
    if (::ioctl(tap, TUNSETVNETHDRSZ, &header_size) < 0)
        return host_fail(errno, what, "use a kernel whose tap interfaces have virtio headers");
    return {};
}

}  // namespace

Tap::Tap(UniqueFd tap, UniqueFd wake)
    : tap_(std::move(tap)),
      wake_(std::move(wake)),
      bytes_(std::make_unique_for_overwrite<std::byte[]>(kBatch * kTapSlot)) {}

Result<std::unique_ptr<Tap>> Tap::create(const std::string& interface) {
    UniqueFd tap(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    if (!tap.valid()) {
        return host_fail(errno, "--net tap=" + interface + ": open /dev/net/tun",
                         "load the module tun, or use --net nat");
    }
    TRY(attach(tap.get(), interface));
    UniqueFd wake(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!wake.valid())
        return host_fail(errno, "create a network", "close files, or raise the limit of files");
    auto made = std::unique_ptr<Tap>(new Tap(std::move(tap), std::move(wake)));
    made->set_client_offloads({});
    return made;
}

Tap::~Tap() {
    stop();
}

NetOffloads Tap::offloads() const {
    return {.checksum = true, .tcp4 = true, .tcp6 = true, .ecn = true, .udp = false};
}

void Tap::set_client_offloads(const NetOffloads& offloads) {
    unsigned flags = 0;
    if (offloads.checksum) flags |= TUN_F_CSUM;
    if (offloads.tcp4) flags |= TUN_F_TSO4;
    if (offloads.tcp6) flags |= TUN_F_TSO6;
    if (offloads.ecn && (offloads.tcp4 || offloads.tcp6)) flags |= TUN_F_TSO_ECN;
    // A kernel that refuses gives plain frames, which every card takes.
    (void)::ioctl(tap_.get(), TUNSETOFFLOAD, flags);
}

Result<void> Tap::start(NetClient& client) {
    client_ = &client;
    stopping_.store(false);
    client_full_ = false;
    thread_ = start_thread(ThreadKind::device, "tap", [this] { run(); });
    return {};
}

void Tap::stop() {
    if (!thread_.joinable()) return;
    stopping_.store(true);
    wake();
    thread_.join();
    received_ = given_ = 0;
}

// Never waits: the kernel takes a frame or drops it.
size_t Tap::send(std::span<const NetFrame> frames) {
    for (const NetFrame& frame : frames)
        send(frame);
    return frames.size();
}

void Tap::send(const NetFrame& frame) {
    TapHeader header = header_of(frame.info);
    std::array<iovec, kMostTapParts> parts;  // filled as far as it is used
    if (frame.parts.size() >= parts.size()) return;
    parts[0] = {&header, sizeof(header)};
    size_t count = 1;
    for (const auto& part : frame.parts)
        parts[count++] = {const_cast<std::byte*>(part.data()), part.size()};
    (void)retry_interrupted(
        [&] { return ::writev(tap_.get(), parts.data(), static_cast<int>(count)); });
}

void Tap::receive_room_available() {
    room_available_.store(true);
    wake();
}

void Tap::wake() {
    const uint64_t one = 1;
    (void)retry_interrupted([&] { return ::write(wake_.get(), &one, sizeof(one)); });
}

void Tap::run() {
    while (!stopping_.load()) {
        receive();
        give_to_client();
        wait();
    }
}

void Tap::receive() {
    if (received_ != 0) return;
    while (received_ < kBatch && read_frame()) {
    }
}

bool Tap::read_frame() {
    const std::span slot(bytes_.get() + received_ * kTapSlot, kTapSlot);
    const ssize_t size =
        retry_interrupted([&] { return ::read(tap_.get(), slot.data(), slot.size()); });
    if (size <= static_cast<ssize_t>(sizeof(TapHeader))) return false;
    TapHeader header;
    std::memcpy(&header, slot.data(), sizeof(header));
    const auto frame = slot.first(static_cast<size_t>(size)).subspan(sizeof(header));
    parts_[received_] = frame;
    frames_[received_] = {std::span(&parts_[received_], 1), frame.size(), info_of(header)};
    ++received_;
    return true;
}

void Tap::give_to_client() {
    if (room_available_.exchange(false)) client_full_ = false;
    if (received_ == 0 || client_full_) return;
    const auto left = std::span(frames_).subspan(given_, received_ - given_);
    const size_t taken = client_->on_frames(left);
    client_full_ = taken < left.size();
    given_ += taken;
    if (!client_full_) received_ = given_ = 0;
}

void Tap::wait() {
    constexpr int kForEver = -1;
    std::array<pollfd, 2> handles{{{wake_.get(), POLLIN, 0}, {tap_.get(), POLLIN, 0}}};
    if (client_full_ || gone_) handles[1].fd = -1;  // what has come first goes first
    (void)::poll(handles.data(), handles.size(), kForEver);
    uint64_t count = 0;
    if (handles[0].revents != 0)
        (void)retry_interrupted([&] { return ::read(wake_.get(), &count, sizeof(count)); });
    if ((handles[1].revents & POLLERR) == 0) return;
    gone_ = true;
    client_->on_link_changed(false);
}

}  // namespace banyan
