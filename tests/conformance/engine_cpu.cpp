#include "conformance/engine_cpu.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "conformance/offered.hpp"
#include "cpu/interp/interp_engine.hpp"
#include "cpu/jit/jit_engine.hpp"
#include "vm/engine.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan::conformance {

namespace {

// Guest-physical layout. Linear addresses are the native run's for code and data, and kKernel for
// the rest.
constexpr uint64_t kMemorySize = 64 * 4096;
constexpr uint64_t kPml4 = 0x1000;
constexpr uint64_t kPdpt = 0x2000;
constexpr uint64_t kDirectory = 0x3000;  // of the first GiB
constexpr uint64_t kCodeTable = 0x4000;
constexpr uint64_t kDataTable = 0x5000;
constexpr uint64_t kKernelTable = 0x6000;
constexpr uint64_t kIdt = 0x7000;
constexpr uint64_t kGdt = 0x8000;
constexpr uint64_t kTss = 0x9000;
constexpr uint64_t kHandlers = 0xA000;  // HLT at 16 * vector
constexpr uint64_t kStackTop = 0xD000;
constexpr uint64_t kCode = 0x10000;
constexpr uint64_t kData = 0x20000;

constexpr uint64_t kKernelWindow =
    0x30000000;  // linear address of guest-physical 0, for the supervisor

constexpr uint64_t kPresent = 1;
constexpr uint64_t kWritable = 2;
constexpr uint64_t kUserPage = 4;
constexpr uint64_t kUsed = 0x60;  // accessed and dirty

constexpr uint16_t kKernelCode = 0x08;
constexpr uint16_t kUserData = 0x1B;
constexpr uint16_t kUserCode = 0x23;
constexpr uint16_t kTssSelector = 0x28;

class NoIo final : public CpuIo {
public:
    uint32_t port_read(uint16_t, unsigned) override { return 0xFFFFFFFF; }
    void port_write(uint16_t, unsigned, uint32_t) override {}
    uint64_t mmio_read(Gpa, unsigned) override { return ~uint64_t{0}; }
    void mmio_write(Gpa, unsigned, uint64_t) override {}
};

template <class T>
T must(Result<T> result) {
    if (!result) {
        std::fprintf(stderr, "%s\n", std::string(result.error().text()).c_str());
        std::abort();
    }
    return std::move(*result);
}

}  // namespace

struct EngineCpu::Guest {
    alignas(4096) std::array<std::byte, kMemorySize> bytes{};
    GuestMemory memory;
    FakeClock clock;
    NoIo io;
    std::unique_ptr<Engine> engine;
    std::unique_ptr<Vcpu> vcpu;

    void put(uint64_t gpa, uint64_t value) {
        if (!memory.write_object(Gpa{gpa}, value)) std::abort();
    }
    void build_page_tables() {
        put(kPml4, kPdpt | kPresent | kWritable | kUserPage | kUsed);
        put(kPdpt, kDirectory | kPresent | kWritable | kUserPage | kUsed);
        const auto slot = [](uint64_t linear) { return (linear >> 21) * 8; };
        put(kDirectory + slot(kCodePage), kCodeTable | kPresent | kWritable | kUserPage | kUsed);
        put(kDirectory + slot(kDataPages), kDataTable | kPresent | kWritable | kUserPage | kUsed);
        put(kDirectory + slot(kKernelWindow), kKernelTable | kPresent | kWritable | kUsed);
        put(kCodeTable, kCode | kPresent | kUserPage | kUsed);
        for (uint64_t page = 0; page < kDataSize / 4096; ++page) {
            const uint64_t writable = page * 4096 < kWritableSize ? kWritable : 0;
            put(kDataTable + page * 8,
                (kData + page * 4096) | kPresent | kUserPage | kUsed | writable);
        }
        for (uint64_t page = 0; page < kMemorySize / 4096; ++page) {
            put(kKernelTable + page * 8, (page * 4096) | kPresent | kWritable | kUsed);
        }
    }
    void build_tables() {
        for (uint64_t vector = 0; vector < 32; ++vector) {
            const uint64_t handler = kKernelWindow + kHandlers + vector * 16;
            // A 64-bit interrupt gate with DPL 3, so that INT3 may use it.
            put(kIdt + vector * 16, (handler & 0xFFFF) | (uint64_t{kKernelCode} << 16) |
                                        (uint64_t{0xEE00} << 32) | ((handler & 0xFFFF0000) << 32));
            put(kIdt + vector * 16 + 8, handler >> 32);
            put(kHandlers + vector * 16, 0xF4);
        }
        put(kGdt + kKernelCode, 0x00AF9B000000FFFF);
        put(kGdt + kUserData - 3, 0x00CFF3000000FFFF);
        put(kGdt + kUserCode - 3, 0x00AFFB000000FFFF);
        put(kTss + 4, kKernelWindow + kStackTop);  // RSP0
    }
};

