// Carries COUNT frames of SIZE bytes from one thread to another, and prints the seconds that it
// took.
//
//     switch_load memcpy SIZE COUNT       one copy each, in one thread: what memory allows
//     switch_load socketpair SIZE COUNT   a Unix socket of packets, a system call a side and frame
//     switch_load SOCKET SIZE COUNT       two members of the network with this socket
//
// So many bytes are under way at most as a TCP connection has: what the receiver has got makes room
// for the next, and nothing is lost. Frames above an Ethernet frame's size go as segments of TCP.
#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string_view>
#include <sys/socket.h>
#include <thread>

#include "backends/switch/switch_port.hpp"
#include "host/linux/event_loop.hpp"

namespace banyan {
namespace {

constexpr uint64_t kUnderWay = 256 * 1024;  // bytes
constexpr size_t kBatch = 32;
constexpr size_t kPlainFrame = 1514;

[[noreturn]] void give_up(std::string_view why) {
    std::fprintf(stderr, "switch_load: %.*s\n", static_cast<int>(why.size()), why.data());
    std::exit(1);
}

uint64_t number(std::string_view text) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.begin(), text.end(), value);
    if (error != std::errc{} || end != text.end()) give_up("not a number");
    return value;
}

std::vector<std::byte> make_frame(const MacAddress& to, const MacAddress& from, size_t size) {
    std::vector<std::byte> frame(size);
    put_header<EthernetHeader>(frame, 0, {to, from, uint16_t{0x88B5}});
    return frame;
}

void copy_frames(size_t size, uint64_t count) {
    const std::vector<std::byte> from(size);
    std::vector<std::byte> to(size);
    for (uint64_t i = 0; i < count; ++i) {
        std::memcpy(to.data(), from.data(), size);
        asm volatile("" : : "r"(to.data()) : "memory");  // the copy is wanted
    }
}

void send_by_socketpair(size_t size, uint64_t count) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        give_up("no socketpair");
    std::thread sender([&] {
        const std::vector<std::byte> frame(size);
        for (uint64_t i = 0; i < count; ++i) {
            if (::send(ends[0], frame.data(), size, 0) < 0) give_up("cannot send");
        }
    });
    std::vector<std::byte> frame(size);
    for (uint64_t i = 0; i < count; ++i) {
        if (::recv(ends[1], frame.data(), size, 0) < 0) give_up("cannot receive");
    }
    sender.join();
    for (const int end : ends)
        ::close(end);
}

class Member final : public NetClient {
public:
    Member(const std::string& socket, uint8_t number)
        : mac{{0x52, 0x54, 0, 0, 0xBE, number}}, loop_(EventLoop::create().value()) {
        auto port = SwitchPort::create(
            *loop_,
            {.socket = socket, .hello = {.name = "load-" + std::to_string(number), .mac = mac}});
        if (!port || !(*port)->link_up()) give_up("cannot join the network");
        port_ = std::move(*port);
        port_->set_client_offloads(port_->offloads());
        if (!port_->start(*this)) give_up("cannot start");
        thread_ = std::thread([this] { loop_->run(); });
    }
    ~Member() {
        port_->stop();
        loop_->stop();
        thread_.join();
    }

    // Copies them out, as a device does into its guest's memory.
    size_t on_frames(std::span<const NetFrame> frames) override {
        for (const NetFrame& frame : frames) {
            size_t at = 0;
            for (const auto part : frame.parts) {
                std::memcpy(memory_.data() + at, part.data(), part.size());
                at += part.size();
            }
        }
        const std::lock_guard lock(mutex_);
        received_ += frames.size();
        changed_.notify_all();
        return frames.size();
    }
    void on_send_room() override {
        const std::lock_guard lock(mutex_);
        has_room_ = true;
        changed_.notify_all();
    }

    void wait_for(uint64_t frames) {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, std::chrono::seconds(20), [&] { return received_ >= frames; }))
            give_up("a frame was lost");
    }
    void send(std::span<const NetFrame> frames) {
        while (!frames.empty()) {
            {
                const std::lock_guard lock(mutex_);
                has_room_ = false;
            }
            frames = frames.subspan(port_->send(frames));
            std::unique_lock lock(mutex_);
            if (!frames.empty()) changed_.wait(lock, [&] { return has_room_; });
        }
    }

    const MacAddress mac;

private:
    std::unique_ptr<EventLoop> loop_;
    std::unique_ptr<SwitchPort> port_;
    std::vector<std::byte> memory_ = std::vector<std::byte>(kLargestNetFrame);
    std::mutex mutex_;
    std::condition_variable changed_;
    uint64_t received_ = 0;
    bool has_room_ = false;
    std::thread thread_;
};

void send_by_switch(Member& sender, Member& receiver, uint64_t before, size_t size,
                    uint64_t count) {
    const std::vector<std::byte> bytes = make_frame(receiver.mac, sender.mac, size);
    const std::span<const std::byte> part = bytes;
    NetFrame frame{std::span(&part, 1), size, {}};
    if (size > kPlainFrame) {
        frame.info = {.needs_checksum = true,
                      .checksum_start = 34,
                      .checksum_offset = 16,
                      .segmentation = NetFrameInfo::Segmentation::tcp4,
                      .segment_size = 1448};
    }
    const uint64_t window = std::max<uint64_t>(2, kUnderWay / (size + 16));
    const uint64_t batch = std::min<uint64_t>(kBatch, window / 2);
    const std::vector<NetFrame> frames(batch, frame);
    for (uint64_t sent = 0; sent < count;) {
        const uint64_t next = std::min(batch, count - sent);
        if (sent + next > window) receiver.wait_for(before + sent + next - window);
        sender.send(std::span(frames).first(next));
        sent += next;
    }
    receiver.wait_for(before + count);
}

int run(std::span<char*> arguments) {
    using Clock = std::chrono::steady_clock;
    if (arguments.size() != 4) give_up("three arguments are wanted");
    const std::string_view by = arguments[1];
    const size_t size = number(arguments[2]);
    const uint64_t count = number(arguments[3]);
    if (size < kEthernetHeaderSize || size > kLargestNetFrame) give_up("no frame has this size");
    Clock::time_point start = Clock::now();
    if (by == "memcpy") {
        copy_frames(size, count);
    } else if (by == "socketpair") {
        send_by_socketpair(size, count);
    } else {
        Member sender(std::string(by), 1), receiver(std::string(by), 2);
        send_by_switch(receiver, sender, 0, 60, 1);  // so that the switch knows where it is
        start = Clock::now();
        send_by_switch(sender, receiver, 0, size, count);
        const std::chrono::duration<double> taken = Clock::now() - start;
        std::printf("%.6f\n", taken.count());
        return 0;
    }
    const std::chrono::duration<double> taken = Clock::now() - start;
    std::printf("%.6f\n", taken.count());
    return 0;
}

}  // namespace
}  // namespace banyan

int main(int argc, char** argv) {
    return banyan::run(std::span(argv, static_cast<size_t>(argc)));
}
