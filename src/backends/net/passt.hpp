// Passt: user-mode networking by the program passt, a process of its own, instead of libslirp in
// this one: the same addresses, rules and published ports as Nat has.
//
// Frames pass over a socket, each with its length before it. The process belongs to its VM: it ends
// when that socket does, however the VM ends, and is waited for where there is time.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "backends/net/frame_buffer.hpp"
#include "backends/net/published_port.hpp"
#include "host/posix/unique_fd.hpp"
#include "network/port/stream_framing.hpp"
#include "support/counter.hpp"
#include "support/mutex.hpp"
#include "vm/network.hpp"

namespace banyan {

struct PasstOptions {
    std::string program = "passt";  // as the shell finds it
    bool host_loopback = false;     // 10.0.2.2 is the host's 127.0.0.1
    std::vector<PublishedPort> published = {};
};

class Passt final : public NetBackend {
public:
    // Starts the process, and waits until it answers. Fails where it is not installed, or does not
    // like a port.
    static Result<std::unique_ptr<Passt>> create(const PasstOptions& options);
    ~Passt() override;

    NetOffloads offloads() const override;
    void set_client_offloads(const NetOffloads& offloads) override;
    bool link_up() const override { return !gone_; }
    Result<void> start(NetClient& client) override;
    void stop() override;
    size_t send(std::span<const NetFrame> frames) override;
    void receive_room_available() override;

    pid_t process() const { return process_; }
    uint64_t refused() const { return refused_; }  // frames to the host itself

private:
    explicit Passt(const PasstOptions& options);
    Result<void> open(const PasstOptions& options);
    Result<void> wait_for_answer();
    std::string last_words() const;

    void append(const NetFrame& frame) REQUIRES(mutex_);
    void flush() REQUIRES(mutex_);
    void run();
    void wait();
    void receive();
    void give_to_client();
    void tell_send_room();
    void lose();
    void wake();

    // configuration
    const bool host_loopback_;
    // wiring
    pid_t process_ = -1;
    UniqueFd socket_;
    UniqueFd words_;  // what it says, on its standard error
    UniqueFd wake_;
    NetClient* client_ = nullptr;
    std::thread thread_;
    std::atomic<bool> stopping_{false};
    std::atomic<bool> room_available_{false};
    std::atomic<bool> gone_{false};
    std::atomic<bool> checksums_known_{false};  // the guest need not check them again
    // of the thread
    StreamUnframer unframer_;
    FrameBuffer for_guest_;
    size_t given_ = 0;  // of for_guest_
    bool guest_full_ = false;
    Counter refused_;

    Mutex mutex_;  // a leaf
    std::vector<std::byte> waiting_ GUARDED_BY(mutex_);
    size_t written_ GUARDED_BY(mutex_) = 0;  // of them
    bool sender_waits_ GUARDED_BY(mutex_) = false;
};

// Where the program is; empty: it is not installed.
std::string find_passt();

}  // namespace banyan