EngineCpu::EngineCpu(Kind kind) : guest_(std::make_unique<Guest>()) {
    Guest& g = *guest_;
    if (!g.memory.add_region(Gpa{0}, g.bytes, MemoryKind::ram)) std::abort();
    g.build_page_tables();
    g.build_tables();
    const EngineConfig config{.memory = &g.memory, .clock = &g.clock, .cpu_count = 1};
    // Everything is translated at once: each case runs but one time.
    g.engine = must(kind == Kind::jit ? jit::create_engine(config, "max", {.hot = 0})
                                      : interp::create_engine(config, "max"));
    g.vcpu = must(g.engine->create_vcpu(VcpuWiring{.index = 0, .io = &g.io}));
}

EngineCpu::~EngineCpu() = default;

namespace {

x86::RegisterState user_mode(const Registers& before) {
    x86::RegisterState s = x86::power_on_state(true, 0);
    s.gpr = before.gpr;
    s.rip = kCodePage;
    s.rflags = before.rflags | 0x202;
    s.cr0 = x86::kCr0Pe | x86::kCr0Mp | x86::kCr0Et | x86::kCr0Ne | x86::kCr0Wp | x86::kCr0Am |
            x86::kCr0Pg;
    s.cr3 = kPml4;
    s.cr4 = x86::kCr4Pae | x86::kCr4OsFxsr | x86::kCr4OsXmmExcpt | x86::kCr4OsXsave |
            x86::kCr4FsGsBase | x86::kCr4Umip;
    s.xcr0 = offered_components();
    s.msr.efer = x86::kEferSce | x86::kEferLme | x86::kEferLma | x86::kEferNxe;
    const x86::SegmentRegister data{kUserData, {0xC0F3}, 0xFFFFFFFF, 0};
    s.segments = {data, {kUserCode, {0xA0FB}, 0xFFFFFFFF, 0}, data, data, data, data};
    s.tr = {kTssSelector, {0x008B}, 0x67, kKernelWindow + kTss};
    s.gdtr = {kKernelWindow + kGdt, 0x7F};
    s.idtr = {kKernelWindow + kIdt, 32 * 16 - 1};
    s.xsave = before.xsave;
    return s;
}

// What the interrupt pushed, lowest address first.
struct Frame {
    uint64_t rip, cs, rflags, rsp, ss;
};

void forget_header(Registers& registers) {
    std::memset(registers.xsave.data() + 416, 0,
                x86::kXsaveLegacySize - 416 + x86::kXsaveHeaderSize);
}

}  // namespace

Outcome EngineCpu::run(const TestCase& test) {
    Guest& g = *guest_;
    std::array<std::byte, 4096> code{};
    std::memcpy(code.data(), test.code.data(), test.code.size());
    if (!g.memory.write(Gpa{kCode}, code) || !g.memory.write(Gpa{kData}, test.data)) std::abort();
    must(g.vcpu->set_state(user_mode(test.before)).map([] { return 0; }));
    const Exit exit = g.vcpu->run();
    if (exit.reason != ExitReason::halted) {
        std::fprintf(stderr, "the engine did not end in a handler: exit %u %s\n%s\n",
                     static_cast<unsigned>(exit.reason), std::string(exit.text).c_str(),
                     test.listing.c_str());
        std::abort();
    }
    x86::RegisterState state;
    g.vcpu->get_state(state);

    Outcome outcome;
    outcome.vector = static_cast<unsigned>((state.rip - kKernelWindow - kHandlers) / 16);
    uint64_t stack = state.gpr[x86::kRsp] - kKernelWindow;
    uint64_t error = 0;
    if (stack == kStackTop - sizeof(Frame) - 8) {
        if (!g.memory.read_object(Gpa{stack}, error)) std::abort();
        stack += 8;
    }
    Frame frame;
    if (!g.memory.read_object(Gpa{stack}, frame)) std::abort();
    outcome.error = static_cast<uint32_t>(error);
    outcome.fault_address = outcome.vector == 14 ? state.cr2 : 0;
    outcome.after.gpr = state.gpr;
    outcome.after.gpr[x86::kRsp] = frame.rsp;
    outcome.after.rip = frame.rip;
    outcome.after.rflags = frame.rflags & (x86::kArithmeticFlags | x86::kDf);
    outcome.after.xsave = state.xsave;
    forget_header(outcome.after);
    outcome.data.resize(kDataSize);
    if (!g.memory.read(Gpa{kData}, outcome.data)) std::abort();
    return outcome;
}

}  // namespace banyan::conformance
