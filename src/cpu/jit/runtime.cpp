#include "cpu/jit/runtime.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <random>
#include <utility>

#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/native_layout.hpp"
#include "cpu/interp/native_x87_state.hpp"
#include "cpu/jit/emitter.hpp"

namespace banyan::jit {

using interp::Block;
using interp::Mode;

namespace {

// The instruction went on to the one behind it.
void op_went_on(interp::Cpu& cpu, const interp::Op*) {
    static_cast<JitCpu&>(cpu).op_finished = true;
}

// Single steps and alignment checks are the interpreter's, and so is all but 64-bit code.
bool is_translatable(Mode mode) {
    return mode.has(Mode::kCode64) && !mode.has(Mode::kOneInstruction) &&
           !mode.has(Mode::kAlignmentCheck);
}

}  // namespace

Runtime::Runtime(JitCpu& cpu, const JitOptions& options, HostCodeListener* listener)
    : cpu_(cpu),
      options_(options),
      listener_(listener),
      memory_(options.code_size),
      stubs_(memory_, {run_op, run_rest}, options.host,
             {.amd = cpu.model.is_amd(),
              .smap = cpu.model.has(interp::Feature::smap),
              .rdtscp = cpu.model.has(interp::Feature::rdtscp)}),
      stubs_size_(memory_.used()),
      no_stack_(std::make_unique<Page>()) {
    std::random_device random;
    const uint64_t page = (uint64_t{random()} << 32 | random()) & ~uint64_t{kPageSize - 1};
    const uint64_t never_canonical = (page | uint64_t{1} << 63) & ~(uint64_t{1} << 62);
    cpu_.no_stack_low = reinterpret_cast<uint64_t>(no_stack_->bytes.data());
    cpu_.no_stack_addend = cpu_.no_stack_low - never_canonical;
    if (!good()) return;
    if (listener_ != nullptr)
        listener_->on_host_code(memory_.next() - stubs_size_, stubs_size_, "banyan:stubs");
    cpu_.accelerator = this;
    cpu_.no_host = stubs_.exit_tag;
}

Runtime::~Runtime() {
    cpu_.accelerator = nullptr;
    cpu_.code->clear();
}

bool Runtime::is_hot(Block& block) const {
    if (block.heat == kNever || block.heat++ < options_.hot) return false;
    if (is_translatable(block.mode)) return true;
    block.heat = kNever;
    return false;
}

bool Runtime::run(Block& block) {
    const HostExit last = std::exchange(last_exit_, HostExit::dispatch);
    if (last == HostExit::interpret) return false;
    if (block.host == nullptr) {
        if (!is_hot(block)) return false;
        if (memory_.left() < options_.code_size / 64 || translations_.sites.size() > kMaxSites) {
            cpu_.code->clear();  // and the block with it: the loop looks again
            return true;
        }
        if (!translate(block)) {
            block.heat = kNever;
            return false;
        }
    }
    cpu_.jumps.set_host(block.rip, block, block.host);
    if (last == HostExit::link) follow_link(block, block.host);
    const uint8_t* code = last == HostExit::stack ? code_for_stack(block) : block.host;
    if (code == nullptr) return false;
    enter(code);
    return true;
}

void Runtime::enter(const uint8_t* code) {
    ++statistics_.entries;
    choose_window();
    const auto tsc_offset = cpu_.clock.host_tsc_offset();
    cpu_.has_tsc_offset = tsc_offset.has_value();
    cpu_.tsc_offset = tsc_offset.value_or(0);
    stubs_.enter(&cpu_, code);
    last_exit_ = cpu_.exit;
    ++exit_counter();
}

Counter& Runtime::exit_counter() {
    switch (last_exit_) {
        case HostExit::link: return statistics_.exits_for_links;
        case HostExit::interpret: return statistics_.exits_to_interpret;
        case HostExit::stack: return statistics_.exits_for_stack;
        case HostExit::dispatch: break;
    }
    if (cpu_.fault.active) return statistics_.exits_for_faults;
    const bool events = cpu_.events.load(std::memory_order_relaxed) != 0;
    return events ? statistics_.exits_for_events : statistics_.exits_for_lookups;
}

// --- translation

bool Runtime::translate(Block& block) {
    const uint8_t* code = emit(block, true);
    if (code == nullptr) return false;
    block.host = code;
    Translated& known = translated_.emplace_back();
    block.translation = &known;
    const BasicBlock& first = region_.blocks.front();
    known.stack_low = region_.checks_stack ? region_.stack_low : first.stack_low;
    known.stack_high = region_.checks_stack ? region_.stack_high : first.stack_high;
    return true;
}

Runtime::Translated& Runtime::translated(Block& block) {
    return *static_cast<Translated*>(block.translation);
}

const uint8_t* Runtime::emit(Block& block, bool window) {
    RegionBuilder(cpu_, options_).build(block, window, region_);
    Emitter emitter(region_, stubs_, translations_, cpu_.view, window, memory_.next());
    const uint8_t* code = emitter.finish(memory_);
    if (code == nullptr) return nullptr;
    ++statistics_.regions;
    statistics_.instructions += region_.instructions.size();
    statistics_.code_bytes += emitter.size();
    if (listener_ != nullptr) tell_listener(code, emitter.size(), block);
    return code;
}

void Runtime::tell_listener(const uint8_t* code, size_t size, const Block& block) {
    const char* who = cpu_.view == interp::View::user ? "user" : "kernel";
    char name[40];
    std::snprintf(name, sizeof(name), "guest:%s:%#" PRIx64, who, block.rip);
    listener_->on_host_code(code, size, name);
}

void Runtime::drop(Block& block) {
    ++statistics_.dropped;
    block.host = nullptr;
    block.heat = 0;
    Translated& known = translated(block);
    for (const uint32_t number : known.incoming) {
        Link& link = translations_.links[number];
        if (link.linked_to == &block) unlink(link);
    }
    known.incoming = {};
    block.translation = nullptr;
}

void Runtime::clear() {
    ++statistics_.clears;
    translated_.clear();
    translations_.sites.clear();
    translations_.links.clear();
    memory_.truncate(stubs_size_);
    last_exit_ = HostExit::dispatch;
}

// --- links

void Runtime::patch(const uint8_t* displacement, const uint8_t* target) {
    const auto distance = static_cast<int32_t>(target - (displacement + 4));
    memory_.replace(displacement, std::span(reinterpret_cast<const uint8_t*>(&distance), 4));
}

// The loop has come from a link to this block: from now on it goes to `code` directly.
void Runtime::follow_link(Block& target, const uint8_t* code) {
    Link& link = translations_.links[cpu_.link];
    if (link.target != target.rip) return;
    if (link.context == nullptr) {
        // On one page with the jump, in the mode of its code: it means this block wherever the jump
        // runs.
        const bool same = link.page == target.gpa >> kPageShift && link.mode == target.mode &&
                          target.second_gpa == Block::kNoPage;
        if (!same) return;
    } else {
        const auto name = static_cast<uint32_t>(cpu_.context >> 32);
        memory_.replace(link.context, std::span(reinterpret_cast<const uint8_t*>(&name), 4));
        // Code that several address spaces share would be linked for one after the other for ever.
        patch(link.other_jump, ++link.made < kMaxLinked ? link.unlinked : link.other);
    }
    patch(link.jump, code);
    if (link.linked_to != &target) translated(target).incoming.push_back(cpu_.link);
    link.linked_to = &target;
    ++statistics_.links;
}

void Runtime::unlink(Link& link) {
    patch(link.jump, link.unlinked);
    if (link.context != nullptr) patch(link.other_jump, link.unlinked);
    link.linked_to = nullptr;
}

// --- the stack window

void Runtime::show_window(uint64_t low, uint64_t addend) {
    cpu_.stack_low = low;
    cpu_.stack_addend = addend;
    cpu_.stack_subtrahend = 0 - addend;
}

// What generated code may see of the stack from now on: the page that it saw in this view last, if
// that is still true. Else a page at an address that is not canonical and that no guest can guess.
void Runtime::choose_window() {
    if (window_holds()) return show_window(window().low, window().addend);
    show_window(cpu_.no_stack_low, cpu_.no_stack_addend);
}

const uint8_t* Runtime::code_without_window(Block& block) {
    Translated& known = translated(block);
    if (known.without_window == nullptr) known.without_window = emit(block, false);
    return known.without_window;
}

const uint8_t* Runtime::code_for_stack(Block& block) {
    const Translated& known = translated(block);
    const uint64_t low = cpu_.gpr[x86::kRsp] + static_cast<uint64_t>(int64_t{known.stack_low});
    const auto size = static_cast<unsigned>(known.stack_high - known.stack_low);
    const bool in_page = (low & (kPageSize - 1)) + size <= kPageSize;
    // Interpreting fills the TLB, if the page may be written.
    if (in_page && cpu_.tlb->readable(low, 1) == nullptr) return nullptr;
    const uint8_t* code = code_without_window(block);
    if (code != nullptr) follow_link(block, code);
    return code;
}

// --- single instructions

const uint8_t* Runtime::run_op(JitCpu* cpu, uint32_t site) {
    auto& runtime = static_cast<Runtime&>(*cpu->accelerator);
    return runtime.interpret(runtime.translations_.sites[site]);
}

const uint8_t* Runtime::interpret(Site& site) {
    ++statistics_.interpreted;
    site.ops[1].handler = op_went_on;
    // Handlers that end before the instruction does take back what is unfinished of its block: here
    // that is the instruction alone.
    running_.rip = site.block->rip;
    running_.ops = site.ops.data();
    cpu_.block = &running_;
    cpu_.op_finished = false;
    const interp::Tlb* const tlb = cpu_.tlb;
    const uint64_t generation = tlb->generation();
    site.ops[0].handler(cpu_, site.ops.data());
    cpu_.settle();
    if (cpu_.fault.active) {
        // A trap without an instruction of its own comes behind this one.
        cpu_.retired -= site.unfinished - (cpu_.fault_op == nullptr ? 1 : 0);
        cpu_.exit = HostExit::dispatch;
        return kLeave;
    }
    if (cpu_.op_finished) {
        const bool unmasked = (cpu_.vectors.mxcsr & interp::kMxcsrMasks) != interp::kMxcsrMasks;
        const bool vectors_good = cpu_.vectors_live == 0 || !unmasked;
        if (!site.uses_x87) cpu_.x87_live = 0;  // and there is no need to bring it back
        const bool x87_good = cpu_.x87_live == 0 || x87_is_quiet();
        const bool window_lost = shows_window() && !window_holds();
        // Groups of accesses keep addresses, too.
        const bool remapped = cpu_.tlb != tlb || tlb->generation() != generation;
        if (site.block->valid && !window_lost && !remapped && vectors_good && x87_good)
            return nullptr;
        cpu_.rip = cpu_.next_rip(site.ops.data());
    }
    cpu_.retired -= site.unfinished - 1;
    return go_on();
}

const uint8_t* Runtime::run_rest(JitCpu* cpu, uint32_t site) {
    auto& runtime = static_cast<Runtime&>(*cpu->accelerator);
    return runtime.interpret_rest(runtime.translations_.sites[site]);
}

// The accesses of a group do not lie on one page that they may access.
const uint8_t* Runtime::interpret_rest(Site& site) {
    Block& block = *site.block;
    if (++site.scattered == options_.max_scattered) {
        block.scattered = true;
        forget(*site.entry);
    }
    const interp::Op* const first = block.ops + site.index;
    cpu_.retired -= site.unfinished;
    cpu_.block = &block;
    first->handler(cpu_, first);
    cpu_.settle();
    const bool faulted = cpu_.fault.active;
    const interp::Op* const end =
        faulted && cpu_.fault_op != nullptr ? cpu_.fault_op : block.ops + block.count;
    cpu_.retired += static_cast<uint64_t>(end - first);
    if (!faulted) return go_on();
    cpu_.exit = HostExit::dispatch;
    return kLeave;
}

// Has it translated again, when it runs next.
void Runtime::forget(Block& block) {
    if (block.host == nullptr) return;
    drop(block);
    block.heat = options_.hot;
    cpu_.jumps.set_host(block.rip, block, cpu_.no_host);
}

// Nothing on the x87 can raise an exception.
bool Runtime::x87_is_quiet() const {
    const interp::X87State x87(cpu_.vectors);
    return (~x87.control() & interp::X87State::kExceptions) == 0 && !x87.error_pending();
}

// The code for where cpu.rip is, if there is nothing else to see to: a short cut through the loop.
const uint8_t* Runtime::go_on() {
    cpu_.exit = HostExit::dispatch;
    const bool events = cpu_.events.load(std::memory_order_relaxed) != 0;
    if (events || cpu_.activity != x86::Activity::running || cpu_.shadow_next) return kLeave;
    if (!cpu_.code64()) return kLeave;
    const interp::Jump* const jump = cpu_.jumps.find(cpu_.rip, cpu_.context);
    if (jump == nullptr || jump->host == cpu_.no_host) return kLeave;
    choose_window();
    return jump->host;
}

}  // namespace banyan::jit
