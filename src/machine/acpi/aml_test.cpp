#include "machine/acpi/aml.hpp"

#include <gtest/gtest.h>

namespace banyan::aml {
namespace {

TEST(Aml, WritesIntegersInTheirShortestForm) {
    EXPECT_EQ(integer(0), (Bytes{0x00}));
    EXPECT_EQ(integer(1), (Bytes{0x01}));
    EXPECT_EQ(integer(0xFF), (Bytes{0x0A, 0xFF}));
    EXPECT_EQ(integer(0x100), (Bytes{0x0B, 0x00, 0x01}));
    EXPECT_EQ(integer(0x12345678), (Bytes{0x0C, 0x78, 0x56, 0x34, 0x12}));
    EXPECT_EQ(integer(0x100000000), (Bytes{0x0E, 0, 0, 0, 0, 1, 0, 0, 0}));
}

TEST(Aml, WritesPaths) {
    EXPECT_EQ(path("_SB"), (Bytes{'_', 'S', 'B', '_'}));
    EXPECT_EQ(path("\\_S5"), (Bytes{'\\', '_', 'S', '5', '_'}));
    EXPECT_EQ(path("\\_SB.PCI0"), (Bytes{'\\', 0x2E, '_', 'S', 'B', '_', 'P', 'C', 'I', '0'}));
    EXPECT_EQ(path("\\A.B.C"),
              (Bytes{'\\', 0x2F, 3, 'A', '_', '_', '_', 'B', '_', '_', '_', 'C', '_', '_', '_'}));
}

TEST(Aml, CompressesEisaIds) {
    // The example of section 19.6.35: PNP0A03 is 0x030AD041.
    EXPECT_EQ(eisa_id("PNP0A03"), (Bytes{0x0C, 0x41, 0xD0, 0x0A, 0x03}));
}

// The length of a buffer's package counts its own bytes: read it back as section 20.2.4 says.
size_t decoded_length(const Bytes& term) {
    const unsigned more = term[1] >> 6;
    if (more == 0) return term[1] & 0x3FU;
    size_t length = term[1] & 0xFU;
    for (unsigned i = 0; i < more; ++i)
        length |= size_t{term[2 + i]} << (4 + 8 * i);
    return length;
}

TEST(Aml, EncodesLengthsOfEverySize) {
    for (const size_t size : {0U, 1U, 59U, 60U, 61U, 62U, 63U, 64U, 4090U, 4091U, 4092U, 4093U,
                              4094U, 4095U, 70000U, 1048570U, 1048580U}) {
        const Bytes term = buffer(Bytes(size, 0xAA));
        EXPECT_EQ(decoded_length(term), term.size() - 1) << size;
    }
}

TEST(Aml, NamesPorts) {
    EXPECT_EQ(port_region("PCST", 0xCC0, 8),
              (Bytes{0x5B, 0x80, 'P', 'C', 'S', 'T', 1, 0x0B, 0xC0, 0x0C, 0x0A, 8}));
    EXPECT_EQ(dword_fields("PCST", {"UP", "DOWN"}),
              (Bytes{0x5B, 0x81, 16, 'P', 'C', 'S', 'T', 0x43, 'U', 'P', '_', '_', 32, 'D', 'O',
                     'W', 'N', 32}));
}

TEST(Aml, ComputesWithLocals) {
    EXPECT_EQ(bit_and(local(1), integer(4)), (Bytes{0x7B, 0x61, 0x0A, 4, 0}));
}

TEST(Aml, NestsTerms) {
    EXPECT_EQ(name("_UID", integer(1)), (Bytes{0x08, '_', 'U', 'I', 'D', 0x01}));
    EXPECT_EQ(device("COM1", name("_UID", integer(1))),
              (Bytes{0x5B, 0x82, 11, 'C', 'O', 'M', '1', 0x08, '_', 'U', 'I', 'D', 0x01}));
    EXPECT_EQ(method("_OSC", 4, return_value(argument(3))),
              (Bytes{0x14, 8, '_', 'O', 'S', 'C', 4, 0xA4, 0x6B}));
    const Bytes elements[] = {integer(5), integer(0)};
    EXPECT_EQ(package(elements), (Bytes{0x12, 5, 2, 0x0A, 5, 0}));
    EXPECT_EQ(if_true(path("PICM"), return_value(integer(0))),
              (Bytes{0xA0, 7, 'P', 'I', 'C', 'M', 0xA4, 0}));
    EXPECT_EQ(string("Q"), (Bytes{0x0D, 'Q', 0}));
}

TEST(Aml, EndsAResourceTemplate) {
    EXPECT_EQ(resource_template({io_ports(0x3F8, 8), irq(4)}),
              (Bytes{0x11, 16, 0x0A, 13, 0x47, 1, 0xF8, 3, 0xF8, 3, 1, 8, 0x22, 0x10, 0, 0x79, 0}));
}

TEST(Aml, NamesDmaChannelsAndNotifies) {
    EXPECT_EQ(dma(2), (Bytes{0x2A, 0x04, 0x00}));
    EXPECT_EQ(notify("VGEN", 0x80), (Bytes{0x86, 'V', 'G', 'E', 'N', 0x0A, 0x80}));
}

TEST(Aml, WritesWindows) {
    EXPECT_EQ(bus_window(0, 1), (Bytes{0x88, 13, 0, 2, 0x0C, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}));
    const Bytes memory = memory_window(0xC0000000, 0x20000000);
    EXPECT_EQ(memory.size(), 26U);
    EXPECT_EQ(Bytes(memory.begin(), memory.begin() + 6), (Bytes{0x87, 23, 0, 0, 0x0C, 1}));
    EXPECT_EQ(Bytes(memory.begin() + 14, memory.begin() + 18), (Bytes{0xFF, 0xFF, 0xFF, 0xDF}))
        << "maximum";
}

}  // namespace
}  // namespace banyan::aml
