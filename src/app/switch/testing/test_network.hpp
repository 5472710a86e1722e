// Networks as processes, and members that join them, for tests.
#pragma once

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/network/network_process.hpp"
#include "app/network/network_store.hpp"
#include "backends/switch/switch_port.hpp"
#include "host/linux/event_loop.hpp"
#include "network/packets/testing/packet_builder.hpp"

namespace banyan {

inline constexpr auto kTestLimit = std::chrono::seconds(20);

// Directories of its own for a test, and the networks in them.
class TestNetworks {
public:
    TestNetworks() {
        std::string pattern = (std::filesystem::temp_directory_path() / "banyan-XXXXXX").string();
        root_ = ::mkdtemp(pattern.data());
        ::setenv("XDG_RUNTIME_DIR", root_.c_str(), 1);
        ::setenv("XDG_DATA_HOME", root_.c_str(), 1);
    }
    ~TestNetworks() {
        for (const std::string& name : names_)
            EXPECT_TRUE(end_network(directory(), name));
        std::filesystem::remove_all(root_);
    }
    TestNetworks(const TestNetworks&) = delete;
    TestNetworks& operator=(const TestNetworks&) = delete;

    void create(NetworkDefinition network) {
        if (network.subnet.network.value == 0) network.subnet = *choose_subnet(network.name, {});
        names_.push_back(network.name);
        ASSERT_TRUE(NetworkStore::open().value().write(network));
        start(network.name);
    }
    void start(const std::string& name) {
        const auto started = start_network(directory(), name, BANYAN_SWITCH);
        ASSERT_TRUE(started) << started.error().text();
    }
    // What its report says at a place ("/ports", "/pid"), as JSON; empty: nothing.
    std::string report(const std::string& network, const std::string& place) const {
        const auto text = network_report(directory(), network);
        if (!text) return {};
        const auto all = nlohmann::json::parse(*text, nullptr, false);
        const nlohmann::json::json_pointer at(place);
        return all.contains(at) ? all[at].dump() : std::string();
    }
    // The same of one of its ports.
    std::string port(const std::string& network, const std::string& name,
                     const std::string& place) const {
        for (int i = 0;; ++i) {
            const std::string port = "/ports/" + std::to_string(i);
            const std::string found = report(network, port + "/name");
            if (found.empty() || found == "\"" + name + "\"") return report(network, port + place);
        }
    }
    bool has_port(const std::string& network, const std::string& name) const {
        return !port(network, name, "/name").empty();
    }
    pid_t pid(const std::string& network) const { return std::stoi(report(network, "/pid")); }
    static RunDirectory directory() { return RunDirectory::open().value(); }
    static NetworkPaths paths(const std::string& name) { return network_paths(directory(), name); }

private:
    std::string root_;
    std::vector<std::string> names_;
};

// Looks again and again until it is so, or too much time has passed.
template <class Condition>
bool comes_true(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + kTestLimit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

// A VM's network card without a VM, with an event loop and thread of its own.
class TestMember final : public NetClient {
public:
    TestMember(const std::string& network, uint8_t number, NetOffloads taken = {})
        : mac_(test_mac(number)), loop_(EventLoop::create().value()) {
        auto port = SwitchPort::create(
            *loop_, {.socket = TestNetworks::paths(network).port,
                     .hello = {.name = "vm-" + std::to_string(number), .mac = mac_}});
        EXPECT_TRUE(port) << port.error().text();
        port_ = std::move(*port);
        port_->set_client_offloads(taken);
        EXPECT_TRUE(port_->start(*this));
        thread_ = std::thread([this] { loop_->run(); });
    }
    ~TestMember() {
        port_->stop();
        loop_->stop();
        thread_.join();
    }

    size_t on_frames(std::span<const NetFrame> frames) override {
        const std::lock_guard lock(mutex_);
        size_t count = 0;
        for (; count < frames.size() && room_ > 0; ++count, --room_) {
            frames_.push_back(whole(frames[count]));
            infos_.push_back(frames[count].info);
        }
        changed_.notify_all();
        return count;
    }
    void on_send_room() override {
        const std::lock_guard lock(mutex_);
        has_send_room_ = true;
        changed_.notify_all();
    }
    void on_link_changed(bool up) override {
        const std::lock_guard lock(mutex_);
        link_changes_.push_back(up);
        changed_.notify_all();
    }

    // Waits for room as a device does.
    void send(const FrameBytes& frame, NetFrameInfo info = {}) {
        const WholeFrame whole_frame(frame, info);
        const NetFrame one = whole_frame.get();
        for (;;) {
            {
                const std::lock_guard lock(mutex_);
                has_send_room_ = false;
            }
            if (port_->send(std::span(&one, 1)) == 1) return;
            ASSERT_TRUE(wait([this] { return has_send_room_; })) << "no room to send";
        }
    }
    void send_to(const TestMember& other, size_t payload = 46) {
        send(ethernet_frame(other.mac_, mac_, 0x88B5, counting_bytes(payload)));
    }
    void broadcast() { send(ethernet_frame(kBroadcastMac, mac_, 0x88B5, counting_bytes(46))); }

    // False: it takes too long.
    bool has_frames(size_t count) {
        return wait([&] { return frames_.size() >= count; });
    }
    bool has_link(bool up) {
        return wait([&] { return !link_changes_.empty() && link_changes_.back() == up; });
    }
    std::vector<FrameBytes> take_frames() {
        const std::lock_guard lock(mutex_);
        infos_.clear();
        return std::exchange(frames_, {});
    }
    std::vector<NetFrameInfo> infos() {
        const std::lock_guard lock(mutex_);
        return infos_;
    }
    void set_room(size_t frames) {
        {
            const std::lock_guard lock(mutex_);
            room_ = frames;
        }
        port_->receive_room_available();
    }
    // Frames of that source.
    size_t count_from(const MacAddress& source) {
        const std::lock_guard lock(mutex_);
        return static_cast<size_t>(
            std::count_if(frames_.begin(), frames_.end(), [&](const FrameBytes& frame) {
                return header_at<EthernetHeader>(frame, 0)->source == source;
            }));
    }
    const MacAddress& mac() const { return mac_; }
    SwitchPort& port() { return *port_; }

private:
    template <class Condition>
    bool wait(Condition condition) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, kTestLimit, condition);
    }

    const MacAddress mac_;
    std::unique_ptr<EventLoop> loop_;
    std::unique_ptr<SwitchPort> port_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<FrameBytes> frames_;
    std::vector<NetFrameInfo> infos_;
    std::vector<bool> link_changes_;
    size_t room_ = SIZE_MAX;
    bool has_send_room_ = false;
    std::thread thread_;
};

}  // namespace banyan
