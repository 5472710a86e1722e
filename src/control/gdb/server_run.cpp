// Going on, threads, breakpoints, and the end: GDB manual, appendix E.2 "Packets".
#include <algorithm>

#include "control/gdb/server.hpp"

namespace banyan::gdb {

namespace {

constexpr uint64_t kAnyThread = 0;

// A thread as H, T and vCont name it: a number, or -1 for all, which is nothing here.
struct NamedThreads {
    bool all = false;
    uint64_t one = kAnyThread;
};

std::optional<NamedThreads> read_thread(Words& words) {
    if (words.skip("-1")) return NamedThreads{.all = true};
    const auto number = words.number();
    if (!number) return std::nullopt;
    return NamedThreads{.one = *number};
}

// Signals have no meaning for a machine: C and S do as c and s.
std::optional<DebugMotion> motion_of(std::string_view action) {
    if (action.empty()) return std::nullopt;
    switch (action.front()) {
        case 'c':
        case 'C': return DebugMotion::run;
        case 's':
        case 'S': return DebugMotion::step;
        default: return std::nullopt;
    }
}

enum PointType : uint64_t { software = 0, hardware = 1, on_write = 2, on_access = 4 };

bool can_be_watched(const DebugPoint& point, uint64_t length) {
    const bool right_size = length == 1 || length == 2 || length == 4 || length == 8;
    return right_size && point.address % length == 0;
}

}  // namespace

std::optional<unsigned> GdbServer::vcpu_of(uint64_t thread) const {
    if (thread == kAnyThread || thread > vm_.cpu_count()) return std::nullopt;
    return static_cast<unsigned>(thread - 1);
}

// An address to go on from is not taken: GDB sets RIP instead.
GdbServer::Reply GdbServer::go_on(DebugMotion current, DebugMotion others) {
    std::vector<DebugMotion> motions(vm_.cpu_count(), others);
    motions[run_vcpu_] = current;
    return resume(motions);
}

GdbServer::Reply GdbServer::resume(std::span<const DebugMotion> motions) {
    phase_ = Phase::running;
    vm_.resume(motions);
    return std::nullopt;
}

// `ACTION[:THREAD];...`: for each thread the first that names it counts; one that none names stays.
GdbServer::Reply GdbServer::resume_each(Words words) {
    std::vector<std::optional<DebugMotion>> wanted(vm_.cpu_count());
    while (!words.at_end()) {
        Words action(words.until(';'));
        const auto motion = motion_of(action.until(':'));
        const auto threads = action.at_end() ? NamedThreads{.all = true} : read_thread(action);
        if (!motion || !threads) return reply(kBadPacket);
        for (unsigned i = 0; i < wanted.size(); ++i) {
            const bool named = threads->all || threads->one == i + 1;
            if (named && !wanted[i]) wanted[i] = motion;
        }
    }
    std::vector<DebugMotion> motions;
    for (const auto& motion : wanted)
        motions.push_back(motion.value_or(DebugMotion::stay));
    return resume(motions);
}

GdbServer::Reply GdbServer::resume_or_kill(Words words) {
    if (words.skip("Cont?")) return reply("vCont;c;C;s;S");
    if (words.skip("Cont;")) return resume_each(words);
    return words.skip("Kill") ? kill() : reply(kUnsupported);
}

GdbServer::Reply GdbServer::detach() {
    phase_ = Phase::away;
    vm_.detach();
    send(kOk);
    return std::nullopt;
}

GdbServer::Reply GdbServer::kill() {
    vm_.end("the debugger killed it");
    return reply(kOk);
}

GdbServer::Reply GdbServer::choose_thread(Words words) {
    const bool for_running = words.skip("c");
    if (!for_running && !words.skip("g")) return reply(kUnsupported);
    const auto threads = read_thread(words);
    if (!threads) return reply(kBadPacket);
    if (threads->all || threads->one == kAnyThread) return reply(kOk);
    const auto vcpu = vcpu_of(threads->one);
    if (!vcpu) return reply(kBadPacket);
    (for_running ? run_vcpu_ : vcpu_) = *vcpu;
    return reply(kOk);
}

GdbServer::Reply GdbServer::is_alive(Words words) const {
    const auto thread = words.number();
    return reply(thread && vcpu_of(*thread) ? kOk : kBadPacket);
}

// `TYPE,ADDRESS,KIND`, where a watchpoint's kind is its length. Processors watch no reads alone:
// GDB then asks for accesses.
GdbServer::Reply GdbServer::change_point(Words words, bool set) {
    const auto type = words.number();
    if (!type || !words.skip(",")) return reply(kBadPacket);
    const auto address = words.number();
    if (!address || !words.skip(",")) return reply(kBadPacket);
    const auto length = words.number();
    if (!length) return reply(kBadPacket);
    switch (*type) {
        case PointType::software:
            if (!set) vm_.lift(*address);
            return reply(!set || vm_.plant(vcpu_, *address) ? kOk : kBadAddress);
        case PointType::hardware:
            return change_hardware_point({DebugAccess::execute, *address, 1}, set);
        case PointType::on_write:
        case PointType::on_access: break;
        default: return reply(kUnsupported);
    }
    DebugPoint point{*type == PointType::on_write ? DebugAccess::write : DebugAccess::access,
                     *address};
    if (!can_be_watched(point, *length)) return reply(kBadPacket);
    point.length = static_cast<uint8_t>(*length);
    return change_hardware_point(point, set);
}

GdbServer::Reply GdbServer::change_hardware_point(const DebugPoint& point, bool set) {
    if (!set) vm_.unwatch(point);
    return reply(!set || vm_.watch(point) ? kOk : kNoPointLeft);
}

}  // namespace banyan::gdb
