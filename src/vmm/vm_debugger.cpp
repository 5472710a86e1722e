#include "vmm/vm_debugger.hpp"

#include <algorithm>

#include "support/log.hpp"

namespace banyan {

namespace {

// Calls `move(gpa, offset, size)` for each part of the range that lies in one page, until it gives
// false or a page is not mapped. How many bytes were moved.
template <class Move>
size_t for_each_page(const Vcpu& vcpu, uint64_t address, size_t size, Move move) {
    size_t done = 0;
    while (done < size) {
        const uint64_t at = address + done;
        const size_t count = std::min<size_t>(size - done, kPageSize - at % kPageSize);
        const auto gpa = vcpu.translate(at);
        if (!gpa || !move(*gpa, done, count)) break;
        done += count;
    }
    return done;
}

}  // namespace

Result<std::unique_ptr<VmDebugger>> VmDebugger::create(Poller& poller, const Wiring& wiring) {
    auto debugger = std::unique_ptr<VmDebugger>(new VmDebugger(wiring));
    TRY_ASSIGN(stopped, Notifier::create(poller, [raw = debugger.get()] { raw->report(); }));
    debugger->stopped_ = std::move(stopped);
    return debugger;
}

VmDebugger::VmDebugger(const Wiring& wiring)
    : wiring_(wiring), breakpoints_(wiring.memory), motions_(cpu_count(), DebugMotion::run) {}

void VmDebugger::halt() {
    if (halted_) return;
    wiring_.vm.pause(PauseReason::debugger);
    halted_ = true;
}

void VmDebugger::attach(DebugClient& client) {
    halt();
    client_ = &client;
}

void VmDebugger::detach() {
    halt();
    client_ = nullptr;
    breakpoints_.lift_all();
    points_.clear();
    (void)take_stop();
    const std::vector<DebugMotion> all_run(cpu_count(), DebugMotion::run);
    resume(all_run);
}

void VmDebugger::resume(std::span<const DebugMotion> motions) {
    motions_.assign(motions.begin(), motions.end());
    if (has_missed_stop()) {
        stopped_->notify();
        return;
    }
    ask_vcpus();
    for (unsigned i = 0; i < cpu_count(); ++i)
        vcpus().keep_back(i, motions_[i] == DebugMotion::stay);
    halted_ = false;
    wiring_.vm.resume(PauseReason::debugger);
}

// What each vCPU is to leave the guest for.
void VmDebugger::ask_vcpus() {
    DebugRequest request{.breakpoints = breakpoints_.addresses(), .points = points_};
    for (unsigned i = 0; i < cpu_count(); ++i) {
        request.single_step = motions_[i] == DebugMotion::step;
        if (const auto asked = vcpus().vcpu(i).set_debug(request); !asked)
            LOG_ERROR("gdb", "%s", std::string(asked.error().text()).c_str());
    }
}

void VmDebugger::interrupt() {
    halt();
    client_->on_stopped(take_stop().value_or(VcpuStop{}));
}

void VmDebugger::on_vcpu_stop(unsigned index, const DebugStop& why) {
    {
        const std::lock_guard lock(mutex_);
        stops_.push_back({index, why});
    }
    vcpus().hold();
    stopped_->notify();
}

// The first stop. Of others that came with it, those are kept that will not come again.
std::optional<VcpuStop> VmDebugger::take_stop() {
    const std::lock_guard lock(mutex_);
    if (stops_.empty()) return std::nullopt;
    const VcpuStop first = stops_.front();
    stops_.erase(stops_.begin());
    std::erase_if(stops_, [](const VcpuStop& stop) {
        return stop.why->before_instruction() || stop.why->event == DebugEvent::step;
    });
    return first;
}

// Of what is not watched any more nobody wants to know.
bool VmDebugger::has_missed_stop() {
    const std::lock_guard lock(mutex_);
    std::erase_if(stops_, [this](const VcpuStop& stop) {
        return std::find(points_.begin(), points_.end(), stop.why->point) == points_.end();
    });
    return !stops_.empty();
}

// What was told of by interrupt() is told once.
void VmDebugger::report() {
    if (client_ == nullptr) return;
    const auto stop = take_stop();
    if (!stop) return;
    halt();
    client_->on_stopped(*stop);
}

void VmDebugger::get_registers(unsigned vcpu, x86::RegisterState& state) const {
    vcpus().vcpu(vcpu).get_state(state);
}

Result<void> VmDebugger::set_registers(unsigned vcpu, const x86::RegisterState& state) {
    return vcpus().vcpu(vcpu).set_state(state);
}

size_t VmDebugger::read_memory(unsigned vcpu, uint64_t address, std::span<std::byte> to) const {
    return for_each_page(vcpus().vcpu(vcpu), address, to.size(),
                         [&](Gpa gpa, size_t offset, size_t size) {
                             return breakpoints_.read(gpa, to.subspan(offset, size));
                         });
}

size_t VmDebugger::write_memory(unsigned vcpu, uint64_t address, std::span<const std::byte> from) {
    return for_each_page(vcpus().vcpu(vcpu), address, from.size(),
                         [&](Gpa gpa, size_t offset, size_t size) {
                             return breakpoints_.write(gpa, from.subspan(offset, size));
                         });
}

Result<void> VmDebugger::plant(unsigned vcpu, uint64_t address) {
    const auto gpa = vcpus().vcpu(vcpu).translate(address);
    if (!gpa) return fail(ErrorCode::not_found, "the breakpoint is not mapped; use hbreak");
    return breakpoints_.plant(address, *gpa);
}

Result<void> VmDebugger::watch(const DebugPoint& point) {
    if (std::find(points_.begin(), points_.end(), point) != points_.end()) return {};
    if (points_.size() == DebugRequest::kMaxPoints)
        return fail(ErrorCode::busy, "all hardware points are in use; delete one");
    points_.push_back(point);
    return {};
}

void VmDebugger::unwatch(const DebugPoint& point) {
    std::erase(points_, point);
}

void VmDebugger::reset() {
    wiring_.lifecycle.request(MachineEvent::reset, 0);
}

void VmDebugger::forget_memory() {
    breakpoints_.lift_all();
    {
        const std::lock_guard lock(mutex_);
        stops_.clear();
    }
    ask_vcpus();
}

}  // namespace banyan
