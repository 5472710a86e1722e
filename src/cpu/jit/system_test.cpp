// Entries and exits of a kernel in generated code: what they do is what the interpreter does, and
// what they take from the cache of modes is what mode_changed() would come to.
#include <gtest/gtest.h>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "cpu/jit/jit_testing.hpp"

namespace banyan::jit {
namespace {

using namespace asmjit::x86;
using asmjit::Label;
using interp::Cpu;

constexpr uint64_t kKernel = LongMachine::kCode;
constexpr uint64_t kEntry = LongMachine::kCode + 0x1000;  // of system calls
constexpr uint64_t kUser = 0x50000;
constexpr uint64_t kUserStack = 0x62000;
constexpr uint64_t kKernelStack = 0x71000;
constexpr uint64_t kPerCpu = 0x78000;
constexpr uint64_t kWatched = 0x180000;  // not RAM: each read looks at the CPU
constexpr uint8_t kInterrupt = 0x40;

// What mode_changed() derives.
auto derived(const Cpu& cpu) {
    return std::tuple(cpu.mode.bits, cpu.base, cpu.stack_mask, cpu.tlb, cpu.view, cpu.context);
}

// What a guest could see.
struct Seen {
    std::array<uint64_t, 18> gpr;
    uint32_t flags;
    unsigned cpl;
    uint32_t mode;
    std::vector<uint64_t> segments;
    friend bool operator==(const Seen&, const Seen&) = default;
    friend std::ostream& operator<<(std::ostream& out, const Seen& s) {
        out << std::hex << "cpl " << s.cpl << " flags " << s.flags << " mode " << s.mode;
        for (const uint64_t value : s.gpr)
            out << ' ' << value;
        for (const uint64_t value : s.segments)
            out << ' ' << value;
        return out;
    }
};

Seen look(const Cpu& cpu) {
    Seen seen{cpu.gpr, cpu.system_flags, cpu.cpl, cpu.mode.bits, {}};
    for (const x86::SegmentRegister& s : cpu.seg) {
        seen.segments.push_back(uint64_t{s.selector} << 48 | uint64_t{s.attributes.raw} << 32 |
                                s.limit);
        seen.segments.push_back(s.base);
    }
    return seen;
}

// A kernel and a user program under SMAP. Interrupt kInterrupt is pending from the start.
template <class Machine>
class SystemMachine : public Machine {
public:
    SystemMachine() {
        for (uint64_t page = 0; page < 512; ++page) {
            const bool user = page >= 0x50 && page < 0x70;
            this->put(Machine::kTable + page * 8,
                      page << kPageShift | (user || page >= 256 ? 0x67U : 0x63U));
        }
        this->put_long_gate(kInterrupt, 0x8E00, 1);
        Cpu& cpu = this->cpu();
        cpu.cr4 |= x86::kCr4Smap | x86::kCr4FsGsBase;
        cpu.msr.star = uint64_t{0x0B} << 48 | uint64_t{Machine::kKernelCode} << 32;
        cpu.msr.lstar = kEntry;
        cpu.msr.sfmask = 0x47700;  // TF, IF, DF, IOPL, NT, AC
        cpu.msr.kernel_gs_base = kPerCpu;
        cpu.flush_tlb();
        cpu.mode_changed();
        this->io.on_mmio_read = [this] { watch(); };
    }

    void watch() {
        Cpu& cpu = this->cpu();
        seen.push_back(look(cpu));
        const auto before = derived(cpu);
        cpu.mode_changed();
        EXPECT_EQ(before, derived(cpu)) << "look " << seen.size();
    }

    // Three times, so that the cache of modes is filled.
    void run_often() {
        for (unsigned i = 0; i < 3; ++i) {
            Cpu& cpu = this->cpu();
            cpu.gpr = {};
            cpu.gpr[x86::kRsp] = kKernelStack;
            cpu.set_rflags(x86::kFlagsFixed);
            cpu.cpl = 0;
            cpu.seg[x86::kCs] = {Machine::kKernelCode, {0xA09B}, 0xFFFFFFFF, 0};
            cpu.seg[x86::kGs].base = 0x1234;
            cpu.msr.kernel_gs_base = kPerCpu;
            cpu.pending = {};
            cpu.mode_changed();
            this->interrupts.request(kInterrupt);
            this->run_from(kKernel);
            seen.push_back(look(cpu));
            ends.push_back(cpu.rip);
            ends.push_back(this->template get<uint64_t>(Machine::kFaultStack - 40));
        }
    }

