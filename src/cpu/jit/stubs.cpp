#include "cpu/jit/stubs.hpp"

#include <bit>

#include "cpu/interp/native_layout.hpp"
#include "cpu/jit/code_buffer.hpp"
#include "cpu/jit/layout.hpp"
#include "cpu/jit/stubs_x87.hpp"

namespace banyan::jit {

namespace {

constexpr x86a::Gp kCalleeSaved[] = {x86a::rbx, x86a::rbp, x86a::r12,
                                     x86a::r13, x86a::r14, x86a::r15};

class StubWriter {
public:
    StubWriter(interp::CodeMemory& memory, const HostFeatures& host)
        : memory_(memory), buffer_(memory.next()), a_(buffer_.assembler()), host_(host) {}

    const uint8_t* finish() { return buffer_.finish(memory_); }
    x86a::Assembler& a() { return a_; }

    // `pushed`: bytes on the stack above the Cpu.
    void load_guest(int32_t pushed) {
        for (unsigned i = 0; i < 16; ++i) {
            if (in_register(i)) a_.mov(host_gpr(i), guest_gpr(i, pushed));
        }
        a_.mov(kStack, guest_gpr(kGuestRsp, pushed));
        a_.add(kStack, state(kStackAddendAt, 8, pushed));
    }
    void store_guest(int32_t pushed) {
        for (unsigned i = 0; i < 16; ++i) {
            if (in_register(i)) a_.mov(guest_gpr(i, pushed), host_gpr(i));
        }
        a_.sub(kStack, state(kStackAddendAt, 8, pushed));
        a_.mov(guest_gpr(kGuestRsp, pushed), kStack);
    }
    // As much of them as was in the host's registers before, or is in use now.
    void load_vectors(int32_t pushed) {
        load_ymm(pushed);
        if (!host_.avx512) return;
        const auto done = a_.newLabel();
        const auto all = a_.newLabel();
        a_.cmp(state(kVectorsLiveAt, 4, pushed), JitCpu::kAllVectors);
        a_.je(all);
        a_.cmp(state(kZmmHighInUseAt, 1, pushed), 0);
        a_.je(done);
        a_.bind(all);
        load_avx512(pushed);
        a_.bind(done);
    }
    void load_ymm(int32_t pushed) {
        for (unsigned i = 0; i < 16; ++i) {
            const auto at = kYmmAt + static_cast<int32_t>(i) * 32;
            if (host_.avx) {
                a_.vmovaps(x86a::ymm(i), state(at, 32, pushed));
            } else {
                a_.movaps(x86a::xmm(i), state(at, 16, pushed));
            }
        }
        a_.ldmxcsr(state(kMxcsrAt, 4, pushed));
    }
    // The rest of AVX-512's state.
    void load_avx512(int32_t pushed) {
        for (unsigned i = 0; i < 16; ++i) {
            a_.vinsertf64x4(x86a::zmm(i), x86a::zmm(i), zmm_high(i, pushed), 1);
            a_.vmovaps(x86a::zmm(16 + i), high_zmm(i, pushed));
        }
        for (unsigned i = 0; i < 8; ++i)
            a_.kmovq(x86a::k(i), opmask(i, pushed));
        a_.mov(state(kVectorsLiveAt, 4, pushed), JitCpu::kAllVectors);
    }
    // Finds out, too, whether any zmm_high is in use. The YMM registers are in the Cpu by now.
    void store_avx512(int32_t pushed) {
        for (unsigned i = 0; i < 16; ++i) {
            a_.vextractf64x4(zmm_high(i, pushed), x86a::zmm(i), 1);
            a_.vmovaps(high_zmm(i, pushed), x86a::zmm(16 + i));
        }
        for (unsigned i = 0; i < 8; ++i)
            a_.kmovq(opmask(i, pushed), x86a::k(i));
        for (unsigned i = 1; i < 16; ++i)
            a_.vporq(x86a::zmm0, x86a::zmm0, x86a::zmm(i));
        a_.vextracti64x4(x86a::ymm0, x86a::zmm0, 1);
        a_.vptest(x86a::ymm0, x86a::ymm0);
        a_.setnz(state(kZmmHighInUseAt, 1, pushed));
    }
    void store_vectors(int32_t pushed) {
        for (unsigned i = 0; i < 16; ++i) {
            const auto at = kYmmAt + static_cast<int32_t>(i) * 32;
            if (host_.avx) {
                a_.vmovaps(state(at, 32, pushed), x86a::ymm(i));
            } else {
                a_.movaps(state(at, 16, pushed), x86a::xmm(i));
            }
        }
        a_.stmxcsr(state(kMxcsrAt, 4, pushed));
        a_.ldmxcsr(state(kHostMxcsrAt, 4, pushed));
        if (host_.avx512) {
            const auto done = a_.newLabel();
            a_.cmp(state(kVectorsLiveAt, 4, pushed), JitCpu::kAllVectors);
            a_.jne(done);
            store_avx512(pushed);
            a_.bind(done);
        }
        if (host_.avx) a_.vzeroupper();
    }
    // Vector registers to the Cpu if that is where they are not.
    void settle_vectors(int32_t pushed) {
        const auto done = a_.newLabel();
        a_.cmp(state(kVectorsLiveAt, 4, pushed), 0);
        a_.je(done);
        store_vectors(pushed);
        a_.bind(done);
    }
    // The rest of leaving; guest and vector registers are in the Cpu, `pushed` bytes above RSP.
    void leave(int32_t pushed) {
        a_.mov(state(kVectorsLiveAt, 4, pushed), 0);
        a_.mov(state(kX87LiveAt, 4, pushed), 0);
        a_.mov(x86a::rsp, state(kHostRspAt, 8, pushed));
        for (size_t i = std::size(kCalleeSaved); i-- > 0;)
            a_.pop(kCalleeSaved[i]);
        a_.ret();
    }
    // Calls C++ with the number in T1, and goes on where it says: see OpHelper.
    void call_helper(OpHelper helper) {
        const auto elsewhere = a_.newLabel();
        const auto out = a_.newLabel();
        const auto done = a_.newLabel();
        store_guest(8);
        settle_vectors(8);
        settle_x87(a_, 8);
        a_.lea(x86a::rdi, x86a::ptr(x86a::rsp, 8));
        a_.mov(x86a::esi, kT1.r32());
        a_.mov(x86a::rax, std::bit_cast<uint64_t>(helper));
        a_.sub(x86a::rsp, 8);  // to a multiple of 16
        a_.call(x86a::rax);
        a_.add(x86a::rsp, 8);
        a_.test(x86a::rax, x86a::rax);
        a_.jnz(elsewhere);
        reload_x87(a_, 8);
        a_.cmp(state(kVectorsLiveAt, 4, 8), 0);
        a_.je(done);
        load_vectors(8);
        a_.bind(done);
        load_guest(8);
        a_.ret();
        a_.bind(elsewhere);
        a_.cmp(x86a::rax, std::bit_cast<uint64_t>(kLeave));
        a_.je(out);
        a_.add(x86a::rsp, 8);
        a_.mov(kT0, x86a::rax);
        a_.mov(state(kVectorsLiveAt, 4), 0);
        a_.mov(state(kX87LiveAt, 4), 0);
        load_guest(0);
        a_.jmp(kT0);
        a_.bind(out);
        leave(8);
    }
    void exit(HostExit why) {
        a_.mov(state(kExitAt, 4), static_cast<uint32_t>(why));
        store_guest(0);
        settle_vectors(0);
        settle_x87(a_, 0);
        leave(0);
    }

private:
    static x86a::Mem zmm_high(unsigned i, int32_t pushed) {
        return state(kZmmHighAt + static_cast<int32_t>(i) * 32, 32, pushed);
    }
    static x86a::Mem high_zmm(unsigned i, int32_t pushed) {
        return state(kHighZmmAt + static_cast<int32_t>(i) * 64, 64, pushed);
    }
    static x86a::Mem opmask(unsigned i, int32_t pushed) {
        return state(kOpmaskAt + static_cast<int32_t>(i) * 8, 8, pushed);
    }

