// Layouts of the MP tables (Intel MultiProcessor Specification 1.4, chapter 4).
#pragma once

#include <array>
#include <cstdint>

#include "support/le.hpp"

namespace banyan::mp {

// Section 4.1.
struct FloatingPointer {
    std::array<char, 4> signature{'_', 'M', 'P', '_'};
    le32 table;
    uint8_t length = 1;  // of 16 bytes
    uint8_t revision = 4;
    uint8_t checksum = 0;
    std::array<uint8_t, 5> features{};  // 0: there is a table; no IMCR
};
static_assert(sizeof(FloatingPointer) == 16);

// Section 4.2.
struct TableHeader {
    std::array<char, 4> signature{'P', 'C', 'M', 'P'};
    le16 length;
    uint8_t revision = 4;
    uint8_t checksum = 0;
    std::array<char, 8> oem{'B', 'A', 'N', 'Y', 'A', 'N', ' ', ' '};
    std::array<char, 12> product{'P', 'C', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};
    le32 oem_table;
    le16 oem_table_size;
    le16 entries;
    le32 local_apic;
    le16 extended_length;
    uint8_t extended_checksum = 0;
    uint8_t reserved = 0;
};
static_assert(sizeof(TableHeader) == 44);

// Section 4.3: each entry begins with its type.
struct Processor {
    uint8_t type = 0;
    uint8_t apic_id = 0;
    uint8_t apic_version = 0x14;
    uint8_t flags = 1;  // enabled
    le32 signature;
    le32 features;
    le32 reserved1;
    le32 reserved2;
};
static_assert(sizeof(Processor) == 20);
inline constexpr uint8_t kBootProcessor = 2;  // of its flags

struct Bus {
    uint8_t type = 1;
    uint8_t id = 0;
    std::array<char, 6> name{};
};
static_assert(sizeof(Bus) == 8);

struct IoApicEntry {
    uint8_t type = 2;
    uint8_t id = 0;
    uint8_t version = 0x20;
    uint8_t flags = 1;  // enabled
    le32 address;
};
static_assert(sizeof(IoApicEntry) == 8);

enum class Interrupt : uint8_t { vectored = 0, nmi = 1, smi = 2, ext_int = 3 };

// Of an input of an IO-APIC (type 3) or of local APICs (type 4).
struct InterruptEntry {
    uint8_t type = 3;
    Interrupt kind = Interrupt::vectored;
    le16 flags;  // polarity in bits 1..0, trigger mode in bits 3..2; 0: as the bus has it
    uint8_t bus = 0;
    uint8_t source = 0;  // ISA: interrupt number; PCI: device << 2 | pin
    uint8_t apic = 0;
    uint8_t input = 0;
};
static_assert(sizeof(InterruptEntry) == 8);
inline constexpr uint8_t kLocalInterrupt = 4;
inline constexpr uint8_t kAllApics = 0xFF;
inline constexpr uint16_t kActiveHighLevel = 0x0D;

}  // namespace banyan::mp
