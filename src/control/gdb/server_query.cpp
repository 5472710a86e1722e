// Questions about the target, and `monitor` commands: GDB manual, appendix E.4 "General Query
// Packets".
#include <algorithm>
#include <fmt/format.h>
#include <iterator>

#include "control/gdb/registers.hpp"
#include "control/gdb/server.hpp"
#include "control/gdb/target_description.hpp"

namespace banyan::gdb {

namespace {

constexpr std::string_view kMonitorHelp =
    "info registers  the numbers in the registers of the CPU that is looked at\n"
    "reset           reset the machine; it stays stopped\n"
    "quit            end the VM\n";

std::string_view activity_text(x86::Activity activity) {
    switch (activity) {
        case x86::Activity::running: return "running";
        case x86::Activity::halted: return "halted";
        case x86::Activity::wait_for_sipi: return "not started";
        case x86::Activity::shutdown: return "shut down";
    }
    return "";
}

// `m` and the part that was asked for, or `l` and the last part.
std::string part_of(std::string_view text, uint64_t offset, uint64_t length) {
    const size_t begin = std::min<uint64_t>(offset, text.size());
    // Escaping makes at most two of one.
    const size_t most = std::min<uint64_t>(length, (kPacketSize - 1) / 2);
    const std::string_view part = text.substr(begin, most);
    return (begin + part.size() < text.size() ? "m" : "l") + escape(part);
}

bool is_number(const Register& reg) {
    return reg.kind != RegisterKind::x87 && reg.kind != RegisterKind::xmm &&
           reg.kind != RegisterKind::ymm_high;
}

}  // namespace

GdbServer::Reply GdbServer::query(std::string_view packet) {
    Words words(packet);
    if (words.skip("qSupported")) return tell_features(words);
    if (words.skip("qXfer:features:read:")) return read_description(words);
    if (words.skip("qThreadExtraInfo,")) return describe_thread(words);
    if (words.skip("qRcmd,")) return monitor(words);
    if (packet == "qfThreadInfo") return list_threads();
    if (packet == "qsThreadInfo") return reply("l");
    if (packet == "qC") return fmt::format("QC{:x}", vcpu_ + 1);
    if (packet == "qAttached") return reply("1");  // GDB detaches when it quits
    if (packet != "QStartNoAckMode") return reply(kUnsupported);
    acknowledging_ = false;
    return reply(kOk);
}

GdbServer::Reply GdbServer::tell_features(Words words) {
    words.skip(":");
    while (!words.at_end()) {
        const std::string_view feature = words.until(';');
        knows_software_breaks_ |= feature == "swbreak+";
        knows_hardware_breaks_ |= feature == "hwbreak+";
    }
    return fmt::format(
        "PacketSize={:x};qXfer:features:read+;swbreak+;hwbreak+;vContSupported+;QStartNoAckMode+",
        kPacketSize);
}

// `ANNEX:OFFSET,LENGTH`.
GdbServer::Reply GdbServer::read_description(Words words) const {
    if (words.until(':') != "target.xml") return reply("E00");
    const auto offset = words.number();
    if (!offset || !words.skip(",")) return reply(kBadPacket);
    const auto length = words.number();
    if (!length) return reply(kBadPacket);
    return part_of(target_description(), *offset, *length);
}

GdbServer::Reply GdbServer::list_threads() const {
    std::string text = "m";
    for (unsigned i = 0; i < vm_.cpu_count(); ++i)
        text += fmt::format("{}{:x}", i == 0 ? "" : ",", i + 1);
    return text;
}

GdbServer::Reply GdbServer::describe_thread(Words words) const {
    const auto thread = words.number();
    const auto vcpu = thread ? vcpu_of(*thread) : std::nullopt;
    if (!vcpu) return reply(kBadPacket);
    x86::RegisterState state;
    vm_.get_registers(*vcpu, state);
    return to_hex(fmt::format("CPU {}, {}", *vcpu, activity_text(state.activity)));
}

GdbServer::Reply GdbServer::monitor(Words words) {
    const auto bytes = from_hex(words.rest());
    if (!bytes) return reply(kBadPacket);
    const std::string command(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    const std::string text = run_monitor(command);
    return text.empty() ? reply(kOk) : to_hex(text);
}

std::string GdbServer::run_monitor(std::string_view command) {
    if (command == "help") return std::string(kMonitorHelp);
    if (command == "info registers") return registers_text();
    if (command == "reset") {
        vm_.reset();
        return "the machine is being reset; its registers are new at the next stop\n";
    }
    if (command == "quit") {
        vm_.end("the debugger ended it");
        return "the VM ends\n";
    }
    return "there is no such command; monitor help shows those that there are\n";
}

std::string GdbServer::registers_text() const {
    x86::RegisterState state;
    vm_.get_registers(vcpu_, state);
    write_out_initial_state(state);
    std::string text;
    for (const Register& reg : registers()) {
        if (!is_number(reg)) continue;
        uint64_t number = 0;
        read_register(state, reg, std::as_writable_bytes(std::span(&number, 1)).first(reg.size));
        fmt::format_to(std::back_inserter(text), "{:<10}{:#x}\n", reg.name, number);
    }
    return text;
}

}  // namespace banyan::gdb
