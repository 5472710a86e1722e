// A VM without a machine: for tests and fuzzing of what debugs one.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "vmm/vm_api.hpp"

namespace banyan::gdb {

// Two vCPUs with a page of memory at kMemory, and a log of what was asked.
class FakeVm final : public VmDebug {
public:
    static constexpr uint64_t kMemory = 0x1000;
    static constexpr size_t kSize = 0x1000;

    unsigned cpu_count() const override { return static_cast<unsigned>(states.size()); }
    void stop_at_start() override { log.emplace_back("stop at start"); }
    void attach(DebugClient& by) override {
        client = &by;
        log.emplace_back("attach");
    }
    void detach() override {
        client = nullptr;
        log.emplace_back("detach");
    }
    void resume(std::span<const DebugMotion> asked) override {
        motions.assign(asked.begin(), asked.end());
        log.emplace_back("resume");
    }
    void interrupt() override {
        log.emplace_back("interrupt");
        client->on_stopped({});
    }
    void get_registers(unsigned vcpu, x86::RegisterState& state) const override {
        state = states[vcpu];
    }
    Result<void> set_registers(unsigned vcpu, const x86::RegisterState& state) override {
        states[vcpu] = state;
        return {};
    }
    size_t read_memory(unsigned, uint64_t address, std::span<std::byte> to) const override {
        const size_t count = present(address, to.size());
        if (count != 0) std::memcpy(to.data(), memory.data() + (address - kMemory), count);
        return count;
    }
    size_t write_memory(unsigned, uint64_t address, std::span<const std::byte> from) override {
        const size_t count = present(address, from.size());
        if (count != 0) std::memcpy(memory.data() + (address - kMemory), from.data(), count);
        return count;
    }
    Result<void> plant(unsigned, uint64_t address) override {
        if (present(address, 1) == 0) return fail(ErrorCode::not_found, "not mapped");
        planted.push_back(address);
        return {};
    }
    void lift(uint64_t address) override { std::erase(planted, address); }
    Result<void> watch(const DebugPoint& point) override {
        if (points.size() == DebugRequest::kMaxPoints) return fail(ErrorCode::busy, "all in use");
        points.push_back(point);
        return {};
    }
    void unwatch(const DebugPoint& point) override { std::erase(points, point); }
    void reset() override { log.emplace_back("reset"); }
    void end(std::string_view why) override { log.push_back("end: " + std::string(why)); }

    std::vector<std::string> log;
    std::vector<x86::RegisterState> states = std::vector<x86::RegisterState>(2);
    std::vector<std::byte> memory = std::vector<std::byte>(kSize);
    std::vector<uint64_t> planted;
    std::vector<DebugPoint> points;
    std::vector<DebugMotion> motions;
    DebugClient* client = nullptr;

private:
    static size_t present(uint64_t address, size_t size) {
        if (address < kMemory || address - kMemory >= kSize) return 0;
        return std::min<size_t>(size, kSize - (address - kMemory));
    }
};

}  // namespace banyan::gdb
