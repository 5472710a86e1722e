#include "machine/smbios/smbios.hpp"

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>

#include "machine/smbios/smbios_regs.hpp"
#include "support/object_bytes.hpp"

namespace banyan::smbios {

namespace {

constexpr std::string_view kVendor = "Banyan";
constexpr uint16_t kArrayHandle = 0x1000;

class Writer {
public:
    // Strings are counted from 1 in the structure (section 6.1.3).
    template <class T>
    void add(T structure, uint16_t handle, std::initializer_list<std::string_view> strings = {}) {
        structure.header = {T::kType, sizeof(T), handle};
        const size_t start = tables_.bytes.size();
        append_object(tables_.bytes, structure);
        for (const std::string_view text : strings)
            add_text(text);
        if (strings.size() == 0) tables_.bytes.push_back(std::byte{0});
        tables_.bytes.push_back(std::byte{0});
        const auto size = static_cast<uint16_t>(tables_.bytes.size() - start);
        tables_.largest = std::max(tables_.largest, size);
        ++tables_.count;
    }
    Tables take() { return std::move(tables_); }

private:
    void add_text(std::string_view text) {
        for (const char c : text)
            tables_.bytes.push_back(static_cast<std::byte>(c));
        tables_.bytes.push_back(std::byte{0});
    }

    Tables tables_;
};

BiosInformation bios() {
    constexpr uint64_t kNoCharacteristics = 1U << 3;
    constexpr uint8_t kVirtualMachine = 1U << 4;
    constexpr uint8_t kTargetedContent = 1U << 2;
    BiosInformation info;
    info.vendor = 1;
    info.version = 2;
    info.release_date = 3;
    info.segment = uint16_t{0xE800};
    info.characteristics = kNoCharacteristics;
    info.extension = {0, kVirtualMachine | kTargetedContent};
    info.major = 1;
    return info;
}

// Section 7.2.1: the first three fields of a UUID are little-endian.
std::array<uint8_t, 16> uuid_field(std::array<uint8_t, 16> uuid) {
    std::reverse(uuid.begin(), uuid.begin() + 4);
    std::reverse(uuid.begin() + 4, uuid.begin() + 6);
    std::reverse(uuid.begin() + 6, uuid.begin() + 8);
    return uuid;
}

SystemInformation system(const MachineFacts& facts) {
    SystemInformation info;
    info.manufacturer = 1;
    info.product = 2;
    info.version = 3;
    info.uuid = uuid_field(facts.uuid);
    return info;
}

MemoryArray memory_array(uint64_t size) {
    constexpr uint32_t kSeeExtended = 0x80000000;
    MemoryArray array;
    const uint64_t kib = size >> 10;
    array.capacity = kib < kSeeExtended ? static_cast<uint32_t>(kib) : kSeeExtended;
    array.extended_capacity = size;
    return array;
}

MemoryDevice memory_device(uint64_t size) {
    constexpr uint16_t kSeeExtended = 0x7FFF;
    MemoryDevice device;
    const uint64_t mib = size >> 20;
    device.array = kArrayHandle;
    device.size = mib < kSeeExtended ? static_cast<uint16_t>(mib) : kSeeExtended;
    device.extended_size = static_cast<uint32_t>(mib);
    device.locator = 1;
    device.manufacturer = 2;
    return device;
}

MappedAddress mapped(uint64_t start, uint64_t length) {
    constexpr uint32_t kSeeExtended = 0xFFFFFFFF;
    MappedAddress range;
    const uint64_t end = start + length - 1;
    const bool fits = end >> 10 < kSeeExtended;
    range.start = fits ? static_cast<uint32_t>(start >> 10) : kSeeExtended;
    range.end = fits ? static_cast<uint32_t>(end >> 10) : kSeeExtended;
    range.extended_start = fits ? 0 : start;
    range.extended_end = fits ? 0 : end;
    range.array = kArrayHandle;
    return range;
}

}  // namespace

Tables build_tables(const MachineFacts& facts) {
    constexpr uint64_t kFourGib = uint64_t{1} << 32;
    Writer writer;
    writer.add(bios(), 0x0000, {kVendor, "1", "01/01/2026"});
    writer.add(system(facts), 0x0100, {kVendor, "Banyan virtual machine", "1"});
    Enclosure enclosure;
    enclosure.manufacturer = 1;
    writer.add(enclosure, 0x0300, {kVendor});
    for (unsigned cpu = 0; cpu < facts.cpu_count; ++cpu) {
        Processor processor;
        processor.socket = 1;
        processor.manufacturer = 2;
        writer.add(processor, static_cast<uint16_t>(0x0400 + cpu), {"CPU", kVendor});
    }
    writer.add(memory_array(facts.ram_size), kArrayHandle);
    writer.add(memory_device(facts.ram_size), 0x1100, {"DIMM 0", kVendor});
    writer.add(mapped(0, facts.low_ram), 0x1300);
    if (facts.ram_size > facts.low_ram)
        writer.add(mapped(kFourGib, facts.ram_size - facts.low_ram), 0x1301);
    writer.add(BootInformation{}, 0x2000);
    writer.add(EndOfTable{}, 0x7F00);
    return writer.take();
}

std::vector<std::byte> build_entry_point(const Tables& tables, uint32_t address) {
    EntryPoint entry;
    entry.largest = tables.largest;
    entry.table_length = static_cast<uint16_t>(tables.bytes.size());
    entry.table_address = address;
    entry.count = tables.count;
    std::vector<std::byte> bytes = bytes_of(entry);
    const std::span all(bytes);
    const size_t second = offsetof(EntryPoint, intermediate_anchor);
    bytes[offsetof(EntryPoint, intermediate_checksum)] = std::byte{zero_sum(all.subspan(second))};
    bytes[offsetof(EntryPoint, checksum)] = std::byte{zero_sum(all)};
    return bytes;
}

}  // namespace banyan::smbios
