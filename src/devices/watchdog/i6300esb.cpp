#include "devices/watchdog/i6300esb.hpp"

#include <algorithm>
#include <cstring>

#include "devices/watchdog/i6300esb_state.hpp"
#include "snapshot/state.hpp"
#include "support/log.hpp"

namespace banyan {

using namespace esb;

namespace {

constexpr PciIdentity kWatchdogIdentity{.vendor = 0x8086,
                                        .device = 0x25AB,
                                        .subsystem_vendor = 0x1AF4,
                                        .subsystem = 0x1100,
                                        .class_code = 0x088000};
constexpr unsigned kWatchdogBar = 0;
// A stage that is to last less lasts so long: it would only keep the host busy.
constexpr uint64_t kMinStageNs = 100'000;

}  // namespace

I6300Esb::I6300Esb(MachineEvent action, const Wiring& wiring)
    : PciFunction(kWatchdogIdentity, {wiring.mapper}),
      action_(action),
      clock_(wiring.clock),
      machine_(wiring.machine),
      timer_(wiring.timers.create_timer(*this, 0)) {
    declare_memory_bar(kWatchdogBar, PciBarKind::memory32, kMmioSize, *this);
    declare_register(kConfiguration, 0, 2, Configuration::kWritable);
    declare_register(esb::kLock, 0, 1, Lock::kWritable);
    reset_config();
}

void I6300Esb::reset() {
    const bool timed_out = state_.timed_out;
    stop();
    state_ = {};
    state_.timed_out = timed_out;
    reset_config();
}

Configuration I6300Esb::configuration() const {
    Configuration value;
    std::memcpy(&value.raw, config().data() + kConfiguration, sizeof(value.raw));
    return value;
}

IoStatus I6300Esb::mmio_read(uint64_t offset, unsigned size, uint64_t& value) {
    if (size > 4) return IoStatus::bad_size;
    switch (offset) {
        case PRELOAD1: value = state_.preload[0]; return IoStatus::ok;
        case PRELOAD2: value = state_.preload[1]; return IoStatus::ok;
        case INTERRUPT_STATUS: value = state_.interrupt ? kInterrupt : 0; return IoStatus::ok;
        case RELOAD: value = state_.timed_out ? kTimedOut : 0; return IoStatus::ok;
        default: return IoStatus::no_register;
    }
}

// "Register unlocking sequence": 80h and 86h to the reload register let one write to a preload or
// the reload register through.
IoStatus I6300Esb::mmio_write(uint64_t offset, unsigned size, uint64_t value) {
    if (size > 4) return IoStatus::bad_size;
    const auto word = static_cast<uint32_t>(value);
    if (offset == INTERRUPT_STATUS) {
        if ((word & kInterrupt) != 0) state_.interrupt = false;
        return IoStatus::ok;
    }
    if (offset == RELOAD && word == kUnlock1) {
        state_.unlock = Unlock::half;
        return IoStatus::ok;
    }
    if (offset == RELOAD && word == kUnlock2 && state_.unlock == Unlock::half) {
        state_.unlock = Unlock::open;
        return IoStatus::ok;
    }
    const bool open = state_.unlock == Unlock::open;
    state_.unlock = Unlock::locked;
    switch (offset) {
        case PRELOAD1:
        case PRELOAD2:
            if (open) state_.preload[offset == PRELOAD1 ? 0 : 1] = word & kPreloadMask;
            return IoStatus::ok;
        case RELOAD:
            if (open) write_reload(word);
            return IoStatus::ok;
        default: return IoStatus::no_register;
    }
}

void I6300Esb::write_reload(uint32_t value) {
    if ((value & kTimedOut) != 0) state_.timed_out = false;
    if ((value & kReloadNow) != 0 && state_.lock.get<Lock::Enable>()) start_stage(1);
}

// A locked register takes no writes until the next reset.
void I6300Esb::on_config_written(uint16_t offset, unsigned size) {
    if (offset > esb::kLock || offset + size <= esb::kLock) return;
    const Lock before = state_.lock;
    const Lock now{config()[esb::kLock]};
    if (before.get<Lock::Locked>()) return set_config_bytes(esb::kLock, {&before.raw, 1});
    state_.lock = now;
    if (now.get<Lock::Enable>() == before.get<Lock::Enable>()) return;
    if (now.get<Lock::Enable>()) {
        start_stage(1);
    } else {
        stop();
    }
}

void I6300Esb::start_stage(uint8_t stage) {
    const unsigned shift =
        configuration().get<Configuration::MegaHertz>() ? kMegaHertzShift : kKiloHertzShift;
    const uint64_t periods = uint64_t{state_.preload[stage - 1U]} << shift;
    state_.stage = stage;
    state_.deadline = clock_.now_ns() + std::max(periods * kPciClockNs, kMinStageNs);
    timer_->arm(state_.deadline);
}

void I6300Esb::stop() {
    state_.stage = 0;
    state_.deadline = 0;
    timer_->cancel();
}

void I6300Esb::on_timer(unsigned /*cookie*/) {
    if (state_.stage == 0) return;
    if (clock_.now_ns() < state_.deadline) return timer_->arm(state_.deadline);
    if (state_.stage == 1) {
        state_.interrupt = configuration().get<Configuration::InterruptType>() == 0;
        return start_stage(2);
    }
    time_out();
}

void I6300Esb::time_out() {
    stop();
    if (!configuration().get<Configuration::OutputDisabled>()) {
        state_.timed_out = true;
        LOG_LIMITED(LogLevel::warning, "watchdog",
                    "the guest did not tell the watchdog in time that all is well: it is %s",
                    action_ == MachineEvent::reset ? "reset" : "powered off");
        machine_.watchdog_expired(action_);
    }
    if (state_.lock.get<Lock::FreeRunning>()) start_stage(1);
}

void I6300Esb::save(StateWriter& writer) const {
    const uint64_t now = clock_.now_ns();
    save_config(writer);
    writer.section(I6300EsbStateV1{.lock = state_.lock.raw,
                                   .preload = state_.preload,
                                   .interrupt = state_.interrupt,
                                   .timed_out = state_.timed_out,
                                   .unlock = static_cast<uint8_t>(state_.unlock),
                                   .stage = state_.stage,
                                   .left = state_.deadline > now ? state_.deadline - now : 0});
}

Result<void> I6300Esb::restore(StateReader& reader) {
    reset();
    state_.timed_out = false;
    auto result = apply(reader);
    if (!result) reset();
    return result;
}

Result<void> I6300Esb::apply(StateReader& reader) {
    constexpr uint64_t kLongest = (uint64_t{kPreloadMask} << kKiloHertzShift) * kPciClockNs;
    TRY(restore_config(reader));
    TRY_ASSIGN(saved, reader.section<I6300EsbStateV1>());
    const bool possible = (saved.lock & ~Lock::kWritable) == 0 &&
                          saved.preload[0] <= kPreloadMask && saved.preload[1] <= kPreloadMask &&
                          saved.unlock <= static_cast<uint8_t>(Unlock::open) && saved.stage <= 2 &&
                          saved.left <= kLongest && (saved.stage != 0 || saved.left == 0);
    if (!possible)
        return fail(ErrorCode::invalid_data,
                    "load saved state: a register of 'i6300esb' is impossible");
    state_ = {.lock = {saved.lock},
              .preload = saved.preload,
              .interrupt = saved.interrupt,
              .timed_out = saved.timed_out,
              .unlock = static_cast<Unlock>(saved.unlock),
              .stage = saved.stage,
              .deadline = 0};
    set_config_bytes(esb::kLock, {&saved.lock, 1});
    if (saved.stage == 0) return {};
    state_.deadline = clock_.now_ns() + saved.left;
    timer_->arm(state_.deadline);
    return {};
}

}  // namespace banyan