    std::vector<Seen> seen;
    std::vector<uint64_t> ends;
};

void look_here(Assembler& a) {
    a.mov(rax, ptr(kWatched));
}

// To the user's code by SYSRET.
void enter_user(Assembler& a, uint64_t rip = kUser, uint32_t flags = 2) {
    a.mov(rcx, rip);
    a.mov(r11d, flags);
    a.mov(rsp, kUserStack);
    a.db(0x48);
    a.sysret();
}

// The handler of system calls as kernels have it; `work`: between its prologue and its epilogue.
void write_entry(Assembler& a, const std::function<void(Assembler&)>& work) {
    Mem saved = ptr(0x10);
    saved.setSegment(gs);
    Mem top = ptr(0x18);
    top.setSegment(gs);
    a.swapgs();
    a.mov(saved, rsp);
    a.mov(rsp, top);
    a.push(r11);
    a.push(rcx);
    work(a);
    a.cli();
    a.pop(rcx);
    a.pop(r11);
    a.mov(rsp, saved);
    a.swapgs();
    a.db(0x48);
    a.sysret();
}

struct EntryCase {
    const char* name;
    void (*kernel)(Assembler& a);
    void (*user)(Assembler& a);
    friend std::ostream& operator<<(std::ostream& out, const EntryCase& c) { return out << c.name; }
};

class Entries : public testing::TestWithParam<EntryCase> {
protected:
    template <class Machine>
    void prepare(SystemMachine<Machine>& m) {
        m.template put<uint64_t>(kPerCpu + 0x18, kKernelStack - 0x100);
        m.code_at(kEntry, [](Assembler& a) {
            write_entry(a, [](Assembler& b) {
                look_here(b);
                b.stac();
                look_here(b);
                b.inc(qword_ptr(kUserStack - 0x40));
                b.clac();
                b.pushfq();
                b.pop(rdx);
                look_here(b);
            });
        });
        m.code_at(kKernel, GetParam().kernel);
        m.code_at(kUser, GetParam().user);
        m.run_often();
    }
};

TEST_P(Entries, AreThoseOfTheInterpreter) {
    SystemMachine<Interpreted> interpreted;
    SystemMachine<JitMachine> translated;
    prepare(interpreted);
    prepare(translated);
    EXPECT_EQ(translated.seen, interpreted.seen);
    EXPECT_EQ(translated.ends, interpreted.ends);
    EXPECT_EQ(translated.cpu().retired, interpreted.cpu().retired);
    EXPECT_GT(translated.statistics().regions, 0U);
}

void nothing(Assembler& a) {
    a.hlt();
}

void call_often(Assembler& a) {
    const Label loop = a.newLabel();
    a.mov(ebx, 10);
    a.bind(loop);
    look_here(a);
    a.stc();
    a.syscall();
    a.adc(rsi, rbx);
    a.push(r11);
    a.pop(rdi);
    a.dec(ebx);
    a.jnz(loop);
    a.hlt();  // #GP
}

const EntryCase kEntryCases[] = {
    {"system_calls", [](Assembler& a) { enter_user(a); }, call_often},
    {"interrupt_in_user_mode", [](Assembler& a) { enter_user(a, kUser, 0x202); }, call_often},
    {"alignment_flag_in_user_mode", [](Assembler& a) { enter_user(a, kUser, 0x40002); },
     call_often},
    {"trap_flag_in_user_mode", [](Assembler& a) { enter_user(a, kUser, 0x102); }, call_often},
    {"not_canonical", [](Assembler& a) { enter_user(a, uint64_t{1} << 47); }, nothing},
    {"no_system_calls",
     [](Assembler& a) {
         a.mov(ecx, x86::kMsrEfer);
         a.rdmsr();
         a.xor_(eax, x86::kEferSce);
         a.wrmsr();
         enter_user(a);
     },
     call_often},
    {"nothing_masked",
     [](Assembler& a) {
         a.mov(ecx, x86::kMsrSfmask);
         a.xor_(eax, eax);
         a.xor_(edx, edx);
         a.wrmsr();
         enter_user(a, kUser, 0x46);
     },
     call_often},
    {"sti_lets_one_instruction_pass",
     [](Assembler& a) {
         a.sti();
         a.inc(rbx);
         a.inc(rbx);
         a.hlt();
     },
     nothing},
    {"sti_before_a_jump",
     [](Assembler& a) {
         const Label next = a.newLabel();
         a.sti();
         a.jmp(next);
         a.bind(next);
         a.cli();
         a.inc(rbx);
         a.hlt();
     },
     nothing},
    {"sti_before_a_loop",
     [](Assembler& a) {
         const Label loop = a.newLabel();
         a.sti();
         a.bind(loop);
         a.inc(rbx);
         a.cmp(rbx, 5);
         a.jne(loop);
         a.hlt();
     },
     nothing},
    {"sti_before_a_fault",
     [](Assembler& a) {
         a.sti();
         a.mov(rax, ptr(rbx, 0x700000));
         a.hlt();
     },
     nothing},
    {"sti_before_hlt",
     [](Assembler& a) {
         a.sti();
         a.hlt();
     },
     nothing},
    {"sti_before_a_system_instruction",
     [](Assembler& a) {
         a.sti();
         a.cli();
         a.inc(rbx);
         a.sti();
         a.swapgs();
         a.inc(rbx);
         a.hlt();
     },
     nothing},
    {"sti_keeps_flags",
     [](Assembler& a) {
         a.stc();
         a.sti();
         a.adc(rbx, 7);
         a.adc(rbx, 7);
         a.hlt();
     },
     nothing},
    {"privileged_cli", [](Assembler& a) { enter_user(a); },
     [](Assembler& a) {
         a.inc(rbx);
         a.cli();
     }},
    {"privileged_sti", [](Assembler& a) { enter_user(a); },
     [](Assembler& a) {
         a.sti();
         a.inc(rbx);
     }},
    {"privileged_swapgs", [](Assembler& a) { enter_user(a); }, [](Assembler& a) { a.swapgs(); }},
    {"privileged_sysret", [](Assembler& a) { enter_user(a); }, [](Assembler& a) { enter_user(a); }},
    {"privileged_stac", [](Assembler& a) { enter_user(a); }, [](Assembler& a) { a.stac(); }},
    {"privileged_read_of_cr2", [](Assembler& a) { enter_user(a); },
     [](Assembler& a) { a.mov(rbx, cr2); }},
    {"system_call_of_the_kernel",
     [](Assembler& a) {
         a.mov(rbx, rsp);
         a.syscall();
         a.hlt();
     },
     nothing},
    {"segment_bases",
     [](Assembler& a) {
         Mem at = ptr(0x10);
         at.setSegment(fs);
         a.mov(eax, kPerCpu);
         a.stc();
         a.wrfsbase(rax);
         a.adc(at, rax);
         a.rdfsbase(rsi);
         a.rdgsbase(edi);
         a.mov(r10, -1);
         a.wrgsbase(r10);
         a.rdgsbase(r11);
         a.wrgsbase(r10d);
         a.rdgsbase(r9);
         a.shl(rax, 40);
         a.wrfsbase(rax);
     },
     nothing},
    {"segment_bases_that_are_off",
     [](Assembler& a) {
         a.mov(rax, cr4);
         a.btr(rax, 16);
         a.mov(cr4, rax);
         a.rdfsbase(rbx);
     },
     nothing},
    {"registers",
     [](Assembler& a) {
         a.mov(rax, cr0);
         a.mov(r10, cr3);
         a.mov(rdi, cr4);
         a.mov(ebx, ss);
         a.mov(rcx, -1);
         a.mov(cx, es);
         a.mov(r9, -1);
         a.mov(r9w, ss);
         a.mov(r11, cs);
         a.mov(rsi, ds);
         a.std();
         a.pushfq();
         a.pop(rdx);
         a.cld();
         a.pushfq();
         a.pop(rbp);
         a.hlt();
     },
     nothing},
    {"modes_that_are_forgotten_in_a_loop",
     [](Assembler& a) {
         const Label loop = a.newLabel();
         const Label odd = a.newLabel();
         a.mov(ecx, 40);
         a.bind(loop);
         a.test(ecx, 1);
         a.jnz(odd);
         a.stac();
         a.inc(rbx);
         a.bind(odd);
         a.clac();
         a.mov(rax, cr0);
         a.btc(rax, 3);
         a.mov(cr0, rax);
         a.dec(ecx);
         a.jnz(loop);
         a.hlt();
     },
     nothing},
    {"frames",
     [](Assembler& a) {
         a.mov(rbp, kUserStack - 16);
         a.stac();
         a.mov(qword_ptr(rbp), 0x1111);
         a.mov(qword_ptr(rbp, 8), kKernelStack);
         a.stc();
         a.leave();
         a.adc(rbx, rsp);
         a.pop(rsp);
         a.mov(rsi, rsp);
         a.clac();
         a.mov(rbp, kUserStack);
         a.leave();  // SMAP
     },
     nothing},
};

INSTANTIATE_TEST_SUITE_P(Cases, Entries, testing::ValuesIn(kEntryCases),
                         [](const auto& param) { return std::string(param.param.name); });

// --- the time stamp counter

class TickingClock final : public Clock {
public:
    static constexpr uint64_t kOffset = 0x123456789ABC;

