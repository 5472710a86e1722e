#include "lockstep/machine.hpp"

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "lockstep/watchdog.hpp"

namespace banyan::lockstep {

namespace {

template <class T>
T must(Result<T> result) {
    if (!result) {
        std::fprintf(stderr, "lockstep: %s\n", std::string(result.error().text()).c_str());
        std::abort();
    }
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace

void InterruptQueue::request(uint8_t vector) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(vector);
    count_ = waiting_.size();
}

std::optional<uint8_t> InterruptQueue::acknowledge_interrupt() {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) return std::nullopt;
    const uint8_t vector = waiting_.front();
    waiting_.pop_front();
    count_ = waiting_.size();
    return vector;
}

// Another thread that kicks the vCPU and interrupts it.
class Machine::Disturber {
public:
    Disturber(Machine& machine, Random random)
        : thread_([this, &machine, random] { disturb(machine, random); }) {}
    ~Disturber() {
        stop_ = true;
        thread_.join();
    }

private:
    void disturb(Machine& machine, Random random) {
        while (!stop_) {
            std::this_thread::sleep_for(std::chrono::microseconds(random.below(120)));
            if (random.chance(60)) {
                machine.vcpu_->kick();
            } else if (!machine.interrupts_.interrupt_pending()) {
                machine.interrupt(kRandomTimeVector);
            }
        }
    }

    std::atomic<bool> stop_{false};
    std::thread thread_;
};

Machine::Machine(const EngineEntry& engine, const Program& program, std::string_view cpu_model)
    : storage_(kRamSize + kPage) {
    void* start = storage_.data();
    size_t space = storage_.size();
    ram_ = {static_cast<std::byte*>(std::align(kPage, kRamSize, start, space)), kRamSize};
    std::memcpy(ram_.data(), program.image.bytes().data(), kRamSize);
    must(memory_.add_region(Gpa{0}, ram_, MemoryKind::ram));
    const EngineConfig config{.memory = &memory_, .clock = &clock_, .cpu_count = 1};
    engine_ = must(engine.create(config, cpu_model));
    vcpu_ =
        must(engine_->create_vcpu(VcpuWiring{.index = 0, .io = this, .interrupts = &interrupts_}));
    must(vcpu_->set_state(program.state));
}

Machine::~Machine() = default;

void Machine::note(const PortAccess& access) {
    if (ports_.size() < kMaxPortAccesses) ports_.push_back(access);
}

uint32_t Machine::port_read(uint16_t port, unsigned size) {
    const uint32_t value = (port + ++reads_) * 0x01030507;
    note({false, port, size, value});
    return value;
}

void Machine::port_write(uint16_t port, unsigned size, uint32_t value) {
    note({true, port, size, value});
    if (port == kInterruptPort) interrupt(static_cast<uint8_t>(kPortVector + value % kPortVectors));
}

void Machine::interrupt(uint8_t vector) {
    interrupts_.request(vector);
    vcpu_->signals().raise_interrupt();
}

void Machine::wake() {
    interrupt(kWakeVector);
}

Stop Machine::stop_of(const Exit& exit, bool out_of_time) const {
    Stop stop;
    stop.text = std::string(exit.text);
    vcpu_->get_state(stop.state);
    switch (exit.reason) {
        case ExitReason::halted:
            stop.kind = (stop.state.rflags & x86::kIf) != 0 ? StopKind::checkpoint : StopKind::end;
            break;
        case ExitReason::shutdown: stop.kind = StopKind::shutdown; break;
        case ExitReason::debug:  // nobody has asked for it
        case ExitReason::internal_error: stop.kind = StopKind::internal_error; break;
        case ExitReason::interrupted: break;
    }
    if (out_of_time) stop.kind = StopKind::out_of_time;
    return stop;
}

Stop Machine::run(std::chrono::milliseconds time) {
    Watchdog watchdog(*vcpu_, time);
    for (;;) {
        const Exit exit = vcpu_->run();
        const bool interrupted = exit.reason == ExitReason::interrupted;
        if (!interrupted || watchdog.expired()) return stop_of(exit, interrupted);
    }
}

void Machine::write_state_back() {
    x86::RegisterState state;
    vcpu_->get_state(state);
    must(vcpu_->set_state(state));
}

Stop Machine::run_disturbed(std::chrono::milliseconds time, Random random) {
    Watchdog watchdog(*vcpu_, time);
    Disturber disturber(*this, Random(random.bits(), 0));
    for (;;) {
        const Exit exit = vcpu_->run();
        if (watchdog.expired()) return stop_of(exit, true);
        if (exit.reason == ExitReason::interrupted) {
            if (random.chance(30)) write_state_back();
            continue;
        }
        Stop stop = stop_of(exit, false);
        if (stop.kind != StopKind::checkpoint) return stop;
        if (!interrupts_.interrupt_pending()) wake();
    }
}

}  // namespace banyan::lockstep
