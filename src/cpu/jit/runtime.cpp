#include "cpu/jit/runtime.hpp"

#include <cstring>
#include <utility>

#include "cpu/interp/native_layout.hpp"
#include "cpu/jit/emitter.hpp"
#include "support/assert.hpp"

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

Runtime::Runtime(JitCpu& cpu, const JitOptions& options)
    : cpu_(cpu),
      options_(options),
      memory_(kCodeSize),
      stubs_(memory_, run_op, __builtin_cpu_supports("avx") != 0),
      stubs_size_(memory_.used()),
      no_stack_(std::make_unique<Page>()),
      random_(std::random_device{}()) {
    drop_stack_window();
    if (!good()) return;
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
        if (memory_.left() < kCodeSize / 64 || translations_.sites.size() > kMaxSites) {
            cpu_.code->clear();  // and the block with it: the loop looks again
            return true;
        }
        if (!translate(block)) {
            block.heat = kNever;
            return false;
        }
    }
    interp::Jump& jump = cpu_.jumps[interp::jump_index(block.rip)];
    if (jump.block == &block) jump.host = block.host;
    if (last == HostExit::link) follow_link(block);
    const uint8_t* code = last == HostExit::stack ? code_for_stack(block) : block.host;
    if (code == nullptr) return false;
    enter(code);
    return true;
}

void Runtime::enter(const uint8_t* code) {
    ++statistics_.entries;
    if (!stack_window_holds()) drop_stack_window();
    stubs_.enter(&cpu_, code);
    last_exit_ = cpu_.exit;
}

// --- translation

bool Runtime::translate(Block& block) {
    const uint8_t* code = emit(block, true);
    if (code == nullptr) return false;
    block.host = code;
    Translated& translated = translated_[&block];
    translated.stack_low = region_.stack_low;
    translated.stack_high = region_.stack_high;
    if (!region_.checks_stack && region_.blocks.front().checks_stack) {
        translated.stack_low = region_.blocks.front().stack_low;
        translated.stack_high = region_.blocks.front().stack_high;
    }
    return true;
}

const uint8_t* Runtime::emit(Block& block, bool window) {
    RegionBuilder(cpu_, options_.undefined_flags).build(block, window, region_);
    Emitter emitter(region_, stubs_, translations_, cpu_.view, window, memory_.next());
    const uint8_t* code = emitter.finish(memory_);
    if (code == nullptr) return nullptr;
    ++statistics_.regions;
    statistics_.instructions += region_.instructions.size();
    statistics_.code_bytes += emitter.size();
    return code;
}

void Runtime::drop(Block& block) {
    ++statistics_.dropped;
    block.host = nullptr;
    block.heat = 0;
    const auto found = translated_.find(&block);
    if (found == translated_.end()) return;
    for (const uint32_t number : found->second.incoming) {
        Link& link = translations_.links[number];
        if (link.linked_to == &block) unlink(link);
    }
    translated_.erase(found);
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

// The loop has come from a link to this block: from now on it goes there directly.
void Runtime::follow_link(Block& target) {
    Link& link = translations_.links[cpu_.link];
    if (link.target != target.rip || link.linked_to != nullptr) return;
    if (link.context == nullptr) {
        // On one page with the jump, in the mode of its code: it means this block wherever the jump
        // runs.
        const bool same = link.page == target.gpa >> kPageShift && link.mode == target.mode &&
                          target.second_gpa == Block::kNoPage;
        if (!same) return;
    } else {
        const auto name = static_cast<uint32_t>(cpu_.context >> 32);
        memory_.replace(link.context, std::span(reinterpret_cast<const uint8_t*>(&name), 4));
        patch(link.other_jump, link.other);
    }
    patch(link.jump, target.host);
    link.linked_to = &target;
    translated_[&target].incoming.push_back(cpu_.link);
    ++statistics_.links;
}

void Runtime::unlink(Link& link) {
    patch(link.jump, link.unlinked);
    if (link.context != nullptr) patch(link.other_jump, link.unlinked);
    link.linked_to = nullptr;
}

// --- the stack window

bool Runtime::stack_window_holds() const {
    const uint64_t linear = cpu_.stack_low + cpu_.stack_subtrahend;
    return reinterpret_cast<uint64_t>(cpu_.tlb->writable(linear, 1)) == cpu_.stack_low;
}

// The window shows a page at an address that no guest can guess, and that is not canonical.
void Runtime::drop_stack_window() {
    const uint64_t linear = (random_() | uint64_t{1} << 63) & ~(uint64_t{1} << 62) &
                            ~uint64_t{kPageSize - 1};
    cpu_.stack_low = reinterpret_cast<uint64_t>(no_stack_->bytes.data());
    cpu_.stack_addend = cpu_.stack_low - linear;
    cpu_.stack_subtrahend = linear - cpu_.stack_low;
}

const uint8_t* Runtime::code_for_stack(Block& block) {
    Translated& translated = translated_[&block];
    const uint64_t low =
        cpu_.gpr[x86::kRsp] + static_cast<uint64_t>(int64_t{translated.stack_low});
    const auto size = static_cast<unsigned>(translated.stack_high - translated.stack_low);
    if ((low & (kPageSize - 1)) + size > kPageSize) {
        if (translated.without_window == nullptr)
            translated.without_window = emit(block, false);
        return translated.without_window;
    }
    const uint64_t page = low & ~uint64_t{kPageSize - 1};
    const std::byte* host = cpu_.tlb->writable(page, 1);
    if (host == nullptr) return nullptr;  // interpreting fills the TLB
    ++statistics_.stack_moves;
    cpu_.stack_low = reinterpret_cast<uint64_t>(host);
    cpu_.stack_addend = cpu_.stack_low - page;
    cpu_.stack_subtrahend = page - cpu_.stack_low;
    return block.host;
}

// --- single instructions

uint32_t Runtime::run_op(JitCpu* cpu, uint32_t site) {
    auto& runtime = static_cast<Runtime&>(*cpu->accelerator);
    return runtime.interpret(runtime.translations_.sites[site]);
}

// Not 0: generated code must be left.
uint32_t Runtime::interpret(Site& site) {
    ++statistics_.interpreted;
    site.ops[1].handler = op_went_on;
    cpu_.block = site.block;
    cpu_.op_finished = false;
    site.ops[0].handler(cpu_, site.ops.data());
    cpu_.settle();
    if (cpu_.fault.active) return leave_before(site, site.unfinished);
    if (!cpu_.op_finished) return leave_before(site, site.unfinished - 1);
    const bool unmasked = (cpu_.vectors.mxcsr & interp::kMxcsrMasks) != interp::kMxcsrMasks;
    if (site.block->valid && stack_window_holds() && (cpu_.vectors_live == 0 || !unmasked))
        return 0;
    cpu_.rip = cpu_.next_rip(site.ops.data());
    return leave_before(site, site.unfinished - 1);
}

uint32_t Runtime::leave_before(const Site&, uint32_t unfinished) {
    cpu_.retired -= unfinished;
    cpu_.exit = HostExit::dispatch;
    return 1;
}

}  // namespace banyan::jit
