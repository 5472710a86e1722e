#include "machine/acpi/tables.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <numeric>
#include <string>

#include "devices/chipset/acpi_pm.hpp"
#include "machine/acpi/tables_regs.hpp"

namespace banyan::acpi {
namespace {

constexpr Gpa kBase{0xE0000};

BoardDescription full_board() {
    BoardDescription board;
    board.cpu_count = 2;
    board.legacy_irq_chips = true;
    board.hpet = true;
    board.keyboard = true;
    board.vga = true;
    board.fw_cfg = true;
    board.pci_devices = 5;
    board.pci_windows = {{0xC0000000, 0x20000000}, {0xE0100000, 0x1EB00000}};
    board.ecam = {0xE0000000, 0x100000};
    board.ioapic = 0xFEC00000;
    board.local_apic = 0xFEE00000;
    board.hpet_base = 0xFED00000;
    board.dma = true;
    board.floppy = true;
    board.generation_id = 0xFF000;
    board.hotplug_devices = {30, 29};
    return board;
}

BoardDescription small_board() {
    BoardDescription board = full_board();
    board.cpu_count = 1;
    board.legacy_irq_chips = false;
    board.hpet = false;
    board.keyboard = false;
    board.vga = false;
    board.fw_cfg = false;
    board.dma = false;
    board.floppy = false;
    board.generation_id = 0;
    board.hotplug_devices.clear();
    board.pci_devices = 1;
    return board;
}

// The tables as a guest finds them: from the RSDP through the XSDT.
class Tables {
public:
    explicit Tables(const BoardDescription& board) : bytes_(build_tables(board, kBase)) {
        rsdp = at<Rsdp>(kBase.value);
        const auto header = at<TableHeader>(rsdp.xsdt);
        add("XSDT", rsdp.xsdt);
        for (uint64_t entry = sizeof(TableHeader); entry < header.length;
             entry += sizeof(uint64_t)) {
            const auto address = at<uint64_t>(rsdp.xsdt + entry);
            const auto table = at<TableHeader>(address);
            add(std::string(table.signature.data(), 4), address);
        }
        if (addresses.contains("FACP")) add("DSDT", get<Fadt>("FACP").x_dsdt);
    }

    template <class T>
    T at(uint64_t address) const {
        T value{};
        if (address < kBase.value || address - kBase.value + sizeof(T) > bytes_.size()) {
            ADD_FAILURE() << "address " << std::hex << address << " is outside the tables";
        } else {
            std::memcpy(&value, bytes_.data() + (address - kBase.value), sizeof(T));
        }
        return value;
    }
    template <class T>
    T get(const std::string& signature) const {
        return at<T>(addresses.at(signature));
    }
    std::span<const std::byte> bytes(uint64_t address, size_t length) const {
        return std::span(bytes_).subspan(address - kBase.value, length);
    }
    std::span<const std::byte> table(const std::string& signature) const {
        return bytes(addresses.at(signature), get<TableHeader>(signature).length);
    }

