#include "network/port/port_channel.hpp"

#include <array>
#include <cstring>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

constexpr size_t kControlArea = 4096;  // of both rings
constexpr std::string_view kRemedy = "free memory, or raise the limit of open files (ulimit -n)";
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

size_t memory_size(size_t ring_size) {
    return kControlArea + 2 * ring_size;
}

// Ring 0 goes from the member to the switch.
RingMemory ring_in(std::span<std::byte> memory, size_t ring_size, size_t number) {
    // SAFETY: the area is page-aligned, and of plain integers that any bytes are.
    auto* control = reinterpret_cast<RingControl*>(memory.data()) + number;
    return {control, memory.subspan(kControlArea + number * ring_size, ring_size)};
}

void signal_event(int fd) {
    const uint64_t one = 1;
    // It can only fail when the counter is full, and then the other side is awake anyway.
    [[maybe_unused]] const ssize_t written = ::write(fd, &one, sizeof(one));
}

// The other side could give anything: a file that it shortens later ends whoever reads the memory.
Result<void> check_memory(int fd, size_t size) {
    struct stat found {};
    const int seals = ::fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || ::fstat(fd, &found) != 0 ||
        found.st_size < static_cast<off_t>(size)) {
        return fail(ErrorCode::invalid_data,
                    "join the network: its memory is not as it should be; restart the network");
    }
    return {};
}

}  // namespace

Result<PortHandles> PortChannel::make_handles(size_t ring_size) {
    PortHandles handles;
    handles.memory.reset(::memfd_create("banyan-port", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    handles.wakes_switch.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    handles.wakes_member.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const auto size = static_cast<off_t>(memory_size(ring_size));
    if (!handles.memory.valid() || !handles.wakes_switch.valid() || !handles.wakes_member.valid() ||
        ::ftruncate(handles.memory.get(), size) != 0 ||
        ::fcntl(handles.memory.get(), F_ADD_SEALS, kSeals) != 0)
        return host_fail(errno, "make a port of a network", kRemedy);
    return handles;
}

Result<std::unique_ptr<PortChannel>> PortChannel::open(PortHandles handles, size_t ring_size,
                                                       Side side) {
    const size_t size = memory_size(ring_size);
    TRY(check_memory(handles.memory.get(), size));
    void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, handles.memory.get(), 0);
    if (at == MAP_FAILED) return host_fail(errno, "map a port of a network", kRemedy);
    const std::span memory(static_cast<std::byte*>(at), size);
    return std::unique_ptr<PortChannel>(
        new PortChannel(std::move(handles), memory, ring_size, side));
}

PortChannel::PortChannel(PortHandles handles, std::span<std::byte> memory, size_t ring_size,
                         Side side)
    : handles_(std::move(handles)),
      memory_(memory),
      side_(side),
      out_(ring_in(memory, ring_size, side == Side::of_switch ? 1 : 0)),
      in_(ring_in(memory, ring_size, side == Side::of_switch ? 0 : 1)) {}

PortChannel::~PortChannel() {
    ::munmap(memory_.data(), memory_.size());
}

void PortChannel::clear_wake() const {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(own_wake().get(), &count, sizeof(count));
}

void PortChannel::wake_other() const {
    signal_event(other_wake().get());
}

void PortChannel::wake_self() const {
    signal_event(own_wake().get());
}

Result<void> send_with_handles(int socket, std::span<const std::byte> message,
                               const PortHandles* handles) {
    iovec part{const_cast<std::byte*>(message.data()), message.size()};  // it is only read
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kPortHandles * sizeof(int))> control{};
    if (handles != nullptr) {
        const std::array<int, kPortHandles> numbers{
            handles->memory.get(), handles->wakes_switch.get(), handles->wakes_member.get()};
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        cmsghdr* rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(numbers));
        std::memcpy(CMSG_DATA(rights), numbers.data(), sizeof(numbers));
    }
    const ssize_t sent =
        retry_interrupted([&] { return ::sendmsg(socket, &header, MSG_NOSIGNAL); });
    if (sent == static_cast<ssize_t>(message.size())) return {};
    return host_fail(errno, "speak to the network", "restart it");
}

Result<ReceivedMessage> receive_with_handles(int socket, std::span<std::byte> message) {
    iovec part{message.data(), message.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kPortHandles * sizeof(int))> control{};
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const ssize_t size =
        retry_interrupted([&] { return ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC); });
    ReceivedMessage received;
    if (size < 0) {
        if (errno != EAGAIN) return host_fail(errno, "hear from the network", "restart it");
        received.again = true;
        return received;
    }
    received.size = static_cast<size_t>(size);
    for (cmsghdr* one = CMSG_FIRSTHDR(&header); one != nullptr; one = CMSG_NXTHDR(&header, one)) {
        if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_RIGHTS) continue;
        std::array<UniqueFd, kPortHandles> own;
        const size_t count = (one->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < std::min(count, kPortHandles); ++i) {
            int number = -1;
            std::memcpy(&number, CMSG_DATA(one) + i * sizeof(int), sizeof(int));
            own[i].reset(number);
        }
        if (count == kPortHandles)
            received.handles = {std::move(own[0]), std::move(own[1]), std::move(own[2])};
    }
    return received;
}

}  // namespace banyan
