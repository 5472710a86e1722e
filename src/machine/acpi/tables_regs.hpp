// Layouts of ACPI tables. Source: ACPI specification 6.4, section 5.2; PCI Firmware
// Specification 3.3, table 4-3 (MCFG); IA-PC HPET Specification 1.0a, section 3.2.4.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "support/le.hpp"

namespace banyan::acpi {

template <size_t N>
using Text = std::array<char, N>;

// Section 5.2.3.2 "Generic Address Structure".
struct GenericAddress {
    uint8_t space = 0;  // 0 memory, 1 ports
    uint8_t width = 0;  // bits
    uint8_t offset = 0;
    uint8_t access = 0;  // 1 byte, 2 word, 3 double word
    le64 address;
};
static_assert(sizeof(GenericAddress) == 12);

// Section 5.2.5.3.
struct Rsdp {
    Text<8> signature{'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '};
    uint8_t checksum = 0;  // of the first 20 bytes
    Text<6> oem_id{};
    uint8_t revision = 2;
    le32 rsdt;
    le32 length;
    le64 xsdt;
    uint8_t extended_checksum = 0;
    std::array<uint8_t, 3> reserved{};
};
static_assert(sizeof(Rsdp) == 36);

// Section 5.2.6.
struct TableHeader {
    Text<4> signature{};
    le32 length;
    uint8_t revision = 0;
    uint8_t checksum = 0;
    Text<6> oem_id{};
    Text<8> oem_table_id{};
    le32 oem_revision;
    Text<4> creator_id{};
    le32 creator_revision;
};
static_assert(sizeof(TableHeader) == 36);

// Section 5.2.9, revision 6.
struct Fadt {
    TableHeader header;
    le32 firmware_ctrl;
    le32 dsdt;
    uint8_t reserved1 = 0;
    uint8_t preferred_pm_profile = 0;
    le16 sci_int;
    le32 smi_cmd;
    uint8_t acpi_enable = 0;
    uint8_t acpi_disable = 0;
    uint8_t s4bios_req = 0;
    uint8_t pstate_cnt = 0;
    le32 pm1a_evt_blk;
    le32 pm1b_evt_blk;
    le32 pm1a_cnt_blk;
    le32 pm1b_cnt_blk;
    le32 pm2_cnt_blk;
    le32 pm_tmr_blk;
    le32 gpe0_blk;
    le32 gpe1_blk;
    uint8_t pm1_evt_len = 0;
    uint8_t pm1_cnt_len = 0;
    uint8_t pm2_cnt_len = 0;
    uint8_t pm_tmr_len = 0;
    uint8_t gpe0_blk_len = 0;
    uint8_t gpe1_blk_len = 0;
    uint8_t gpe1_base = 0;
    uint8_t cst_cnt = 0;
    le16 p_lvl2_lat;
    le16 p_lvl3_lat;
    le16 flush_size;
    le16 flush_stride;
    uint8_t duty_offset = 0;
    uint8_t duty_width = 0;
    uint8_t day_alrm = 0;
    uint8_t mon_alrm = 0;
    uint8_t century = 0;
    le16 iapc_boot_arch;
    uint8_t reserved2 = 0;
    le32 flags;
    GenericAddress reset_reg;
    uint8_t reset_value = 0;
    le16 arm_boot_arch;
    uint8_t minor_version = 0;
    le64 x_firmware_ctrl;
    le64 x_dsdt;
    GenericAddress x_pm1a_evt_blk;
    GenericAddress x_pm1b_evt_blk;
    GenericAddress x_pm1a_cnt_blk;
    GenericAddress x_pm1b_cnt_blk;
    GenericAddress x_pm2_cnt_blk;
    GenericAddress x_pm_tmr_blk;
    GenericAddress x_gpe0_blk;
    GenericAddress x_gpe1_blk;
    GenericAddress sleep_control_reg;
    GenericAddress sleep_status_reg;
    le64 hypervisor_vendor;
};
static_assert(sizeof(Fadt) == 276 && offsetof(Fadt, flags) == 112 && offsetof(Fadt, x_dsdt) == 140);

// Section 5.2.9, table 5-10 "Fixed ACPI Description Table Fixed Feature Flags".
enum FadtFlag : uint32_t {
    kWbinvd = 1U << 0,
    kProcC1 = 1U << 2,
    kNoFixedSleepButton = 1U << 5,
    kRtcWakeNotFixed = 1U << 6,
    kResetRegister = 1U << 10,
};
// Table 5-11 "Fixed ACPI Description Table Boot IA-PC Boot Architecture Flags".
enum BootArchitecture : uint16_t {
    kLegacyDevices = 1U << 0,
    kKeyboardController = 1U << 1,
    kNoVga = 1U << 2,
    kNoAspm = 1U << 4,
};

// Section 5.2.10.
struct Facs {
    Text<4> signature{'F', 'A', 'C', 'S'};
    le32 length{sizeof(Facs)};
    le32 hardware_signature;
    le32 waking_vector;
    le32 global_lock;
    le32 flags;
    le64 x_waking_vector;
    uint8_t version = 2;
    std::array<uint8_t, 3> reserved1{};
    le32 ospm_flags;
    std::array<uint8_t, 24> reserved2{};
};
static_assert(sizeof(Facs) == 64);

// Section 5.2.12 "Multiple APIC Description Table".
struct Madt {
    TableHeader header;
    le32 local_apic;
    le32 flags;  // bit 0: there are 8259s too
};
static_assert(sizeof(Madt) == 44);

struct MadtLocalApic {
    uint8_t type = 0;
    uint8_t length = sizeof(MadtLocalApic);
    uint8_t processor_uid = 0;
    uint8_t apic_id = 0;
    le32 flags{1U};  // enabled
};
static_assert(sizeof(MadtLocalApic) == 8);

struct MadtIoApic {
    uint8_t type = 1;
    uint8_t length = sizeof(MadtIoApic);
    uint8_t id = 0;
    uint8_t reserved = 0;
    le32 address;
    le32 gsi_base;
};
static_assert(sizeof(MadtIoApic) == 12);

struct MadtOverride {
    uint8_t type = 2;
    uint8_t length = sizeof(MadtOverride);
    uint8_t bus = 0;  // ISA
    uint8_t source = 0;
    le32 gsi;
    le16 flags;  // polarity 1:0 (1 active high), trigger 3:2 (3 level); 0: as the bus has it
};
static_assert(sizeof(MadtOverride) == 10);

struct MadtLocalNmi {
    uint8_t type = 4;
    uint8_t length = sizeof(MadtLocalNmi);
    uint8_t processor_uid = 0xFF;  // all
    le16 flags;
    uint8_t lint = 1;
};
static_assert(sizeof(MadtLocalNmi) == 6);

struct Mcfg {
    TableHeader header;
    le64 reserved;
    le64 base;
    le16 segment;
    uint8_t first_bus = 0;
    uint8_t last_bus = 0;
    le32 reserved2;
};
static_assert(sizeof(Mcfg) == 60);

struct HpetTable {
    TableHeader header;
    le32 event_timer_block_id;
    GenericAddress base;
    uint8_t number = 0;
    le16 minimum_tick;
    uint8_t page_protection = 0;
};
static_assert(sizeof(HpetTable) == 56);

}  // namespace banyan::acpi
