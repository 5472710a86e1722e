// TestMachine: one vCPU with a megabyte of memory, for the tests of this folder and the JIT's. Code
// is given as bytes; descriptor tables stand where the constants say; every vector's handler is
// HLT, so that after run() RIP tells which one was entered.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cpu/interp/code_cache.hpp"
#include "cpu/interp/code_coherence.hpp"
#include "cpu/interp/cpu.hpp"
#include "cpu/interp/cpu_model.hpp"
#include "support/assert.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan::interp {

// Exceptions as handler() tells them.
inline constexpr auto kDb = static_cast<unsigned>(x86::Vector::db);
inline constexpr auto kBr = static_cast<unsigned>(x86::Vector::br);
inline constexpr auto kUd = static_cast<unsigned>(x86::Vector::ud);
inline constexpr auto kDf = static_cast<unsigned>(x86::Vector::df);
inline constexpr auto kTs = static_cast<unsigned>(x86::Vector::ts);
inline constexpr auto kNp = static_cast<unsigned>(x86::Vector::np);
inline constexpr auto kSsFault = static_cast<unsigned>(x86::Vector::ss);
inline constexpr auto kGp = static_cast<unsigned>(x86::Vector::gp);

// Remembers what was written to ports; reads give the port's number, then one more each time.
class RecordingIo final : public CpuIo {
public:
    struct Write {
        uint16_t port;
        unsigned size;
        uint32_t value;
        friend bool operator==(const Write&, const Write&) = default;
    };

    uint32_t port_read(uint16_t port, unsigned) override { return port + reads_++; }
    void port_write(uint16_t port, unsigned size, uint32_t value) override {
        writes_.push_back({port, size, value});
    }
    uint64_t mmio_read(Gpa, unsigned) override {
        if (on_mmio_read) on_mmio_read();
        return mmio_value;
    }
    void mmio_write(Gpa, unsigned, uint64_t) override {}

    std::function<void()> on_mmio_read;
    uint64_t mmio_value = ~uint64_t{0};

    void forget() {
        reads_ = 0;
        writes_.clear();
    }
    unsigned reads() const { return reads_; }
    const std::vector<Write>& writes() const { return writes_; }

private:
    unsigned reads_ = 0;
    std::vector<Write> writes_;
};

// A local APIC with one interrupt at most.
class FakeInterrupts final : public CpuInterrupts {
public:
    bool interrupt_pending() const override { return vector_.has_value(); }
    std::optional<uint8_t> acknowledge_interrupt() override {
        const std::optional<uint8_t> vector = vector_;
        vector_.reset();
        return vector;
    }
    uint8_t read_cr8() const override { return cr8_; }
    void write_cr8(uint8_t priority) override { cr8_ = priority; }
    bool read_apic_msr(uint32_t index, uint64_t& value) override {
        value = index == x86::kMsrTscDeadline ? deadline_ : apic_base_;
        return index == x86::kMsrTscDeadline || index == x86::kMsrApicBase;
    }
    bool write_apic_msr(uint32_t index, uint64_t value) override {
        (index == x86::kMsrTscDeadline ? deadline_ : apic_base_) = value;
        return index == x86::kMsrTscDeadline || index == x86::kMsrApicBase;
    }
    bool set_pv_eoi(uint64_t msr) override {
        pv_eoi_ = msr;
        return true;
    }
    uint64_t pv_eoi() const override { return pv_eoi_; }

    void request(uint8_t vector) { vector_ = vector; }
    uint64_t deadline() const { return deadline_; }

private:
    std::optional<uint8_t> vector_;
    uint8_t cr8_ = 0;
    uint64_t apic_base_ = 0xFEE00900;
    uint64_t deadline_ = 0;
    uint64_t pv_eoi_ = 0;
};

class TestMachine {
public:
    static constexpr uint64_t kMemorySize = 1 << 20;
    // Guest-physical, and linear too: paging maps one to one where it is on.
    static constexpr uint64_t kIdt = 0x1000;
    static constexpr uint64_t kGdt = 0x2000;
    static constexpr uint64_t kHandlers = 0x3000;  // HLT at 16 * vector
    static constexpr uint64_t kTss = 0x4000;
    static constexpr uint64_t kPageTables = 0x5000;  // PML4, PDPT, directory with 2 MiB pages
    static constexpr uint64_t kCode = 0x10000;
    static constexpr uint64_t kData = 0x20000;
    static constexpr uint64_t kInnerStack = 0x30000;  // top, of CPL 0 in the TSS
    static constexpr uint64_t kStack = 0x40000;       // top, where code starts
    static constexpr uint16_t kGdtLimit = 0xFF;