    uint64_t now_ns() const override { return 0; }
    uint64_t wall_ns() const override { return 0; }
    uint64_t tsc() const override { return __builtin_ia32_rdtsc() + kOffset; }
    uint64_t tsc_hz() const override { return 1'000'000'000; }
    std::optional<uint64_t> host_tsc_offset() const override { return kOffset; }
};

class TimeStamps : public testing::Test {
protected:
    struct Machine : LongMachine {
        explicit Machine(const Clock& ticking)
            : LongMachine([&](const VcpuWiring& wiring, GuestMemory& ram, const Clock&,
                              const interp::CpuModel& model, interp::CodeCoherence& coherence) {
                  return make_testing_cpu(wiring, ram, ticking, model, coherence);
              }),
              runtime(static_cast<JitCpu&>(cpu()), {.hot = 0}) {}
        Runtime runtime;
    };

    TickingClock clock_;
    Machine m{clock_};
};

TEST_F(TimeStamps, AreTheHostsWithBothOffsets) {
    constexpr uint64_t kGuestOffset = 0xFFFF000000000000;
    m.code_at(kKernel, [](Assembler& a) {
        a.stc();
        a.mov(rcx, -1);
        a.rdtsc();
        a.adc(rbx, 0);
        a.shl(rdx, 32);
        a.lea(rsi, ptr(rax, rdx));
        a.stc();
        a.rdtscp();
        a.adc(rbx, 0);
        a.shl(rdx, 32);
        a.lea(rdi, ptr(rax, rdx));
        a.hlt();
    });
    m.cpu().msr.tsc_offset = kGuestOffset;
    m.cpu().msr.tsc_aux = 0x1234;
    const uint64_t before = clock_.tsc() + kGuestOffset;
    m.run_from(kKernel);
    const uint64_t after = clock_.tsc() + kGuestOffset;
    EXPECT_LE(before, m.gpr(x86::kRsi));
    EXPECT_LE(m.gpr(x86::kRsi), m.gpr(x86::kRdi));
    EXPECT_LE(m.gpr(x86::kRdi), after);
    EXPECT_EQ(m.gpr(x86::kRcx), 0x1234U);
    EXPECT_EQ(m.gpr(x86::kRbx), 2U) << "CF";
    EXPECT_EQ(m.runtime.statistics().interpreted, 1U) << "HLT";
}

TEST_F(TimeStamps, CanBeForbidden) {
    m.cpu().cr4 |= x86::kCr4Tsd;
    m.cpu().cpl = 3;
    m.cpu().seg[x86::kCs] = {LongMachine::kUserCode, {0xA0FB}, 0xFFFFFFFF, 0};
    m.cpu().mode_changed();
    m.code_at(kKernel, [](Assembler& a) { a.rdtsc(); });
    m.run_from(kKernel);
    EXPECT_EQ(m.handler(), 13U);
}

// Vectors stay in the host's registers across changes of mode.
TEST(EntriesAndVectors, KeepThem) {
    SystemMachine<JitMachine> m;
    m.put<uint64_t>(kPerCpu + 0x18, kKernelStack - 0x100);
    m.code_at(kEntry, [](Assembler& a) { write_entry(a, [](Assembler& b) { b.nop(); }); });
    m.code_at(kKernel, [](Assembler& a) { enter_user(a); });
    m.code_at(kUser, [](Assembler& a) {
        const Label loop = a.newLabel();
        a.mov(ebx, 10);
        a.mov(eax, 5);
        a.movq(xmm1, rax);
        a.pxor(xmm2, xmm2);
        a.bind(loop);
        a.paddq(xmm2, xmm1);
        a.syscall();
        a.paddq(xmm2, xmm1);
        a.dec(ebx);
        a.jnz(loop);
        a.movq(rsi, xmm2);
        a.hlt();
    });
    m.run_often();
    EXPECT_EQ(m.gpr(x86::kRsi), 100U);
}

// No instruction of a system call is interpreted once its modes are known.
TEST(EntriesAndModes, NeedNoInterpreter) {
    SystemMachine<JitMachine> m;
    m.put<uint64_t>(kPerCpu + 0x18, kKernelStack - 0x100);
    m.code_at(kEntry, [](Assembler& a) {
        write_entry(a, [](Assembler& b) {
            b.sti();
            b.nop();
            b.stac();
            b.clac();
        });
    });
    m.code_at(kKernel, [](Assembler& a) { enter_user(a); });
    m.code_at(kUser, [](Assembler& a) {
        const Label loop = a.newLabel();
        a.mov(ebx, 1000);
        a.bind(loop);
        a.syscall();
        a.dec(ebx);
        a.jnz(loop);
        a.hlt();
    });
    m.run_often();
    const uint64_t interpreted = m.statistics().interpreted;
    const uint64_t entries = m.statistics().entries;
    m.run_often();
    EXPECT_LT(m.statistics().interpreted - interpreted, 50U);
    EXPECT_LT(m.statistics().entries - entries, 50U);
}

}  // namespace
}  // namespace banyan::jit
