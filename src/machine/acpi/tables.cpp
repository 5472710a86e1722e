#include "machine/acpi/tables.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>

#include "devices/chipset/acpi_pm.hpp"
#include "machine/acpi/tables_regs.hpp"
#include "support/assert.hpp"
#include "support/bits.hpp"
#include "support/object_bytes.hpp"

namespace banyan::acpi {

namespace {

constexpr std::string_view kOemId = "BANYAN";
constexpr std::string_view kOemTableId = "BNYNBRD1";
constexpr std::string_view kCreatorId = "BNYN";
constexpr uint32_t kRevision = 1;

constexpr uint8_t kSciInput = 9;
constexpr uint32_t kPcatCompatible = 1;
// Three comparators of 64 bits, legacy replacement, vendor 8086h: what the chip's capability
// register says in its low half.
constexpr uint32_t kHpetId = 0x8086A201;

template <size_t N>
void set_text(Text<N>& field, std::string_view text) {
    BANYAN_ASSERT(text.size() == N);
    std::copy(text.begin(), text.end(), field.begin());
}

// Tables one after the other, at the addresses where the guest will see them. What they point to is
// in the same area.
class Area {
public:
    explicit Area(Gpa base) : base_(base) {}

    // The address of what is added next.
    Gpa next(size_t alignment = kAlignment) const {
        return base_ + align_up(piece_.bytes.size(), alignment);
    }
    template <class T>
    Gpa add(const T& table, size_t alignment = kAlignment) {
        return add_bytes(std::as_bytes(std::span(&table, 1)), alignment);
    }
    // A table of a header and what follows it. Fills the common fields of the header.
    template <class T>
    Gpa add_table(std::string_view signature, uint8_t revision, T table,
                  std::span<const std::byte> rest = {}) {
        TableHeader header;
        set_text(header.signature, signature);
        header.length = static_cast<uint32_t>(sizeof(T) + rest.size());
        header.revision = revision;
        set_text(header.oem_id, kOemId);
        set_text(header.oem_table_id, kOemTableId);
        header.oem_revision = kRevision;
        set_text(header.creator_id, kCreatorId);
        header.creator_revision = kRevision;
        std::memcpy(static_cast<void*>(&table), &header, sizeof(header));

        const Gpa at = add(table);
        piece_.bytes.insert(piece_.bytes.end(), rest.begin(), rest.end());
        add_checksum(at, offsetof(TableHeader, checksum), sizeof(T) + rest.size());
        return at;
    }
    // `field`, within what is at `at`, holds an address.
    void add_pointer(Gpa at, size_t field, uint8_t size) {
        piece_.pointers.push_back({offset(at) + static_cast<uint32_t>(field), size});
    }
    void add_checksum(Gpa at, size_t field, size_t length) {
        const uint32_t start = offset(at);
        piece_.checksums.push_back(
            {start + static_cast<uint32_t>(field), start, static_cast<uint32_t>(length)});
    }
    RelocatableTables::Piece take() { return std::move(piece_); }

private:
    static constexpr size_t kAlignment = 8;

    uint32_t offset(Gpa at) const { return static_cast<uint32_t>(at - base_); }
    Gpa add_bytes(std::span<const std::byte> bytes, size_t alignment) {
        const Gpa at = next(alignment);
        piece_.bytes.resize(at - base_);
        piece_.bytes.insert(piece_.bytes.end(), bytes.begin(), bytes.end());
        return at;
    }

