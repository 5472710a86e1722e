#include "conformance/native_cpu.hpp"

#include <cpuid.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "arch/x86/xsave_layout.hpp"
#include "conformance/offered.hpp"

namespace banyan::conformance {

namespace {

// What the assembly below reads and the signal handler writes. One case runs at a time.
struct Context {
    std::array<uint64_t, 16> gpr;
    uint64_t rflags;
    uint64_t target;
    uint64_t host_stack;
    uint64_t components;
    alignas(64) std::array<std::byte, 4096> xsave;  // in the host's layout
};

}  // namespace

extern "C" {
Context banyan_native_context;
void banyan_native_enter();
void banyan_native_leave();
}

// Saves what the ABI wants kept, loads the case's state and jumps; the signal handler comes back to
// banyan_native_leave.
__asm__(R"(
    .text
    .globl banyan_native_enter
banyan_native_enter:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    leaq banyan_native_context(%rip), %r15
    movq %rsp, 144(%r15)
    movl 152(%r15), %eax
    xorl %edx, %edx
    xrstor64 192(%r15)
    pushq 128(%r15)
    popfq
    movq 0(%r15), %rax
    movq 8(%r15), %rcx
    movq 16(%r15), %rdx
    movq 24(%r15), %rbx
    movq 32(%r15), %rsp
    movq 40(%r15), %rbp
    movq 48(%r15), %rsi
    movq 56(%r15), %rdi
    movq 64(%r15), %r8
    movq 72(%r15), %r9
    movq 80(%r15), %r10
    movq 88(%r15), %r11
    movq 96(%r15), %r12
    movq 104(%r15), %r13
    movq 112(%r15), %r14
    movq 120(%r15), %r15
    jmp *banyan_native_context+136(%rip)

    .globl banyan_native_leave
banyan_native_leave:
    cld
    fninit
    leaq banyan_native_context(%rip), %r15
    movq 144(%r15), %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
)");
static_assert(offsetof(Context, rflags) == 128 && offsetof(Context, target) == 136);
static_assert(offsetof(Context, host_stack) == 144 && offsetof(Context, xsave) == 192);
static_assert(offsetof(Context, components) == 152);

namespace {

constexpr std::array kSignals = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
constexpr uint64_t kComparedFlags = x86::kArithmeticFlags | x86::kDf;
constexpr uint32_t kDefaultMxcsr = 0x1F80;

volatile sig_atomic_t g_running = 0;
Outcome* g_outcome = nullptr;
alignas(16) std::byte g_signal_stack[128 * 1024];

// ucontext's order of registers, in encoding order.
constexpr std::array<int, 16> kGregs = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                        REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                        REG_R12, REG_R13, REG_R14, REG_R15};

[[noreturn]] void give_up(const char* what) {
    std::perror(what);
    std::abort();
}

// Where this host has the extended components, which cases have at places of our own.
struct HostLayout {
    std::array<size_t, x86::kXsaveComponents.size()> offsets{};