    interp::CodeMemory& memory_;
    CodeBuffer buffer_;
    x86a::Assembler& a_;
    const HostFeatures& host_;
};

// See Stubs::move_window.
void write_move_window(x86a::Assembler& a, interp::View view, bool fast_pext) {
    using Layout = interp::Tlb::Layout;
    constexpr int32_t kPushed = 16;  // the return address and RAX
    const auto shown = [&](int32_t at) { return state(at, 8, kPushed); };
    const auto window = [&](size_t member) {
        const size_t at = static_cast<unsigned>(view) * sizeof(JitCpu::Window) + member;
        return shown(kWindowsAt + static_cast<int32_t>(at));
    };
    const auto entry = [&](size_t at) { return tlb_member(view, at, kPushed); };
    const auto fail = a.newLabel();
    a.push(x86a::rax);
    a.add(kT0, shown(kStackSubtrahendAt));
    a.mov(x86a::eax, kT0.r32());
    a.and_(x86a::eax, kPageSize - 1);
    a.add(x86a::eax, kT1.r32());
    a.cmp(x86a::eax, kPageSize);
    a.ja(fail);
    find_tlb_index(a, fast_pext, kPushed);
    a.sub(kT0, entry(Layout::write_tags));
    a.cmp(kT0, kPageSize - 1);
    a.ja(fail);
    a.add(kStack, shown(kStackSubtrahendAt));
    a.mov(x86a::rax, shown(generation_at(view)));
    a.mov(window(offsetof(JitCpu::Window, generation)), x86a::rax);
    a.mov(x86a::rax, entry(Layout::pages));
    a.mov(shown(kStackLowAt), x86a::rax);
    a.mov(window(offsetof(JitCpu::Window, low)), x86a::rax);
    a.sub(x86a::rax, entry(Layout::write_tags));
    a.mov(shown(kStackAddendAt), x86a::rax);
    a.mov(window(offsetof(JitCpu::Window, addend)), x86a::rax);
    a.add(kStack, x86a::rax);
    a.neg(x86a::rax);
    a.mov(shown(kStackSubtrahendAt), x86a::rax);
    a.pop(x86a::rax);
    a.cmp(kT1, kT1);
    a.ret();
    a.bind(fail);
    a.pop(x86a::rax);
    a.test(x86a::rsp, x86a::rsp);
    a.ret();
}

}  // namespace

// In a stub that was called with cpu.rip set: leaves while some SIMD exception is not masked.
void Stubs::leave_if_unmasked(x86a::Assembler& a) const {
    const auto masked = a.newLabel();
    a.mov(kT0.r32(), state(kMxcsrAt, 4, 8));
    a.not_(kT0.r32());
    a.test(kT0.r32(), interp::kMxcsrMasks);
    a.jz(masked);
    a.add(x86a::rsp, 8);
    a.jmp(std::bit_cast<uint64_t>(exit_interpret));
    a.bind(masked);
}

Stubs::Stubs(interp::CodeMemory& memory, const Helpers& helpers, const HostFeatures& host,
             const SystemConfig& config)
    : fast_pext(host.fast_pext) {
    const auto add = [&](auto write) -> const uint8_t* {
        StubWriter writer(memory, host);
        write(writer, writer.a());
        return writer.finish();
    };
    exit_dispatch = add([](StubWriter& w, x86a::Assembler&) { w.exit(HostExit::dispatch); });
    exit_interpret = add([](StubWriter& w, x86a::Assembler&) { w.exit(HostExit::interpret); });
    const auto add_link_exit = [&](HostExit why) {
        return add([why](StubWriter& w, x86a::Assembler& a) {
            a.mov(state(kLinkAt, 4), kT1.r32());
            w.exit(why);
        });
    };
    exit_stack = add_link_exit(HostExit::stack);
    exit_link = add_link_exit(HostExit::link);
    for (unsigned view = 0; view < interp::kViewCount; ++view) {
        move_window[view] = add([this, view](StubWriter&, x86a::Assembler& a) {
            write_move_window(a, static_cast<interp::View>(view), fast_pext);
        });
    }
    exit_tag = add([this](StubWriter&, x86a::Assembler& a) {
        a.mov(kT0, jump_member(offsetof(interp::Jump, tag)));
        a.xor_(kT0, state(kContextAt));
        a.mov(state(kRipAt), kT0);
        a.jmp(std::bit_cast<uint64_t>(exit_dispatch));
    });
    find_second = add([](StubWriter&, x86a::Assembler& a) {
        find_second_jump(a, 8);
        a.ret();
    });
    lookup = add([this](StubWriter&, x86a::Assembler& a) {
        a.mov(state(kRipAt), kT0);
        const auto found = a.newLabel();
        find_jump(a);
        a.je(found);
        find_second_jump(a, 0);
        a.jne(std::bit_cast<uint64_t>(exit_dispatch));
        a.bind(found);
        a.jmp(jump_member(offsetof(interp::Jump, host)));
    });
    load_vectors = add([this](StubWriter& w, x86a::Assembler& a) {
        leave_if_unmasked(a);
        a.mov(state(kVectorsLiveAt, 4, 8), JitCpu::kYmm);
        w.load_vectors(8);
        a.ret();
    });
    load_all_vectors = add([this](StubWriter& w, x86a::Assembler& a) {
        const auto rest = a.newLabel();
        a.cmp(state(kVectorsLiveAt, 4, 8), JitCpu::kYmm);
        a.je(rest);
        leave_if_unmasked(a);
        w.load_ymm(8);
        a.bind(rest);
        w.load_avx512(8);
        a.ret();
    });
    load_x87 = add([this](StubWriter&, x86a::Assembler& a) { write_load_x87(a, exit_interpret); });
    run_op = add([&](StubWriter& w, x86a::Assembler&) { w.call_helper(helpers.run_op); });
    run_rest = add([&](StubWriter& w, x86a::Assembler&) { w.call_helper(helpers.run_rest); });
    system = write_system_stubs(memory, config, lookup);
    const uint8_t* entry = add([](StubWriter& w, x86a::Assembler& a) {
        for (const auto& reg : kCalleeSaved)
            a.push(reg);
        a.mov(x86a::ptr(x86a::rdi, kHostRspAt), x86a::rsp);
        a.mov(x86a::rsp, x86a::rdi);
        a.mov(kT0, x86a::rsi);
        w.load_guest(0);
        a.jmp(kT0);
    });
    enter = std::bit_cast<void (*)(JitCpu*, const uint8_t*)>(entry);
}

}  // namespace banyan::jit