    Rsdp rsdp;
    std::map<std::string, uint64_t> addresses;

private:
    void add(const std::string& signature, uint64_t address) { addresses[signature] = address; }
    std::vector<std::byte> bytes_;
};

uint8_t sum(std::span<const std::byte> bytes) {
    return static_cast<uint8_t>(
        std::accumulate(bytes.begin(), bytes.end(), 0U,
                        [](unsigned s, std::byte b) { return s + std::to_integer<unsigned>(b); }));
}

TEST(AcpiTables, HaveRightChecksums) {
    const Tables tables(full_board());
    EXPECT_EQ(sum(tables.bytes(kBase.value, 20)), 0);
    EXPECT_EQ(sum(tables.bytes(kBase.value, 36)), 0);
    for (const auto& [signature, address] : tables.addresses)
        EXPECT_EQ(sum(tables.table(signature)), 0) << signature;
}

TEST(AcpiTables, AreAllListed) {
    const Tables full(full_board());
    for (const char* signature : {"FACP", "APIC", "MCFG", "HPET", "DSDT"}) {
        EXPECT_TRUE(full.addresses.contains(signature)) << signature;
    }
    EXPECT_FALSE(Tables(small_board()).addresses.contains("HPET"));
}

TEST(AcpiTables, FadtLeadsToFacsAndDsdt) {
    const Tables tables(full_board());
    const auto fadt = tables.get<Fadt>("FACP");
    EXPECT_EQ(fadt.header.length, 276U);
    EXPECT_EQ(fadt.header.revision, 6);
    EXPECT_EQ(uint64_t{fadt.dsdt}, uint64_t{fadt.x_dsdt});
    const auto facs = tables.at<Facs>(fadt.firmware_ctrl);
    EXPECT_EQ(std::string(facs.signature.data(), 4), "FACS");
    EXPECT_EQ(fadt.firmware_ctrl % 64, 0U);
}

TEST(AcpiTables, DsdtNamesWhatTheBoardHas) {
    const auto has = [](const BoardDescription& board, std::string_view name) {
        const aml::Bytes body = dsdt_body(board);
        return std::search(body.begin(), body.end(), name.begin(), name.end()) != body.end();
    };
    for (const std::string_view name :
         {"FDC0", "DMAC", "VGEN", "VM_Gen_Counter", "_E05", "S1E_", "_EJ0", "_E01"}) {
        EXPECT_TRUE(has(full_board(), name)) << name;
        EXPECT_FALSE(has(small_board(), name)) << name;
    }
}

TEST(AcpiTables, FadtNamesThePortsOfTheChip) {
    const auto fadt = Tables(full_board()).get<Fadt>("FACP");
    EXPECT_EQ(fadt.pm1a_evt_blk, 0x600U);
    EXPECT_EQ(fadt.pm1a_cnt_blk, 0x604U);
    EXPECT_EQ(fadt.pm_tmr_blk, 0x608U);
    EXPECT_EQ(fadt.gpe0_blk, 0x620U);
    EXPECT_EQ(fadt.reset_reg.space, 1);
    EXPECT_EQ(fadt.reset_reg.address, 0xCF9U);
    EXPECT_EQ(fadt.reset_value, 6);
    EXPECT_EQ(fadt.sci_int, 9U);
    EXPECT_EQ(fadt.flags & (1U << 4), 0U) << "the power button is a fixed one";
    EXPECT_EQ(fadt.flags & (1U << 8), 0U) << "the chip's timer has 24 bits";
    EXPECT_EQ(fadt.flags & (1U << 20), 0U) << "not hardware-reduced";
}

TEST(AcpiTables, FadtSaysWhichLegacyChipsThereAre) {
    const auto full = Tables(full_board()).get<Fadt>("FACP");
    const auto small = Tables(small_board()).get<Fadt>("FACP");
    EXPECT_EQ(full.iapc_boot_arch & 3, 3);
    EXPECT_EQ(small.iapc_boot_arch & 3, 0);
    EXPECT_EQ(full.iapc_boot_arch & kNoVga, 0);
    EXPECT_EQ(small.iapc_boot_arch & kNoVga, kNoVga);
}

// The MADT's entries by type.
std::multimap<unsigned, std::vector<std::byte>> madt_entries(const Tables& tables) {
    std::multimap<unsigned, std::vector<std::byte>> entries;
    auto rest = tables.table("APIC").subspan(sizeof(Madt));
    while (rest.size() >= 2) {
        const auto length = std::to_integer<size_t>(rest[1]);
        if (length < 2 || length > rest.size()) {
            ADD_FAILURE() << "entry of impossible length " << length;
            break;
        }
        entries.emplace(std::to_integer<unsigned>(rest[0]),
                        std::vector(rest.begin(), rest.begin() + ptrdiff_t(length)));
        rest = rest.subspan(length);
    }
    EXPECT_TRUE(rest.empty());
    return entries;
}

TEST(AcpiTables, MadtListsProcessorsAndIoApic) {
    const Tables tables(full_board());
    EXPECT_EQ(tables.get<Madt>("APIC").local_apic, 0xFEE00000U);
    EXPECT_EQ(tables.get<Madt>("APIC").flags, 1U);
    const auto entries = madt_entries(tables);
    EXPECT_EQ(entries.count(0), 2U);
    EXPECT_EQ(entries.count(1), 1U);
    EXPECT_EQ(entries.count(2), 2U);
    EXPECT_EQ(entries.count(4), 1U);
    EXPECT_EQ(entries.begin()->second[3], std::byte{0}) << "the boot processor comes first";
}

TEST(AcpiTables, MadtOverridesTimerAndSci) {
    const Tables tables(full_board());
    const auto entries = madt_entries(tables);
    std::map<unsigned, MadtOverride> overrides;
    for (auto [at, end] = entries.equal_range(2); at != end; ++at) {
        MadtOverride entry;
        ASSERT_EQ(at->second.size(), sizeof(entry));
        std::memcpy(&entry, at->second.data(), sizeof(entry));
        overrides[entry.source] = entry;
    }
    EXPECT_EQ(overrides.at(0).gsi, 2U);
    EXPECT_EQ(overrides.at(9).gsi, 9U);
    EXPECT_EQ(overrides.at(9).flags, 0xD) << "level-triggered, active high";
}

TEST(AcpiTables, MadtOfASmallBoardHasNo8259) {
    const Tables tables(small_board());
    EXPECT_EQ(tables.get<Madt>("APIC").flags, 0U);
    EXPECT_EQ(madt_entries(tables).count(0), 1U);
    EXPECT_EQ(madt_entries(tables).count(2), 1U);
}

TEST(AcpiTables, HoldsAsManyProcessorsAsIds) {
    BoardDescription board = full_board();
    board.cpu_count = 255;
    EXPECT_EQ(madt_entries(Tables(board)).count(0), 255U);
    EXPECT_LT(build_tables(board, kBase).size(), 0x10000U)
        << "must fit into the area of the memory map";
}

TEST(AcpiTables, McfgAndHpetNameTheirPlaces) {
    const Tables tables(full_board());
    EXPECT_EQ(tables.get<Mcfg>("MCFG").base, 0xE0000000U);
    EXPECT_EQ(tables.get<Mcfg>("MCFG").last_bus, 0);
    EXPECT_EQ(tables.get<HpetTable>("HPET").base.address, 0xFED00000U);
}

// For iasl: see README.md.
TEST(AcpiTables, CanBeWrittenOutForInspection) {
    const char* directory = std::getenv("BANYAN_ACPI_DUMP");
    const std::string target = directory != nullptr ? directory : testing::TempDir();
    const Tables tables(full_board());
    for (const auto& [signature, address] : tables.addresses) {
        std::ofstream file(target + "/" + signature + ".dat", std::ios::binary);
        const auto bytes = tables.table(signature);
        file.write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
        EXPECT_TRUE(file.good()) << signature;
    }
}

}  // namespace
}  // namespace banyan::acpi