    HostLayout() {
        for (size_t i = 0; i < offsets.size(); ++i) {
            uint32_t size = 0;
            uint32_t offset = 0;
            uint32_t flags = 0;
            uint32_t reserved = 0;
            __cpuid_count(0xD, x86::kXsaveComponents[i].number, size, offset, flags, reserved);
            offsets[i] = offset;
        }
    }
    // `copy(ours, host's, size)` for each that is offered.
    template <class F>
    void for_each(F copy) const {
        for (size_t i = 0; i < offsets.size(); ++i) {
            const x86::XsaveComponent& c = x86::kXsaveComponents[i];
            if ((offered_components() & c.bit()) != 0) copy(c.offset, offsets[i], c.size);
        }
    }
};

const HostLayout& host_layout() {
    static const HostLayout layout;
    return layout;
}

void to_host(const Registers& registers, std::byte* area) {
    std::memcpy(area, registers.xsave.data(), x86::kXsaveAvxOffset);
    host_layout().for_each([&](size_t ours, size_t theirs, size_t size) {
        std::memcpy(area + theirs, registers.xsave.data() + ours, size);
    });
}

void from_host(const std::byte* area, Registers& registers) {
    std::memcpy(registers.xsave.data(), area, x86::kXsaveAvxOffset);
    host_layout().for_each([&](size_t ours, size_t theirs, size_t size) {
        std::memcpy(registers.xsave.data() + ours, area + theirs, size);
    });
}

void on_signal(int number, siginfo_t*, void* raw) {
    auto* context = static_cast<ucontext_t*>(raw);
    if (g_running == 0) {  // not ours: a defect of the test itself
        signal(number, SIG_DFL);
        return;
    }
    g_running = 0;
    const greg_t* gregs = context->uc_mcontext.gregs;
    for (size_t i = 0; i < kGregs.size(); ++i)
        g_outcome->after.gpr[i] = static_cast<uint64_t>(gregs[kGregs[i]]);
    g_outcome->after.rip = static_cast<uint64_t>(gregs[REG_RIP]);
    g_outcome->after.rflags = static_cast<uint64_t>(gregs[REG_EFL]) & kComparedFlags;
    g_outcome->vector = static_cast<unsigned>(gregs[REG_TRAPNO]);
    g_outcome->error = static_cast<uint32_t>(gregs[REG_ERR]);
    g_outcome->fault_address = g_outcome->vector == 14 ? static_cast<uint64_t>(gregs[REG_CR2]) : 0;
    // The signal frame holds an XSAVE area in standard format.
    from_host(reinterpret_cast<const std::byte*>(context->uc_mcontext.fpregs), g_outcome->after);
    context->uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(&banyan_native_leave);
    // Some processors do not return to a stack pointer that is not canonical.
    context->uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(banyan_native_context.host_stack);
    context->uc_mcontext.gregs[REG_EFL] &= ~static_cast<greg_t>(kComparedFlags);
    context->uc_mcontext.fpregs->mxcsr = kDefaultMxcsr;
}

void map(uint64_t address, size_t size, int protection) {
    void* got = mmap(reinterpret_cast<void*>(address), size, protection,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (got != reinterpret_cast<void*>(address)) give_up("map the pages of the native run");
}

void protect(uint64_t address, size_t size, int protection) {
    if (mprotect(reinterpret_cast<void*>(address), size, protection) != 0)
        give_up("protect the pages of the native run");
}

// Components of the XSAVE area that are in their initial state need not have been written by the
// kernel.
void normalise(Registers& registers) {
    uint64_t present = 0;
    std::memcpy(&present, registers.xsave.data() + x86::kXsaveLegacySize, sizeof(present));
    const auto clear = [&](size_t from, size_t size) {
        std::memset(registers.xsave.data() + from, 0, size);
    };
    if ((present & x86::kXcr0X87) == 0) {
        clear(0, 24);
        clear(32, 128);
        const uint16_t control = 0x37F;
        std::memcpy(registers.xsave.data(), &control, sizeof(control));
    }
    if ((present & x86::kXcr0Sse) == 0) clear(160, 256);
    for (const x86::XsaveComponent& c : x86::kXsaveComponents) {
        if ((present & c.bit()) == 0) clear(c.offset, c.size);
    }
    clear(416, 96);                    // free for software
    clear(x86::kXsaveLegacySize, 64);  // the header
}

}  // namespace

NativeCpu::NativeCpu() {
    map(kCodePage, 4096, PROT_READ | PROT_WRITE);
    map(kDataPages, kDataSize, PROT_READ | PROT_WRITE);
    const stack_t stack{.ss_sp = g_signal_stack, .ss_flags = 0, .ss_size = sizeof(g_signal_stack)};
    if (sigaltstack(&stack, nullptr) != 0) give_up("install a signal stack");
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (const int number : kSignals) {
        if (sigaction(number, &action, nullptr) != 0) give_up("install a signal handler");
    }
}

NativeCpu::~NativeCpu() {
    for (const int number : kSignals)
        signal(number, SIG_DFL);
    munmap(reinterpret_cast<void*>(kCodePage), 4096);
    munmap(reinterpret_cast<void*>(kDataPages), kDataSize);
}

Outcome NativeCpu::run(const TestCase& test) {
    Outcome outcome;
    protect(kCodePage, 4096, PROT_READ | PROT_WRITE);
    // Cases may read their code's page, too: the same as in the guest.
    std::memset(reinterpret_cast<void*>(kCodePage), 0, 4096);
    std::memcpy(reinterpret_cast<void*>(kCodePage), test.code.data(), test.code.size());
    protect(kCodePage, 4096, PROT_READ | PROT_EXEC);
    protect(kDataPages + kWritableSize, kDataSize - kWritableSize, PROT_READ | PROT_WRITE);
    std::memcpy(reinterpret_cast<void*>(kDataPages), test.data.data(), kDataSize);
    protect(kDataPages + kWritableSize, kDataSize - kWritableSize, PROT_READ);

    banyan_native_context.gpr = test.before.gpr;
    banyan_native_context.rflags = test.before.rflags | 0x202;
    banyan_native_context.target = kCodePage;
    banyan_native_context.components = offered_components();
    to_host(test.before, banyan_native_context.xsave.data());
    g_outcome = &outcome;
    g_running = 1;
    banyan_native_enter();

    normalise(outcome.after);
    const auto* data = reinterpret_cast<const std::byte*>(kDataPages);
    outcome.data.assign(data, data + kDataSize);
    return outcome;
}

}  // namespace banyan::conformance