    static constexpr uint16_t kKernelCode = 0x08;
    static constexpr uint16_t kKernelData = 0x10;
    static constexpr uint16_t kUserCode = 0x1B;
    static constexpr uint16_t kUserData = 0x23;
    static constexpr uint16_t kTssSelector = 0x28;  // two slots
    static constexpr uint16_t kFree = 0x38;         // first descriptor for tests to fill

    using MakeCpu = std::function<std::shared_ptr<Cpu>(
        const VcpuWiring&, GuestMemory&, const Clock&, const CpuModel&, CodeCoherence&)>;

    TestMachine()
        : TestMachine([](const VcpuWiring& wiring, GuestMemory& ram, const Clock& time,
                         const CpuModel& model, CodeCoherence& coherence) {
              return std::make_shared<Cpu>(wiring, ram, time, model, coherence);
          }) {}
    explicit TestMachine(const MakeCpu& make_cpu)
        : bytes_(kMemorySize + kPageSize), model_(make_model()) {
        void* start = bytes_.data();
        size_t space = bytes_.size();
        auto* aligned = static_cast<std::byte*>(std::align(kPageSize, kMemorySize, start, space));
        ram_ = {aligned, kMemorySize};
        BANYAN_ASSERT(memory.add_region(Gpa{0}, ram_, MemoryKind::ram).has_value());
        coherence_ = std::make_unique<CodeCoherence>(memory);
        const VcpuWiring wiring{.index = 0, .io = &io, .interrupts = &interrupts};
        cpu_ = make_cpu(wiring, memory, clock, model_, *coherence_);
        clear();
    }

    // All as new, but for the devices.
    void clear() {
        std::fill(ram_.begin(), ram_.end(), std::byte{0});
        for (uint64_t vector = 0; vector < 256; ++vector)
            put<uint8_t>(kHandlers + vector * 16, kHlt);
        cpu_->reset(false);
        io.forget();
    }

    Cpu& cpu() { return *cpu_; }

    template <class T>
    void put(uint64_t gpa, T value) {
        BANYAN_ASSERT(memory.write_object(Gpa{gpa}, value));
    }
    template <class T>
    T get(uint64_t gpa) {
        T value{};
        BANYAN_ASSERT(memory.read_object(Gpa{gpa}, value));
        return value;
    }
    void put_gdt(uint16_t selector, uint64_t descriptor) {
        put<uint64_t>(kGdt + (selector & 0xFFF8), descriptor);
    }
    void code(std::initializer_list<int> code_bytes, uint64_t at = kCode) {
        for (const int b : code_bytes)
            put<uint8_t>(at++, static_cast<uint8_t>(b));
    }

    // Real mode: CS:IP = 1000:0000, SS:SP = 4000:0000 below kStack, data segments 0; IVT at 0.
    void enter_real() {
        x86::RegisterState s = x86::power_on_state(true, 0);
        s.segments[x86::kCs] = {0x1000, {0x9B}, 0xFFFF, kCode};
        s.segments[x86::kSs] = {0x3000, {0x93}, 0xFFFF, 0x30000};
        s.gpr[x86::kRsp] = 0xFFF0;
        s.rip = 0;
        s.idtr = {0, 0x3FF};
        for (uint32_t vector = 0; vector < 256; ++vector) {
            put<uint32_t>(vector * 4, 0x03000000 | vector * 16);  // 0300:vector*16
        }
        start(s);
    }

    // 32-bit protected mode, flat, without paging.
    void enter_protected(uint8_t cpl = 0) {
        build_gdt(0x00CF9B000000FFFF, 0x00CFFB000000FFFF);
        put<uint64_t>(kGdt + kTssSelector, 0x00008B0000000067 | kTss << 16);
        put<uint32_t>(kTss + 4, kInnerStack);
        put<uint16_t>(kTss + 8, kKernelData);
        for (uint64_t vector = 0; vector < 256; ++vector) {
            put_gate(vector, 0x8E00, kKernelCode, kHandlers + vector * 16);
        }
        x86::RegisterState s = flat_state(cpl, 0xC09B, 0xC093);
        s.cr0 = x86::kCr0Pe | x86::kCr0Et | x86::kCr0Ne;
        s.idtr = {kIdt, 256 * 8 - 1};
        start(s);
    }

