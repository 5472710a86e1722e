// A writer for AML, as far as a DSDT of a virtual board needs it (ACPI specification 6.4, chapter
// 20 "ACPI Machine Language"). Terms are byte strings; those that hold others take them as one
// concatenated string:
//
//     aml::device("COM1", aml::concat({aml::name("_HID", aml::eisa_id("PNP0501")),
//     aml::name("_UID", aml::integer(1))}))
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

namespace banyan::aml {

using Bytes = std::vector<uint8_t>;

Bytes concat(std::initializer_list<Bytes> parts);

// Data.
Bytes integer(uint64_t value);
Bytes string(std::string_view text);
Bytes buffer(const Bytes& content);
Bytes package(std::span<const Bytes> elements);
// "PNP0A08" as the 32 bits that _HID and _CID hold (section 19.6.35).
Bytes eisa_id(std::string_view id);

// Named objects. A path is "NAME", "\\NAME" or with further segments "\\_SB.PCI0"; segments
// have 1..4 characters.
Bytes path(std::string_view path);
Bytes name(std::string_view path, const Bytes& value);
Bytes scope(std::string_view path, const Bytes& body);
Bytes device(std::string_view path, const Bytes& body);
Bytes method(std::string_view path, unsigned arguments, const Bytes& body);

// Ports: a range of them, and its fields, which are double words side by side (section 19.6.47).
Bytes port_region(std::string_view path, uint16_t first, uint8_t count);
Bytes dword_fields(std::string_view region, std::initializer_list<std::string_view> fields);

// Statements and operators.
Bytes argument(unsigned index);
Bytes local(unsigned index);
Bytes bit_and(const Bytes& left, const Bytes& right);
Bytes store(const Bytes& value, const Bytes& target);
Bytes return_value(const Bytes& value);
Bytes notify(std::string_view path, uint8_t value);
Bytes if_true(const Bytes& condition, const Bytes& body);

// Resource descriptors (section 6.4), gathered by resource_template().
Bytes resource_template(std::initializer_list<Bytes> descriptors);
Bytes io_ports(uint16_t first, uint8_t count);
Bytes irq(unsigned number);   // edge-triggered, active high, not shared
Bytes dma(unsigned channel);  // of bytes, no bus master
Bytes memory_fixed(uint32_t start, uint32_t length);
Bytes bus_window(uint16_t first, uint16_t count);
Bytes port_window(uint16_t first, uint32_t count);
// Produced by a bridge, not cacheable, read and write.
Bytes memory_window(uint32_t start, uint32_t length);
Bytes wide_memory_window(uint64_t start, uint64_t length);

}  // namespace banyan::aml
