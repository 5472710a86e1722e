#include "machine/boards/firmware_config.hpp"

#include <algorithm>
#include <cstring>

#include "machine/acpi/tables.hpp"
#include "machine/boards/board_parts.hpp"
#include "machine/smbios/smbios.hpp"
#include "support/le.hpp"
#include "support/object_bytes.hpp"

namespace banyan {

namespace {

using Bytes = std::vector<std::byte>;

// Keys of numbered items.
enum Key : uint16_t {
    kUuid = 0x02,
    kRamSize = 0x03,
    kNoGraphics = 0x04,
    kCpuCount = 0x05,
    kBootMenu = 0x0E,
    kMaxCpus = 0x0F,
};

constexpr std::string_view kTablesFile = "etc/acpi/tables";
constexpr std::string_view kRsdpFile = "etc/acpi/rsdp";

Bytes text_bytes(std::string_view text) {
    Bytes bytes(text.size() + 1);
    std::memcpy(bytes.data(), text.data(), text.size());
    return bytes;
}

// "etc/table-loader": commands of 128 bytes that say how to put the ACPI tables into memory (QEMU,
// hw/acpi/bios-linker-loader.c, struct BiosLinkerLoaderEntry).
class LoaderScript {
public:
    void allocate(std::string_view file, uint32_t alignment, bool below_1_mib) {
        Bytes command = start(1);
        append_name(command, file);
        append_object(command, le32{alignment});
        append_object(command, static_cast<uint8_t>(below_1_mib ? 2 : 1));
        finish(std::move(command));
    }
    void add_pointer(std::string_view in_file, std::string_view to_file,
                     const acpi::RelocatableTables::Pointer& pointer) {
        Bytes command = start(2);
        append_name(command, in_file);
        append_name(command, to_file);
        append_object(command, le32{pointer.offset});
        append_object(command, pointer.size);
        finish(std::move(command));
    }
    void add_checksum(std::string_view file, const acpi::RelocatableTables::Checksum& sum) {
        Bytes command = start(3);
        append_name(command, file);
        append_object(command, le32{sum.offset});
        append_object(command, le32{sum.start});
        append_object(command, le32{sum.length});
        finish(std::move(command));
    }
    // Pointers into the tables first: checksums cover them.
    void add_piece(std::string_view file, const acpi::RelocatableTables::Piece& piece) {
        for (const auto& pointer : piece.pointers)
            add_pointer(file, kTablesFile, pointer);
        for (const auto& sum : piece.checksums)
            add_checksum(file, sum);
    }
    Bytes take() { return std::move(script_); }

private:
    static constexpr size_t kCommandSize = 128;
    static constexpr size_t kNameSize = 56;

    static Bytes start(uint32_t command) { return bytes_of(le32{command}); }
    static void append_name(Bytes& command, std::string_view name) {
        const size_t at = command.size();
        command.resize(at + kNameSize);
        std::memcpy(command.data() + at, name.data(), name.size());
    }
    void finish(Bytes command) {
        command.resize(kCommandSize);
        script_.insert(script_.end(), command.begin(), command.end());
    }