    // Long mode with 64-bit code; memory is mapped one to one for user and supervisor.
    void enter_long(uint8_t cpl = 0) {
        build_gdt(0x00AF9B000000FFFF, 0x00AFFB000000FFFF);
        put<uint64_t>(kGdt + kTssSelector, 0x00008B0000000067 | kTss << 16);
        put<uint64_t>(kGdt + kTssSelector + 8, 0);
        put<uint64_t>(kTss + 4, kInnerStack);
        put<uint64_t>(kPageTables, (kPageTables + 0x1000) | 0x67);
        put<uint64_t>(kPageTables + 0x1000, (kPageTables + 0x2000) | 0x67);
        put<uint64_t>(kPageTables + 0x2000, 0xE7);
        // The upper half of the IDT's page stays free: only 128 vectors.
        for (uint64_t vector = 0; vector < 128; ++vector)
            put_long_gate(vector, 0x8E00, 0);
        x86::RegisterState s = flat_state(cpl, 0xA09B, 0xC093);
        s.cr0 = x86::kCr0Pe | x86::kCr0Et | x86::kCr0Ne | x86::kCr0Wp | x86::kCr0Pg;
        s.cr3 = kPageTables;
        s.cr4 = x86::kCr4Pae | x86::kCr4OsFxsr;
        s.msr.efer = x86::kEferSce | x86::kEferLme | x86::kEferLma | x86::kEferNxe;
        s.idtr = {kIdt, 128 * 16 - 1};
        start(s);
    }

    // `attributes`: bits 47..32 of the gate: P, DPL and type above the parameter count or IST.
    void put_gate(uint64_t vector, uint64_t attributes, uint16_t selector, uint64_t offset) {
        put<uint64_t>(kIdt + vector * 8, gate(attributes, selector, offset));
    }
    void put_long_gate(uint64_t vector, uint64_t attributes, uint64_t ist) {
        put<uint64_t>(kIdt + vector * 16,
                      gate(attributes | ist, kKernelCode, kHandlers + vector * 16));
        put<uint64_t>(kIdt + vector * 16 + 8, 0);
    }
    static uint64_t gate(uint64_t attributes, uint16_t selector, uint64_t offset) {
        return (offset & 0xFFFF) | uint64_t{selector} << 16 | attributes << 32 |
               (offset & 0xFFFF0000) << 32;
    }

    // Runs until HLT.
    void run() {
        const Exit exit = cpu_->run();
        BANYAN_ASSERT(exit.reason == ExitReason::halted);
    }
    ExitReason run_until_exit() { return cpu_->run().reason; }

    // The vector whose handler has run into its HLT.
    std::optional<unsigned> handler() const {
        const uint64_t linear = cpu_->rip + cpu_->base[x86::kCs];
        if (linear < kHandlers || linear >= kHandlers + 0x1000 || (linear & 15) != 1)
            return std::nullopt;
        return static_cast<unsigned>((linear - kHandlers) / 16);
    }
    // Element `index` of the current stack.
    template <class T>
    T stack(unsigned index) {
        return get<T>(cpu_->base[x86::kSs] + cpu_->stack_pointer() + index * sizeof(T));
    }

    GuestMemory memory;
    FakeClock clock;
    RecordingIo io;
    FakeInterrupts interrupts;

private:
    static constexpr uint8_t kHlt = 0xF4;

    static CpuModel make_model() {
        Result<CpuModel> model = CpuModel::create("max", 1, FakeClock().tsc_hz());
        BANYAN_ASSERT(model.has_value());
        return *model;
    }

    void build_gdt(uint64_t kernel_code, uint64_t user_code) {
        put<uint64_t>(kGdt + kKernelCode, kernel_code);
        put<uint64_t>(kGdt + kKernelData, 0x00CF93000000FFFF);
        put<uint64_t>(kGdt + (kUserCode & 0xFFF8), user_code);
        put<uint64_t>(kGdt + (kUserData & 0xFFF8), 0x00CFF3000000FFFF);
    }

    x86::RegisterState flat_state(uint8_t cpl, unsigned code_attributes, unsigned data_attributes) {
        x86::RegisterState s = x86::power_on_state(true, 0);
        const unsigned dpl = cpl * 0x20U;
        const bool user = cpl == 3;
        const x86::SegmentRegister cs{user ? kUserCode : kKernelCode,
                                      {static_cast<uint16_t>(code_attributes | dpl)},
                                      0xFFFFFFFF,
                                      0};
        const x86::SegmentRegister data{user ? kUserData : kKernelData,
                                        {static_cast<uint16_t>(data_attributes | dpl)},
                                        0xFFFFFFFF,
                                        0};
        s.segments = {data, cs, data, data, data, data};
        s.gdtr = {kGdt, kGdtLimit};
        s.tr = {kTssSelector, {0x8B}, 0x67, kTss};
        s.gpr[x86::kRsp] = kStack;
        s.rip = kCode;
        return s;
    }

    void start(const x86::RegisterState& state) { cpu_->set_state(state); }

    std::vector<std::byte> bytes_;
    std::span<std::byte> ram_;
    CpuModel model_;
    std::unique_ptr<CodeCoherence> coherence_;
    std::shared_ptr<Cpu> cpu_;
};

}  // namespace banyan::interp
