// GdbServer: one VM for one GDB at a time: GDB manual, appendix E "Remote Serial Protocol".
//
// All-stop: while one vCPU is looked at, all stand still. A vCPU is a thread, numbered from 1. The
// bytes of a connection come in by received() and go out by GdbOutput; all on the event loop's
// thread.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/gdb/packet.hpp"
#include "control/gdb/words.hpp"
#include "vmm/vm_api.hpp"

namespace banyan::gdb {

class GdbOutput {
public:
    virtual void send(std::string_view bytes) = 0;

protected:
    ~GdbOutput() = default;
};

class GdbServer final : private DebugClient {
public:
    // Both outlive this.
    GdbServer(VmDebug& vm, GdbOutput& output) : vm_(vm), output_(output) {}
    GdbServer(const GdbServer&) = delete;
    GdbServer& operator=(const GdbServer&) = delete;

    // A connection has begun: the guest stops.
    void connected();
    void received(std::string_view bytes);
    // It has ended, in whatever way: the guest goes on.
    void disconnected();
    // The VM's run is over, and the client is told.
    void ended(int exit_status);

private:
    enum class Phase : uint8_t {
        away,     // nobody is attached
        stopped,  // the guest is
        running,
    };
    // Nothing: there is none now. Empty: "not supported".
    using Reply = std::optional<std::string>;

    // --- server.cpp: the conversation
    void on_stopped(const VcpuStop& stop) override;
    void take(const PacketReader::Event& event);
    void interrupt();
    void send(std::string_view payload);
    Reply answer(std::string_view packet);
    Reply stop_reason() const;
    std::string point_reason(const DebugPoint& point) const;
    void forget_client();

    // --- server_run.cpp: going on, and the end
    Reply go_on(DebugMotion current, DebugMotion others);
    Reply resume(std::span<const DebugMotion> motions);
    Reply resume_each(Words words);
    Reply resume_or_kill(Words words);
    Reply detach();
    Reply kill();
    Reply choose_thread(Words words);
    Reply is_alive(Words words) const;
    Reply change_point(Words words, bool set);
    Reply change_hardware_point(const DebugPoint& point, bool set);

    // --- server_data.cpp: registers and memory
    Reply read_all_registers() const;
    Reply write_all_registers(std::string_view hex);
    Reply read_one_register(Words words) const;
    Reply write_one_register(Words words);
    Reply read_memory(Words words) const;
    Reply write_memory_hex(Words words);
    Reply write_memory_binary(Words words);
    Reply write_memory(uint64_t address, std::span<const std::byte> bytes);

    // --- server_query.cpp: q and Q packets, and `monitor`
    Reply query(std::string_view packet);
    Reply tell_features(Words words);
    Reply read_description(Words words) const;
    Reply list_threads() const;
    Reply describe_thread(Words words) const;
    Reply monitor(Words words);
    std::string run_monitor(std::string_view command);
    std::string registers_text() const;

    std::optional<unsigned> vcpu_of(uint64_t thread) const;

    VmDebug& vm_;
    GdbOutput& output_;

    // --- of the connection
    Phase phase_ = Phase::away;
    PacketReader reader_;
    std::string last_sent_;  // for one who did not understand it
    bool acknowledging_ = true;
    bool knows_software_breaks_ = false;
    bool knows_hardware_breaks_ = false;
    unsigned vcpu_ = 0;      // that registers and memory are asked of
    unsigned run_vcpu_ = 0;  // that the old packets s and c are for
    VcpuStop stop_;          // the last one
};

// For all parts.
inline constexpr std::string_view kOk = "OK";
inline constexpr std::string_view kUnsupported = "";
inline constexpr std::string_view kBadPacket = "E16";    // EINVAL, as GDB writes it
inline constexpr std::string_view kBadAddress = "E0e";   // EFAULT
inline constexpr std::string_view kRefused = "E01";      // EPERM
inline constexpr std::string_view kNoPointLeft = "E1c";  // ENOSPC

inline std::optional<std::string> reply(std::string_view text) {
    return std::string(text);
}

}  // namespace banyan::gdb
