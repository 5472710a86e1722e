#include "lockstep/boot/checker.hpp"

#include <Zydis/Zydis.h>
#include <algorithm>
#include <cstring>
#include <fmt/format.h>

#include "cpu/interp/code_cache.hpp"
#include "cpu/interp/code_coherence.hpp"
#include "lockstep/comparison.hpp"
#include "vmm/register_dump.hpp"

namespace banyan::lockstep {

using interp::Block;

namespace {

constexpr uint64_t kLongest = 10'000;  // instructions: what lasts longer is not compared

std::span<std::byte> all_ram(GuestMemory& memory) {
    const auto regions = memory.regions();
    std::byte* begin = regions.front().host;
    std::byte* end = begin;
    for (const MemoryRegion& region : regions) {
        begin = std::min(begin, region.host);
        end = std::max(end, region.host + region.size);
    }
    return {begin, end};
}

std::string hex(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte byte : bytes)
        text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
    return text;
}

// cpu.rip is not kept up to date inside a block.
uint64_t rip_of_fault(const interp::Cpu& cpu) {
    return cpu.fault_op != nullptr && !cpu.fault.trap ? cpu.rip_of(cpu.fault_op) : cpu.rip;
}

}  // namespace

Checker::Checker(jit::JitCpu& cpu, const CheckOptions& options, CheckResult& result)
    : cpu_(cpu),
      options_(options),
      result_(result),
      runtime_(cpu, {.undefined_flags = jit::UndefinedFlags::exact}),
      replay_(cpu),
      guard_(all_ram(cpu.memory)) {
    BANYAN_ASSERT(runtime_.good());
    cpu_.accelerator = this;
}

bool Checker::run(Block& block) {
    if (!result_.difference.empty()) return false;
    return block.host != nullptr && wanted() ? run_compared(block) : run_jit(block);
}

// Generated code finds its Runtime where the Cpu has its accelerator.
bool Checker::run_jit(Block& block) {
    cpu_.accelerator = &runtime_;
    const bool ran = runtime_.run(block);
    cpu_.accelerator = this;
    return ran;
}

bool Checker::wanted() {
    if (options_.begin != nullptr && !*options_.begin) return false;
    const bool now = stretches_++ / options_.in_a_row % options_.one_in == 0;
    if (!now && guard_.on()) guard_.stop();
    return now;
}

bool Checker::run_compared(Block& block) {
    Stretch stretch;
    cpu_.get_state(stretch.before);
    const uint64_t retired = cpu_.retired;
    guard_.start();
    if (!run_jit(block)) return false;
    stretch.count = cpu_.retired - retired;
    if (stretch.count != 0 || cpu_.fault.active) check(stretch);
    return true;
}

// While the interpreter runs, this vCPU does not: else the two would wait for each other when one
// finds new code.
void Checker::check(const Stretch& stretch) {
    if (stretch.count > kLongest) {
        ++result_.too_long;
        return;
    }
    if (guard_.overflowed() || changed_code()) {
        ++result_.not_repeatable;
        return;
    }
    cpu_.coherence.exit(cpu_);
    go_back();
    if (options_.spoil_at != 0 && result_.compared >= options_.spoil_at)
        replay_.spoil_an_instruction();
    compare(stretch, replay_.run(stretch.before, stretch.count));
    cpu_.coherence.enter(cpu_);
}

bool Checker::changed_code() const {
    const auto holds_code = [&](const WriteGuard::Page& page) {
        for (const MemoryRegion& region : cpu_.memory.regions()) {
            if (page.place < region.host || page.place >= region.host + region.size) continue;
            const auto offset = static_cast<uint64_t>(page.place - region.host);
            return (cpu_.memory.page_flags(region.start + offset) & kPageHasCode) != 0;
        }
        return false;
    };
    return std::any_of(guard_.written().begin(), guard_.written().end(), holds_code);
}

// The memory is what it was before the JIT ran.
void Checker::go_back() {
    after_.clear();
    for (const WriteGuard::Page& page : guard_.written()) {
        After& after = after_.emplace_back();
        after.place = page.place;
        std::memcpy(after.bytes.data(), page.place, after.bytes.size());
        std::memcpy(page.place, page.before.data(), page.before.size());
    }
}

// The memory is what the JIT has made of it, whatever the interpreter did.
void Checker::go_forth() {
    const auto written = guard_.written();
    for (size_t i = after_.size(); i < written.size(); ++i)
        std::memcpy(written[i].place, written[i].before.data(), written[i].before.size());
    for (const After& after : after_)
        std::memcpy(after.place, after.bytes.data(), after.bytes.size());
    for (const WriteGuard::Page& page : written)
        replay_.forget_code(page.place, WriteGuard::kPageSize);
}

void Checker::compare(const Stretch& stretch, Replay::End end) {
    if (end == Replay::End::outside || end == Replay::End::too_long) {
        ++(end == Replay::End::outside ? result_.outside : result_.too_long);
        return go_forth();
    }
    std::string differences = compare_faults(end);
    if (differences.empty()) differences = compare_registers();
    differences += compare_pages();
    go_forth();
    // Cut short in the middle, where the pieces depend on what the TLB held.
    if (!differences.empty() && !cpu_.fault.active && replay_.at_repeated()) {
        ++result_.not_repeatable;
        return;
    }
    ++result_.compared;
    result_.instructions += stretch.count;
    result_.faults += cpu_.fault.active ? 1 : 0;
    if (!differences.empty()) fail(stretch, differences);
}