    Bytes script_;
};

Result<void> add_acpi(Board::Parts& parts, FwCfg& fw_cfg) {
    constexpr uint32_t kTablesAlignment = 64;
    constexpr uint32_t kRsdpAlignment = 16;
    const auto tables = acpi::build_relocatable_tables(parts.describe());
    LoaderScript script;
    script.allocate(kTablesFile, kTablesAlignment, false);
    script.allocate(kRsdpFile, kRsdpAlignment, true);
    script.add_piece(kTablesFile, tables.tables);
    script.add_piece(kRsdpFile, tables.rsdp);
    parts.firmware_tables = std::make_unique<FirmwareTables>(parts);
    TRY(fw_cfg.add_file(kTablesFile, tables.tables.bytes, parts.firmware_tables.get()));
    TRY(fw_cfg.add_file(kRsdpFile, tables.rsdp.bytes));
    return fw_cfg.add_file("etc/table-loader", script.take());
}

Result<void> add_smbios(const Board::Parts& parts, FwCfg& fw_cfg) {
    const auto tables = smbios::build_tables({.uuid = parts.config.firmware.uuid,
                                              .cpu_count = parts.config.cpu_count,
                                              .ram_size = parts.config.ram_size,
                                              .low_ram = parts.map.low_ram_end().value});
    TRY(fw_cfg.add_file("etc/smbios/smbios-anchor", smbios::build_entry_point(tables, 0)));
    return fw_cfg.add_file("etc/smbios/smbios-tables", tables.bytes);
}

// "etc/e820": RAM and what nothing else tells of (QEMU, hw/i386/e820_memory_layout.h).
Result<void> add_memory_map(const Board::Parts& parts, FwCfg& fw_cfg) {
    constexpr uint32_t kRam = 1;
    Bytes entries;
    const auto add = [&](uint64_t start, uint64_t length) {
        append_object(entries, le64{start});
        append_object(entries, le64{length});
        append_object(entries, le32{kRam});
    };
    add(0, parts.map.low_ram_end().value);
    const uint64_t high = parts.map.high_ram_end() - MemoryMap::kHighRam;
    if (high != 0) add(MemoryMap::kHighRam.value, high);
    return fw_cfg.add_file("etc/e820", std::move(entries));
}

// "bootorder": a device a line; what was asked for comes first.
std::string boot_order(const Board::Parts& parts) {
    std::vector<const Board::Parts::BootEntry*> order;
    for (const auto& entry : parts.boot_entries)
        order.push_back(&entry);
    std::stable_sort(order.begin(), order.end(), [&](const auto* a, const auto* b) {
        const auto rank = [&](BootKind kind) {
            return kind == parts.config.firmware.boot_first ? -1 : static_cast<int>(kind);
        };
        return rank(a->kind) < rank(b->kind);
    });
    std::string text;
    for (const auto* entry : order)
        text += (text.empty() ? "" : "\n") + entry->path;
    return text;
}

Result<void> add_boot_choices(const Board::Parts& parts, FwCfg& fw_cfg) {
    constexpr uint16_t kCom1 = 0x3F8;
    const std::string order = boot_order(parts);
    if (!order.empty()) TRY(fw_cfg.add_file("bootorder", text_bytes(order)));
    if (parts.config.firmware.on_serial)
        TRY(fw_cfg.add_file("etc/sercon-port", bytes_of(le16{kCom1})));
    return {};
}

Result<void> add_numbers(const Board::Parts& parts, FwCfg& fw_cfg) {
    const le16 cpus{static_cast<uint16_t>(parts.config.cpu_count)};
    TRY(fw_cfg.add_item(kUuid, bytes_of(parts.config.firmware.uuid)));
    TRY(fw_cfg.add_item(kRamSize, bytes_of(le64{parts.config.ram_size})));
    TRY(fw_cfg.add_item(kNoGraphics,
                        bytes_of(le16{static_cast<uint16_t>(parts.config.firmware.on_serial)})));
    TRY(fw_cfg.add_item(kCpuCount, bytes_of(cpus)));
    TRY(fw_cfg.add_item(kBootMenu, bytes_of(le16{})));
    return fw_cfg.add_item(kMaxCpus, bytes_of(cpus));
}

void set_pair(CmosRtc& cmos, uint8_t index, uint64_t value) {
    cmos.set_byte(index, static_cast<uint8_t>(value));
    cmos.set_byte(static_cast<uint8_t>(index + 1), static_cast<uint8_t>(value >> 8));
}

// Sizes of memory, as PC firmware has kept them since the AT: from 1 MiB by KiB, from 16 MiB by 64
// KiB, from 4 GiB by 64 KiB in three bytes; and the number of further CPUs, for SeaBIOS.
void fill_cmos(const Board::Parts& parts) {
    constexpr uint64_t kMib = 1 << 20;
    CmosRtc& cmos = *parts.cmos;
    const uint64_t low = parts.map.low_ram_end().value;
    const uint64_t extended_kib = std::min<uint64_t>((low - kMib) >> 10, 0xFFFF);
    const uint64_t above_16 = low > 16 * kMib ? (low - 16 * kMib) >> 16 : 0;
    const uint64_t high = (parts.map.high_ram_end() - MemoryMap::kHighRam) >> 16;
    set_pair(cmos, 0x15, 640);
    set_pair(cmos, 0x17, extended_kib);
    set_pair(cmos, 0x30, extended_kib);
    set_pair(cmos, 0x34, std::min<uint64_t>(above_16, 0xFFFF));
    set_pair(cmos, 0x5B, high);
    cmos.set_byte(0x5D, static_cast<uint8_t>(high >> 16));
    cmos.set_byte(0x5F, static_cast<uint8_t>(parts.config.cpu_count - 1));
}

}  // namespace

void FirmwareTables::refresh(std::span<std::byte> bytes) {
    const auto tables = acpi::build_relocatable_tables(parts_.describe());
    if (tables.tables.bytes.size() != bytes.size()) return;
    std::copy(tables.tables.bytes.begin(), tables.tables.bytes.end(), bytes.begin());
}

Result<void> configure_firmware(Board::Parts& parts) {
    FwCfg& fw_cfg = *parts.fw_cfg;
    fill_cmos(parts);
    TRY(add_numbers(parts, fw_cfg));
    TRY(add_memory_map(parts, fw_cfg));
    TRY(add_boot_choices(parts, fw_cfg));
    TRY(add_smbios(parts, fw_cfg));
    return add_acpi(parts, fw_cfg);
}

}  // namespace banyan
