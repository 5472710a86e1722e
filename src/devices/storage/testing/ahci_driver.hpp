// A driver of the AHCI controller, for tests: finds the registers by BAR 5, sets up a port's
// command list and receive area in guest memory, and issues commands as AHCI 1.3.1, 10 has it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "devices/pci/testing/fake_bar_mapper.hpp"
#include "devices/storage/ahci.hpp"
#include "devices/storage/ide.hpp"
#include "support/assert.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {

// What a board gives to the controller.
struct StorageBench {
    static constexpr uint64_t kRamSize = 1U << 20;

    explicit StorageBench(uint64_t size = kRamSize) : ram(size) {}

    FakeRam ram;
    FakeClock clock;
    FakeTimerService timers{clock};
    FakeBarMapper mapper;
    RecordingMsi msi;
    RecordingIrq irq;
    RecordingIrq isa;

    IdeWiring ide_wiring() { return {ram.memory(), mapper, isa.line(14), isa.line(15)}; }
    AhciWiring ahci_wiring() { return {ram.memory(), mapper, msi, clock, timers, irq.line()}; }

    // Guest RAM as text.
    void poke(Gpa gpa, std::string_view text) {
        BANYAN_ASSERT(ram.memory().write(gpa, std::as_bytes(std::span(text))));
    }
    std::string peek(Gpa gpa, size_t length) {
        std::string text(length, '\0');
        BANYAN_ASSERT(ram.memory().read(gpa, std::as_writable_bytes(std::span(text))));
        return text;
    }
};

class AhciDriver {
public:
    static constexpr uint64_t kRegisters = 0xc000'0000;
    static constexpr Gpa kLists{0x2000};   // 1 KiB a port
    static constexpr Gpa kFises{0x1000};   // 256 bytes a port
    static constexpr Gpa kTables{0x4000};  // 1 KiB a slot
    static constexpr Gpa kData{0x10000};

    // A command's register FIS.
    struct Registers {
        uint8_t command = 0;
        uint64_t lba = 0;
        uint16_t count = 0;
        uint16_t features = 0;
        uint8_t device = 0x40;
    };
    struct Piece {
        Gpa gpa;
        uint32_t length = 0;
        bool interrupt = false;
    };

    AhciDriver(StorageBench& bench, Ahci& hba, unsigned port = 0)
        : bench_(bench), hba_(hba), port_(port) {
        place();
    }

    void place() {
        hba_.set_bar_address(5, kRegisters);
        hba_.config_write(4, 2, 6);
    }
    uint32_t read(ahci::Hba reg) { return get(static_cast<uint64_t>(reg)); }
    void write(ahci::Hba reg, uint32_t value) { put(static_cast<uint64_t>(reg), value); }
    uint32_t read(ahci::Port reg) { return get(offset(reg)); }
    void write(ahci::Port reg, uint32_t value) { put(offset(reg), value); }

    // 10.1.2 "System Software Specific Initialization".
    void start() {
        write(ahci::Port::CLB, static_cast<uint32_t>((kLists + port_ * 1024).value));
        write(ahci::Port::FB, static_cast<uint32_t>(fis_area().value));
        write(ahci::Port::CMD, ahci::kCmdFisReceive | ahci::kCmdSpinUp);
        write(ahci::Port::SERR, ~0U);
        write(ahci::Port::IS, ~0U);
        write(ahci::Hba::IS, ~0U);
        write(ahci::Port::IE, ~0U);
        write(ahci::Hba::GHC, 0x8000'0002);
        write(ahci::Port::CMD, ahci::kCmdFisReceive | ahci::kCmdSpinUp | ahci::kCmdStart);
    }
    void restart_list() {
        write(ahci::Port::CMD, ahci::kCmdFisReceive);
        write(ahci::Port::CMD, ahci::kCmdFisReceive | ahci::kCmdStart);
    }

    void prepare(unsigned slot, const Registers& r, const std::vector<Piece>& pieces,
                 std::string_view packet = {}) {
        std::array<uint8_t, 0x80> table{0x27, 0x80, r.command, static_cast<uint8_t>(r.features)};
        for (unsigned i = 0; i < 3; ++i) {
            table[4 + i] = static_cast<uint8_t>(r.lba >> (8 * i));
            table[8 + i] = static_cast<uint8_t>(r.lba >> (8 * i + 24));
        }
        table[7] = r.device;
        table[11] = static_cast<uint8_t>(r.features >> 8);
        table[12] = static_cast<uint8_t>(r.count);
        table[13] = static_cast<uint8_t>(r.count >> 8);
        std::copy(packet.begin(), packet.end(), table.begin() + 0x40);
        object(table_of(slot), table);
        for (size_t i = 0; i < pieces.size(); ++i) {
            const uint32_t count = (pieces[i].length - 1) | (pieces[i].interrupt ? 1U << 31 : 0);
            object(table_of(slot) + 0x80 + 16 * i,
                   std::array<uint64_t, 2>{pieces[i].gpa.value, uint64_t{count} << 32});
        }
        ahci::CommandHeader header;
        header.flags = uint16_t{5};
        header.prdt_length = static_cast<uint16_t>(pieces.size());
        header.command_table = table_of(slot).value;
        object(header_of(slot), header);
    }
    void issue(unsigned slot, bool queued = false) {
        if (queued) write(ahci::Port::SACT, 1U << slot);
        write(ahci::Port::CI, 1U << slot);
    }
    // One command in slot 0 with its data at kData. Gives the task file.
    uint32_t run(const Registers& registers, uint32_t length = 0, std::string_view packet = {}) {
        std::vector<Piece> pieces;
        if (length != 0) pieces.push_back({kData, length});
        prepare(0, registers, pieces, packet);
        issue(0);
        return read(ahci::Port::TFD);
    }
    uint32_t moved(unsigned slot) {
        uint32_t count = 0;
        BANYAN_ASSERT(bench_.ram.memory().read_object(header_of(slot) + 4, count));
        return count;
    }
    std::string received(uint64_t at, size_t length) {
        return bench_.peek(fis_area() + at, length);
    }

    template <class T>
    void object(Gpa gpa, const T& value) {
        BANYAN_ASSERT(bench_.ram.memory().write_object(gpa, value));
    }
    Gpa fis_area() const { return kFises + port_ * 256; }
    Gpa header_of(unsigned slot) const { return kLists + port_ * 1024 + slot * 32; }
    static Gpa table_of(unsigned slot) { return kTables + slot * 1024; }

private:
    uint64_t offset(ahci::Port reg) const {
        return 0x100 + uint64_t{port_} * 0x80 + static_cast<uint64_t>(reg);
    }
    uint32_t get(uint64_t at) {
        return static_cast<uint32_t>(bench_.mapper.read(kRegisters + at, 4));
    }
    void put(uint64_t at, uint32_t value) { (void)bench_.mapper.write(kRegisters + at, 4, value); }

    StorageBench& bench_;
    Ahci& hba_;
    unsigned port_;
};

}  // namespace banyan