std::string Checker::compare_faults(Replay::End end) {
    if (end == Replay::End::faulted)
        return fmt::format("    the interpreter meets exception {} at {:#x} before the end\n",
                           static_cast<unsigned>(replay_.cpu().fault.vector), replay_.cpu().rip);
    if (!cpu_.fault.active) return {};
    const interp::PendingFault& a = cpu_.fault;
    if (replay_.step() != Replay::End::faulted)
        return fmt::format("    only the JIT meets exception {}\n",
                           static_cast<unsigned>(a.vector));
    const interp::PendingFault& b = replay_.cpu().fault;
    const bool same = a.vector == b.vector && a.error == b.error && a.address == b.address &&
                      a.trap == b.trap && rip_of_fault(cpu_) == rip_of_fault(replay_.cpu());
    if (same) return {};
    return fmt::format(
        "    exceptions: {}, {}; error {:#x}, {:#x}; address {:#x}, {:#x}; at {:#x}, "
        "{:#x}\n",
        static_cast<unsigned>(a.vector), static_cast<unsigned>(b.vector), a.error, b.error,
        a.address, b.address, rip_of_fault(cpu_), rip_of_fault(replay_.cpu()));
}

// Flags that nothing reads any more need not be true (docs/jit.md, "Flags"). Which these are the
// JIT knows better than can be seen here: what the next block reads before it writes it must be
// true.
uint32_t Checker::flags_to_compare() {
    if (cpu_.fault.active) return 0;
    const Block* const next = replay_.cpu().code->lookup();
    if (next == nullptr) return 0;
    uint32_t open = jit::kAllFlags;
    uint32_t read = 0;
    for (unsigned i = 0; i < next->count; ++i) {
        const interp::Op& op = next->ops[i];
        std::array<uint8_t, 16> bytes{};
        if (read_code(next->rip + op.offset, std::as_writable_bytes(std::span(bytes))) < op.length)
            return read;
        jit::Instruction instruction;
        jit::analyse(op, next->rip + op.offset, bytes.data(), jit::UndefinedFlags::any,
                     instruction);
        read |= instruction.flags_read & open;
        open &= ~instruction.flags_killed;
    }
    return read;
}

std::string Checker::compare_registers() {
    x86::RegisterState a;
    x86::RegisterState b;
    cpu_.get_state(a);
    replay_.cpu().get_state(b);
    if (cpu_.fault.active) a.rip = b.rip;  // compare_faults() did
    const uint64_t ignored = jit::kAllFlags & ~flags_to_compare();
    a.rflags |= ignored;
    b.rflags |= ignored;
    return compare_states(a, b);
}

std::string Checker::compare_pages() const {
    std::string text;
    const auto written = guard_.written();
    for (size_t i = 0; i < written.size(); ++i) {
        const std::byte* const jit =
            i < after_.size() ? after_[i].bytes.data() : written[i].before.data();
        const std::byte* const interpreted = written[i].place;
        if (std::memcmp(jit, interpreted, WriteGuard::kPageSize) == 0) continue;
        for (size_t at = 0; at < WriteGuard::kPageSize; at += 8) {
            uint64_t a;
            uint64_t b;
            std::memcpy(&a, jit + at, 8);
            std::memcpy(&b, interpreted + at, 8);
            const auto offset = interpreted + at - all_ram(cpu_.memory).data();
            if (a != b) text += fmt::format("    RAM + {:#x}: {:x}, {:x}\n", offset, a, b);
        }
    }
    return text;
}

// Ends the guest: Cpu::run() returns with it.
void Checker::fail(const Stretch& stretch, const std::string& differences) {
    x86::RegisterState jit;
    x86::RegisterState interpreted;
    cpu_.get_state(jit);
    replay_.cpu().get_state(interpreted);
    result_.difference = fmt::format(
        "comparison {}, {} instructions from the guest's instruction {} on, at rip {:#x}:\n"
        "  JIT and interpreter differ:\n{}"
        "  the code at its start:\n{}  the code at its end:\n{}"
        "  before:\n{}\n  after, JIT:\n{}\n  after, interpreter:\n{}\n",
        result_.compared, stretch.count, cpu_.retired - stretch.count, stretch.before.rip,
        differences, listing(stretch.before.rip), listing(cpu_.rip),
        format_registers(stretch.before), format_registers(jit), format_registers(interpreted));
    cpu_.stop = {ExitReason::internal_error, "the JIT and the interpreter differ"};
    cpu_.post(interp::kEventStop);
}

// As much as is mapped; one byte after the other, since any may be on another page.
size_t Checker::read_code(uint64_t rip, std::span<std::byte> bytes) const {
    for (size_t i = 0; i < bytes.size(); ++i) {
        uint64_t gpa = 0;
        if (!cpu_.translate_for_debug(rip + i, gpa) ||
            !cpu_.memory.read(Gpa{gpa}, bytes.subspan(i, 1)))
            return i;
    }
    return bytes.size();
}

std::string Checker::listing(uint64_t rip) const {
    constexpr int kLines = 24;
    std::string text;
    for (int line = 0; line < kLines; ++line) {
        std::array<std::byte, 15> bytes{};
        const size_t size = read_code(rip, bytes);
        ZydisDisassembledInstruction instruction;
        if (!ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, rip, bytes.data(), size,
                                                &instruction)))
            break;
        const auto code = std::span(bytes).first(instruction.info.length);
        text += fmt::format("    {:x}  {:<31} {}\n", rip, hex(code), instruction.text);
        rip += code.size();
    }
    return text;
}

}  // namespace banyan::lockstep
