// A VM that only notes what is asked of it: for tests and fuzzing of what controls one.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "vmm/vm_api.hpp"

namespace banyan {

class FakeVm : public VmApi {
public:
    const VmConfig& config() const override { return settings; }
    std::array<uint8_t, 16> uuid() const override { return {0x12, 0x34, 0x56}; }
    std::string_view engine_reason() const override { return {}; }
    std::string_view engine_name() const override { return "soft"; }
    std::vector<Statistics> statistics() const override { return figures; }
    std::vector<Statistics> net_statistics() const override { return nets; }
    std::vector<int> vcpu_threads() const override { return {101, 102}; }
    std::vector<DiskFacts> disks() const override { return drives; }
    std::string_view console_place() const override { return {}; }
    VmOutcome run() override { return {}; }
    void stop(std::string_view why, VmCause) override { log += "stop: " + std::string(why) + ";"; }
    void pause(PauseReason) override {
        now = VmState::paused;
        log += "pause;";
        tell({.kind = VmEvent::Kind::paused});
    }
    void resume(PauseReason) override {
        now = VmState::running;
        log += "resume;";
        tell({.kind = VmEvent::Kind::resumed});
    }
    VmState state() const override { return now; }
    void press_power_button() override {
        log += "power;";
        tell({.kind = VmEvent::Kind::power_button});
    }
    void reset() override { log += "reset;"; }
    void retry_disk_writes() override { log += "retry;"; }
    void add_observer(VmObserver& observer) override { observers.push_back(&observer); }
    void remove_observer(VmObserver& observer) override { std::erase(observers, &observer); }
    DisplaySource* display() override { return nullptr; }
    InputSink* input() override { return nullptr; }
    Result<void> set_balloon_target(uint64_t bytes) override {
        log += "balloon " + std::to_string(bytes) + ";";
        return {};
    }
    std::optional<BalloonStatistics> balloon_statistics() override { return balloon; }
    Result<void> publish(const PublishedPort& port) override {
        log += "publish " + to_text(port) + ";";
        ports.push_back(port);
        return {};
    }
    Result<void> unpublish(const PublishedPort& port) override {
        if (std::erase(ports, port) == 0) return VmApi::unpublish(port);
        return {};
    }
    std::vector<PublishedPort> published() const override { return ports; }
    Result<void> capture_frames(size_t card, const std::string& socket) override {
        if (card != 0) return VmApi::capture_frames(card, socket);
        log += "capture " + socket + ";";
        return {};
    }
    Result<void> set_net_rate(size_t card, uint64_t bytes_per_second) override {
        if (card != 0) return VmApi::set_net_rate(card, bytes_per_second);
        log += "rate " + std::to_string(bytes_per_second) + ";";
        return {};
    }
    Result<std::string> add_disk(const std::string& id, const DiskFile& disk) override {
        log += "add_disk " + id + " " + disk.path + " " + disk.serial + ";";
        if (disk.path == "/none") return fail(ErrorCode::not_found, "open /none: it is not there");
        there.push_back({.id = id,
                         .kind = DeviceFacts::Kind::disk,
                         .state = DeviceFacts::State::added,
                         .what = disk.path});
        return id;
    }
    Result<std::string> add_net(const std::string& id, const NetChoice& net) override {
        log += "add_net " + id + " " + net.name + ";";
        there.push_back({.id = id,
                         .kind = DeviceFacts::Kind::net,
                         .state = DeviceFacts::State::added,
                         .what = "nat"});
        return id;
    }
    Result<void> remove_device(const std::string& id) override {
        log += "remove " + id + ";";
        return {};
    }
    std::vector<DeviceFacts> devices() const override { return there; }
    Result<void> resize_disk(const std::string& name, uint64_t bytes) override {
        log += "resize " + name + " " + std::to_string(bytes) + ";";
        return {};
    }
    VmDebug& debug() override { std::abort(); }

    void tell(const VmEvent& event) const {
        for (VmObserver* observer : observers)
            observer->on_vm_event(event);
    }

    VmConfig settings;
    std::vector<Statistics> figures;
    std::vector<Statistics> nets;
    std::vector<DiskFacts> drives;
    std::vector<PublishedPort> ports;
    std::vector<DeviceFacts> there;
    std::optional<BalloonStatistics> balloon;
    std::vector<VmObserver*> observers;
    VmState now = VmState::running;
    std::string log;
};

}  // namespace banyan
