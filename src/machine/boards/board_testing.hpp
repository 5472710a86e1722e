// For the board's tests and fuzz target: a board with fakes around it, and a guest that drives it
// by its vCPUs' buses.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "machine/boards/board.hpp"
#include "support/assert.hpp"
#include "vm/testing/fake_reclaimer.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan::testing {

class RecordingSignals final : public VcpuSignals {
public:
    void raise_interrupt() override { ++interrupts; }
    void raise_nmi() override { ++nmis; }
    void raise_smi() override { ++smis; }
    void raise_init() override { ++inits; }
    void raise_sipi(uint8_t vector) override { sipi_vector = vector; }

    std::atomic<unsigned> interrupts{0};
    std::atomic<unsigned> nmis{0};
    std::atomic<unsigned> smis{0};
    std::atomic<unsigned> inits{0};
    std::atomic<int> sipi_vector{-1};
};

// Everything that a test may want is connected; change `config` before build().
class TestMachine {
public:
    static constexpr uint64_t kRam = 4ULL << 20;

    struct alignas(kPageSize) Page {
        std::byte bytes[kPageSize] = {};
    };

    explicit TestMachine(BoardKind kind, unsigned cpus = 1) : disk(1 << 20), signals(cpus) {
        config.kind = kind;
        config.cpu_count = cpus;
        config.ram_size = kRam;
        config.serial.out = &serial;
        config.disks = {{&disk, "disk-0"}};
        config.rng = &entropy;
        config.balloon = &reclaimer;
        config.virtio_console = CharPortConfig{&console, nullptr};
        config.debug_exit_port = uint16_t{0xF4};
        config.debugcon = &debugcon;
    }

    // What is made from legacy_parts.cpp; before build().
    void add_legacy_parts() {
        config.disks.push_back({&nvme_disk, "disk-1", DiskBus::nvme, DiskMedium::disk});
        config.watchdog = MachineEvent::reset;
        config.generation_id = GenerationId{1, 2, 3};
        if (config.kind == BoardKind::pc) config.floppies = {&floppy};
    }

    void add_vga() {
        vga_memory.resize((256 << 10) / kPageSize);
        config.vga = VgaConfig{std::as_writable_bytes(std::span(vga_memory)), {}};
    }

    Result<void> build() {
        add_ram();
        TRY_ASSIGN(made, Board::create(config, {memory, clock, timers, control, engine_apics,
                                                pc_memory(), doorbells, ejected}));
        board = std::move(made);
        for (unsigned i = 0; i < config.cpu_count; ++i)
            board->attach_vcpu(i, signals[i]);
        return {};
    }

    uint32_t in(uint16_t port, unsigned size = 1) { return board->cpu_io(0).port_read(port, size); }
    void out(uint16_t port, uint32_t value, unsigned size = 1) {
        board->cpu_io(0).port_write(port, size, value);
    }
    uint64_t read(uint64_t gpa, unsigned size = 4) {
        return board->cpu_io(0).mmio_read({gpa}, size);
    }
    void write(uint64_t gpa, uint64_t value, unsigned size = 4) {
        board->cpu_io(0).mmio_write({gpa}, size, value);
    }

    // Configuration space by mechanism #1.
    uint32_t config_read(unsigned device, unsigned offset) {
        out(0xCF8, 0x80000000 | device << 11 | offset, 4);
        return in(0xCFC, 4);
    }
    void config_write(unsigned device, unsigned offset, uint32_t value) {
        out(0xCF8, 0x80000000 | device << 11 | offset, 4);
        out(0xCFC, value, 4);
    }
    // An entry of the IO-APIC's redirection table: edge- or level-triggered to APIC 0.
    void route(unsigned input, uint8_t vector, bool level = false) {
        write(0xFEC00000, 0x11 + 2 * input);
        write(0xFEC00010, 0);
        write(0xFEC00000, 0x10 + 2 * input);
        write(0xFEC00010, vector | (level ? 1U << 15 : 0U));
    }
    void enable_apic(unsigned cpu = 0) { board->cpu_io(cpu).mmio_write({0xFEE000F0}, 4, 0x1FF); }
    std::optional<uint8_t> take_interrupt(unsigned cpu = 0) {
        return board->cpu_interrupts(cpu).acknowledge_interrupt();
    }
    void end_interrupt(unsigned cpu = 0) { board->cpu_io(cpu).mmio_write({0xFEE000B0}, 4, 0); }

    FakeClock clock;
    FakeTimerService timers{clock};
    RecordingMachineControl control;
    RecordingChar serial;
    RecordingChar console;
    RecordingChar debugcon;
    MemoryBlock disk;
    MemoryBlock nvme_disk{1 << 20};
    MemoryBlock floppy{1440 * 1024};
    MemoryBlock hotplug_disk{1 << 20};
    FakeEntropy entropy;
    std::vector<std::vector<Page>> ram;
    std::vector<Page> vga_memory;
    std::vector<Page> shadow{MemoryMap::kShadow.length / kPageSize};
    std::vector<Page> rom{64};  // change them before build()
    std::vector<Page> flash{16};
    GuestMemory memory;
    FakeReclaimer reclaimer{memory};
    BoardConfig config;
    EngineApics* engine_apics = nullptr;   // set before build()
    EngineDoorbells* doorbells = nullptr;  // the same
    EjectListener* ejected = nullptr;      // the same
    std::vector<RecordingSignals> signals;
    std::unique_ptr<Board> board;

private:
    static std::span<std::byte> bytes_of(std::vector<Page>& pages) {
        return std::as_writable_bytes(std::span(pages));
    }
    PcMemory pc_memory() {
        if (config.kind != BoardKind::pc) return {};
        return {bytes_of(shadow), bytes_of(rom), bytes_of(flash)};
    }
    void add_ram() {
        const auto map = MemoryMap::create(kRam, Board::memory_layout(config.kind));
        BANYAN_ASSERT(map.has_value());
        for (const GpaRange& range : map->ram()) {
            ram.emplace_back(range.length / kPageSize);
            const auto bytes = std::as_writable_bytes(std::span(ram.back()));
            BANYAN_ASSERT(memory.add_region(range.start, bytes, MemoryKind::ram).has_value());
        }
    }
};

}  // namespace banyan::testing
