#include "machine/mp/mp_tables.hpp"

#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <numeric>
#include <span>

#include "machine/mp/mp_tables_regs.hpp"

namespace banyan::mp {
namespace {

constexpr Gpa kBase{0xF0000};

MachineDescription small_machine() {
    return {.cpu_count = 3,
            .local_apic = 0xFEE00000,
            .io_apic = 0xFEC00000,
            .io_apic_id = 5,
            .sci = 9,
            .pci = {{.device = 1, .pin = 0, .input = 17}, {.device = 2, .pin = 1, .input = 19}}};
}

unsigned sum(std::span<const std::byte> bytes) {
    return std::accumulate(
               bytes.begin(), bytes.end(), 0U,
               [](unsigned s, std::byte b) { return s + std::to_integer<unsigned>(b); }) &
           0xFFU;
}

template <class T>
T at(std::span<const std::byte> bytes, size_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof(value));
    return value;
}

// The entries by their type, with where they are.
std::multimap<unsigned, size_t> entries_of(std::span<const std::byte> bytes) {
    const auto header = at<TableHeader>(bytes, sizeof(FloatingPointer));
    std::multimap<unsigned, size_t> found;
    size_t offset = sizeof(FloatingPointer) + sizeof(TableHeader);
    for (unsigned i = 0; i < header.entries; ++i) {
        const auto type = std::to_integer<unsigned>(bytes[offset]);
        found.emplace(type, offset);
        offset += type == 0 ? sizeof(Processor) : sizeof(Bus);
    }
    EXPECT_EQ(offset, bytes.size());
    return found;
}

// Sections 4.1 and 4.2.
TEST(MpTables, PointerAndTableAreWhole) {
    const auto bytes = build_tables(small_machine(), kBase);
    const auto pointer = at<FloatingPointer>(bytes, 0);
    EXPECT_EQ(std::string_view(pointer.signature.data(), 4), "_MP_");
    EXPECT_EQ(pointer.table, 0xF0010U);
    EXPECT_EQ(sum(std::span(bytes).first(16)), 0U);
    const auto header = at<TableHeader>(bytes, 16);
    EXPECT_EQ(std::string_view(header.signature.data(), 4), "PCMP");
    EXPECT_EQ(header.length, bytes.size() - 16);
    EXPECT_EQ(sum(std::span(bytes).subspan(16)), 0U);
    EXPECT_EQ(header.local_apic, 0xFEE00000U);
}

// Section 4.3.1.
TEST(MpTables, EachProcessorHasAnEntry) {
    const auto bytes = build_tables(small_machine(), kBase);
    const auto entries = entries_of(bytes);
    ASSERT_EQ(entries.count(0), 3U);
    unsigned id = 0;
    for (auto [entry, end] = entries.equal_range(0); entry != end; ++entry, ++id) {
        const auto processor = at<Processor>(bytes, entry->second);
        EXPECT_EQ(processor.apic_id, id);
        EXPECT_EQ(processor.flags, id == 0 ? 3 : 1) << "the first is the boot processor";
    }
}

// Sections 4.3.3 and 4.3.4.
TEST(MpTables, InterruptsAreWired) {
    const auto bytes = build_tables(small_machine(), kBase);
    const auto entries = entries_of(bytes);
    EXPECT_EQ(entries.count(1), 2U) << "PCI and ISA";
    const auto io_apic = at<IoApicEntry>(bytes, entries.find(2)->second);
    EXPECT_EQ(io_apic.id, 5);
    EXPECT_EQ(io_apic.address, 0xFEC00000U);

    std::map<std::pair<unsigned, unsigned>, InterruptEntry> wired;  // by bus and source
    for (auto [entry, end] = entries.equal_range(3); entry != end; ++entry) {
        const auto interrupt = at<InterruptEntry>(bytes, entry->second);
        EXPECT_EQ(interrupt.apic, 5);
        wired[{interrupt.bus, interrupt.source}] = interrupt;
    }
    EXPECT_EQ(wired.size(), 15U + 2U);
    EXPECT_EQ((wired[{1, 0}].input), 2) << "the timer";
    EXPECT_EQ((wired[{1, 9}].flags), 0x0DU) << "the SCI is a level";
    EXPECT_EQ((wired[{0, 1 << 2}].input), 17);
    EXPECT_EQ((wired[{0, 2 << 2 | 1}].input), 19);
    EXPECT_EQ(entries.count(4), 2U) << "LINT0 and LINT1";
}

TEST(MpTables, TheLargestMachineFits) {
    MachineDescription machine = small_machine();
    machine.cpu_count = kMaxCpus;
    EXPECT_LT(build_tables(machine, kBase).size(), size_t{0x10000});
}

}  // namespace
}  // namespace banyan::mp
