// The conversation: what comes, what goes, and why the guest has stopped.
#include "control/gdb/server.hpp"

#include <fmt/format.h>

namespace banyan::gdb {

namespace {

// GDB's numbers of signals: GDB manual, appendix E.2, include/gdb/signals.def.
constexpr unsigned kSigint = 2;
constexpr unsigned kSigtrap = 5;

unsigned thread_of(unsigned vcpu) {
    return vcpu + 1;
}

}  // namespace

void GdbServer::connected() {
    forget_client();
    stop_ = {};
    phase_ = Phase::stopped;
    vm_.attach(*this);
}

void GdbServer::disconnected() {
    if (phase_ == Phase::away) return;
    phase_ = Phase::away;
    vm_.detach();
}

void GdbServer::forget_client() {
    reader_ = {};
    last_sent_.clear();
    acknowledging_ = true;
    knows_software_breaks_ = knows_hardware_breaks_ = false;
    vcpu_ = run_vcpu_ = 0;
}

void GdbServer::ended(int exit_status) {
    if (phase_ == Phase::away) return;
    phase_ = Phase::away;
    send(fmt::format("W{:02x}", exit_status & 0xFF));
}

// After the end of a conversation within `bytes` nothing is taken any more.
void GdbServer::received(std::string_view bytes) {
    for (const char byte : bytes) {
        if (phase_ == Phase::away) return;
        if (const auto event = reader_.take(byte)) take(*event);
    }
}

void GdbServer::take(const PacketReader::Event& event) {
    switch (event.kind) {
        case PacketReader::Kind::acknowledged: return;
        case PacketReader::Kind::interrupt: return interrupt();
        case PacketReader::Kind::not_acknowledged:
            if (acknowledging_ && !last_sent_.empty()) output_.send(last_sent_);
            return;
        case PacketReader::Kind::damaged:
            if (acknowledging_) output_.send("-");
            return;
        case PacketReader::Kind::packet: break;
    }
    if (acknowledging_) output_.send("+");
    // In all-stop mode nothing is asked while the guest runs.
    if (phase_ != Phase::stopped) return;
    if (const Reply said = answer(event.payload)) send(*said);
}

void GdbServer::interrupt() {
    if (phase_ == Phase::running) vm_.interrupt();
}

void GdbServer::send(std::string_view payload) {
    last_sent_ = frame(payload);
    output_.send(last_sent_);
}

GdbServer::Reply GdbServer::answer(std::string_view packet) {
    if (packet.empty()) return reply(kUnsupported);
    Words words(packet.substr(1));
    switch (packet.front()) {
        case '?': return stop_reason();
        case 'g': return read_all_registers();
        case 'G': return write_all_registers(words.rest());
        case 'p': return read_one_register(words);
        case 'P': return write_one_register(words);
        case 'm': return read_memory(words);
        case 'M': return write_memory_hex(words);
        case 'X': return write_memory_binary(words);
        case 'Z': return change_point(words, true);
        case 'z': return change_point(words, false);
        case 'H': return choose_thread(words);
        case 'T': return is_alive(words);
        case 'c':
        case 'C': return go_on(DebugMotion::run, DebugMotion::run);
        case 's':
        case 'S': return go_on(DebugMotion::step, DebugMotion::run);
        case 'v': return resume_or_kill(words);
        case 'D': return detach();
        case 'k': (void)kill(); return std::nullopt;
        case 'q':
        case 'Q': return query(packet);
        default: return reply(kUnsupported);
    }
}

void GdbServer::on_stopped(const VcpuStop& stop) {
    phase_ = Phase::stopped;
    stop_ = stop;
    // As one who interrupts sees the thread that was looked at last.
    if (!stop_.why) stop_.vcpu = vcpu_;
    vcpu_ = run_vcpu_ = stop_.vcpu;
    send(*stop_reason());
}

// GDB manual, appendix E.3 "Stop Reply Packets".
GdbServer::Reply GdbServer::stop_reason() const {
    const unsigned signal = stop_.why ? kSigtrap : kSigint;
    std::string text = fmt::format("T{:02x}thread:{:x};", signal, thread_of(stop_.vcpu));
    if (!stop_.why) return text;
    if (stop_.why->event == DebugEvent::breakpoint && knows_software_breaks_) text += "swbreak:;";
    if (stop_.why->event == DebugEvent::point) text += point_reason(stop_.why->point);
    return text;
}

std::string GdbServer::point_reason(const DebugPoint& point) const {
    switch (point.kind) {
        case DebugAccess::execute: return knows_hardware_breaks_ ? "hwbreak:;" : "";
        case DebugAccess::write: return fmt::format("watch:{:x};", point.address);
        case DebugAccess::access: return fmt::format("awatch:{:x};", point.address);
    }
    return "";
}

}  // namespace banyan::gdb