    Gpa base_;
    RelocatableTables::Piece piece_;
};

void fill_checksums(RelocatableTables::Piece& piece) {
    for (const auto& sum : piece.checksums) {
        piece.bytes[sum.offset] = std::byte{0};
        piece.bytes[sum.offset] =
            std::byte{zero_sum(std::span(piece.bytes).subspan(sum.start, sum.length))};
    }
}

uint32_t low32(Gpa gpa) {
    return static_cast<uint32_t>(gpa.value);
}

GenericAddress ports(uint16_t first, uint8_t bytes, uint8_t access) {
    constexpr uint8_t kPortSpace = 1;
    return {kPortSpace, static_cast<uint8_t>(8 * bytes), 0, access, uint64_t{first}};
}

constexpr uint8_t kByte = 1;
constexpr uint8_t kWord = 2;
constexpr uint8_t kDword = 3;

void set_power_management(Fadt& fadt) {
    fadt.sci_int = uint16_t{kSciInput};
    fadt.smi_cmd = uint32_t{AcpiPm::kSmiCommandPort};
    fadt.acpi_enable = AcpiPm::kAcpiEnable;
    fadt.acpi_disable = AcpiPm::kAcpiDisable;
    fadt.pm1a_evt_blk = uint32_t{AcpiPm::kPm1EventPort};
    fadt.pm1a_cnt_blk = uint32_t{AcpiPm::kPm1ControlPort};
    fadt.pm_tmr_blk = uint32_t{AcpiPm::kPmTimerPort};
    fadt.gpe0_blk = uint32_t{AcpiPm::kGpe0Port};
    fadt.pm1_evt_len = 4;
    fadt.pm1_cnt_len = 2;
    fadt.pm_tmr_len = 4;
    fadt.gpe0_blk_len = 4;
    fadt.x_pm1a_evt_blk = ports(AcpiPm::kPm1EventPort, 4, kWord);
    fadt.x_pm1a_cnt_blk = ports(AcpiPm::kPm1ControlPort, 2, kWord);
    fadt.x_pm_tmr_blk = ports(AcpiPm::kPmTimerPort, 4, kDword);
    fadt.x_gpe0_blk = ports(AcpiPm::kGpe0Port, 4, kByte);
    fadt.reset_reg = ports(AcpiPm::kResetPort, 1, kByte);
    fadt.reset_value = AcpiPm::kResetValue;
    // More than 100 and 1000 microseconds: there are no C2 and C3 states (section 5.2.9).
    fadt.p_lvl2_lat = uint16_t{101};
    fadt.p_lvl3_lat = uint16_t{1001};
}

Fadt make_fadt(const BoardDescription& board, Gpa facs, Gpa dsdt) {
    Fadt fadt{};
    set_power_management(fadt);
    fadt.firmware_ctrl = low32(facs);
    fadt.dsdt = low32(dsdt);
    fadt.x_dsdt = dsdt.value;
    fadt.century = 0x32;  // index in CMOS
    unsigned boot = kNoAspm;
    if (!board.vga) boot |= kNoVga;
    if (board.legacy_irq_chips) boot |= kLegacyDevices;
    if (board.keyboard) boot |= kKeyboardController;
    fadt.iapc_boot_arch = static_cast<uint16_t>(boot);
    fadt.flags = kWbinvd | kProcC1 | kNoFixedSleepButton | kRtcWakeNotFixed | kResetRegister;
    fadt.minor_version = 4;
    return fadt;
}

MadtOverride isa_override(uint8_t source, uint32_t gsi, uint16_t flags) {
    MadtOverride entry;
    entry.source = source;
    entry.gsi = gsi;
    entry.flags = flags;
    return entry;
}

std::vector<std::byte> madt_entries(const BoardDescription& board) {
    std::vector<std::byte> entries;
    for (unsigned cpu = 0; cpu < board.cpu_count; ++cpu) {
        MadtLocalApic local;
        local.processor_uid = static_cast<uint8_t>(cpu);
        local.apic_id = static_cast<uint8_t>(cpu);
        append_object(entries, local);
    }
    MadtIoApic io;
    io.address = board.ioapic;
    append_object(entries, io);
    // The 8254 is wired to input 2, as on every PC with an IO-APIC.
    if (board.legacy_irq_chips || board.hpet) append_object(entries, isa_override(0, 2, 0));
    constexpr uint16_t kActiveHighLevel = (3U << 2) | 1U;
    append_object(entries, isa_override(kSciInput, kSciInput, kActiveHighLevel));
    append_object(entries, MadtLocalNmi{});
    return entries;
}

Gpa add_madt(Area& area, const BoardDescription& board) {
    Madt madt{};
    madt.local_apic = board.local_apic;
    madt.flags = board.legacy_irq_chips ? kPcatCompatible : 0;
    return area.add_table("APIC", 5, madt, madt_entries(board));
}

Gpa add_mcfg(Area& area, const BoardDescription& board) {
    Mcfg mcfg{};
    mcfg.base = uint64_t{board.ecam.start};
    return area.add_table("MCFG", 1, mcfg);
}

Gpa add_hpet(Area& area, const BoardDescription& board) {
    HpetTable hpet{};
    hpet.event_timer_block_id = kHpetId;
    hpet.base = {0, 64, 0, 0, uint64_t{board.hpet_base}};
    hpet.minimum_tick = uint16_t{100};
    return area.add_table("HPET", 1, hpet);
}

// The RSDT is for systems older than ACPI 2.0; others take the XSDT.
RelocatableTables::Piece make_rsdp(Gpa base, Gpa rsdt, Gpa xsdt) {
    constexpr size_t kFirstPart = 20;  // what revision 1 had
    Rsdp rsdp;
    set_text(rsdp.oem_id, kOemId);
    rsdp.length = sizeof(rsdp);
    rsdp.rsdt = low32(rsdt);
    rsdp.xsdt = xsdt.value;
    Area area(base);
    area.add(rsdp);
    area.add_pointer(base, offsetof(Rsdp, rsdt), 4);
    area.add_pointer(base, offsetof(Rsdp, xsdt), 8);
    area.add_checksum(base, offsetof(Rsdp, checksum), kFirstPart);
    area.add_checksum(base, offsetof(Rsdp, extended_checksum), sizeof(rsdp));
    return area.take();
}

Gpa add_fadt(Area& area, const BoardDescription& board) {
    constexpr size_t kFacsAlignment = 64;
    const Gpa facs = area.add(Facs{}, kFacsAlignment);
    const aml::Bytes body = dsdt_body(board);
    const Gpa dsdt = area.add_table("DSDT", 2, TableHeader{}, std::as_bytes(std::span(body)));
    const Gpa fadt = area.add_table("FACP", 6, make_fadt(board, facs, dsdt));
    area.add_pointer(fadt, offsetof(Fadt, firmware_ctrl), 4);
    area.add_pointer(fadt, offsetof(Fadt, dsdt), 4);
    area.add_pointer(fadt, offsetof(Fadt, x_dsdt), 8);
    return fadt;
}

// RSDT and XSDT: a header and the addresses of all other tables.
template <class Number>
Gpa add_root(Area& area, std::string_view signature, std::span<const Gpa> tables) {
    std::vector<Le<Number>> addresses;
    for (const Gpa table : tables)
        addresses.emplace_back(static_cast<Number>(table.value));
    const Gpa root =
        area.add_table(signature, 1, TableHeader{}, std::as_bytes(std::span(addresses)));
    for (size_t i = 0; i < tables.size(); ++i)
        area.add_pointer(root, sizeof(TableHeader) + i * sizeof(Number), sizeof(Number));
    return root;
}

RelocatableTables build(const BoardDescription& board, Gpa rsdp, Gpa base) {
    BANYAN_ASSERT(board.cpu_count <= 255);  // local APIC entries have 8-bit ids
    Area area(base);
    std::vector<Gpa> tables{add_fadt(area, board), add_madt(area, board), add_mcfg(area, board)};
    if (board.hpet) tables.push_back(add_hpet(area, board));
    const Gpa rsdt = add_root<uint32_t>(area, "RSDT", tables);
    const Gpa xsdt = add_root<uint64_t>(area, "XSDT", tables);
    return {make_rsdp(rsdp, rsdt, xsdt), area.take()};
}

}  // namespace

std::vector<std::byte> build_tables(const BoardDescription& board, Gpa base) {
    constexpr uint64_t kRsdpSpace = 64;
    RelocatableTables tables = build(board, base, base + kRsdpSpace);
    fill_checksums(tables.rsdp);
    fill_checksums(tables.tables);
    std::vector<std::byte> all = std::move(tables.rsdp.bytes);
    all.resize(kRsdpSpace);
    all.insert(all.end(), tables.tables.bytes.begin(), tables.tables.bytes.end());
    return all;
}

RelocatableTables build_relocatable_tables(const BoardDescription& board) {
    return build(board, Gpa{0}, Gpa{0});
}

}  // namespace banyan::acpi
