#include "machine/acpi/aml.hpp"

#include <algorithm>
#include <iterator>

#include "support/assert.hpp"

namespace banyan::aml {

namespace {

// Encodings: section 20.3 "AML Byte Stream Byte Values".
enum Op : uint8_t {
    kZero = 0x00,
    kOne = 0x01,
    kName = 0x08,
    kBytePrefix = 0x0A,
    kWordPrefix = 0x0B,
    kDwordPrefix = 0x0C,
    kStringPrefix = 0x0D,
    kQwordPrefix = 0x0E,
    kScope = 0x10,
    kBuffer = 0x11,
    kPackage = 0x12,
    kMethod = 0x14,
    kDualName = 0x2E,
    kMultiName = 0x2F,
    kExtended = 0x5B,
    kLocal0 = 0x60,
    kArg0 = 0x68,
    kStore = 0x70,
    kAnd = 0x7B,
    kExtendedRegion = 0x80,
    kExtendedField = 0x81,
    kExtendedDevice = 0x82,
    kNotify = 0x86,
    kIf = 0xA0,
    kReturn = 0xA4,
};

void append(Bytes& to, const Bytes& from) {
    std::copy(from.begin(), from.end(), std::back_inserter(to));
}

void append_number(Bytes& to, uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i)
        to.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

// Section 20.2.4 "Package Length Encoding": the length counts its own bytes.
Bytes package_length(size_t content) {
    constexpr size_t kOneByteMax = 63;
    if (content + 1 <= kOneByteMax) return {static_cast<uint8_t>(content + 1)};
    unsigned more = 1;
    while (content + 1 + more >= (size_t{1} << (4 + 8 * more)))
        ++more;
    BANYAN_ASSERT(more <= 3);
    const size_t length = content + 1 + more;
    Bytes bytes{static_cast<uint8_t>((more << 6) | (length & 0xF))};
    append_number(bytes, length >> 4, more);
    return bytes;
}

Bytes with_length(std::initializer_list<uint8_t> opcode, const Bytes& content) {
    Bytes bytes(opcode);
    append(bytes, package_length(content.size()));
    append(bytes, content);
    return bytes;
}

// Four characters, padded with underscores.
Bytes name_segment(std::string_view segment) {
    BANYAN_ASSERT(!segment.empty() && segment.size() <= 4);
    Bytes bytes(segment.begin(), segment.end());
    bytes.resize(4, '_');
    return bytes;
}

unsigned hex_digit(char c) {
    return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'A' + 10);
}

}  // namespace

Bytes concat(std::initializer_list<Bytes> parts) {
    Bytes all;
    for (const Bytes& part : parts)
        append(all, part);
    return all;
}

Bytes integer(uint64_t value) {
    if (value == 0) return {kZero};
    if (value == 1) return {kOne};
    struct Width {
        uint8_t prefix;
        unsigned size;
    };
    const Width width = value <= 0xFF         ? Width{kBytePrefix, 1}
                        : value <= 0xFFFF     ? Width{kWordPrefix, 2}
                        : value <= 0xFFFFFFFF ? Width{kDwordPrefix, 4}
                                              : Width{kQwordPrefix, 8};
    Bytes bytes{width.prefix};
    append_number(bytes, value, width.size);
    return bytes;
}

Bytes string(std::string_view text) {
    return concat({{kStringPrefix}, Bytes(text.begin(), text.end()), {0}});
}

Bytes buffer(const Bytes& content) {
    return with_length({kBuffer}, concat({integer(content.size()), content}));
}

Bytes package(std::span<const Bytes> elements) {
    BANYAN_ASSERT(elements.size() <= 0xFF);
    Bytes content{static_cast<uint8_t>(elements.size())};
    for (const Bytes& element : elements)
        append(content, element);
    return with_length({kPackage}, content);
}

// Three letters of 5 bits, then four hexadecimal digits; stored big-endian (section 19.6.35).
Bytes eisa_id(std::string_view id) {
    BANYAN_ASSERT(id.size() == 7);
    const auto letter = [&](size_t i) { return static_cast<uint32_t>(id[i] - 'A' + 1); };
    uint32_t code = (letter(0) << 10) | (letter(1) << 5) | letter(2);
    for (size_t i = 3; i < 7; ++i)
        code = (code << 4) | hex_digit(id[i]);
    Bytes bytes{kDwordPrefix};
    for (unsigned shift : {24U, 16U, 8U, 0U})
        bytes.push_back(static_cast<uint8_t>(code >> shift));
    return bytes;
}

// Section 20.2.2 "Name Objects Encoding".
Bytes path(std::string_view path) {
    Bytes bytes;
    if (path.starts_with('\\')) {
        bytes.push_back('\\');
        path.remove_prefix(1);
    }
    const auto segments = static_cast<unsigned>(std::count(path.begin(), path.end(), '.')) + 1;
    if (segments == 2) bytes.push_back(kDualName);
    if (segments > 2) {
        bytes.push_back(kMultiName);
        bytes.push_back(static_cast<uint8_t>(segments));
    }
    while (!path.empty()) {
        const size_t dot = path.find('.');
        append(bytes, name_segment(path.substr(0, dot)));
        path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
    }
    return bytes;
}

Bytes name(std::string_view path, const Bytes& value) {
    return concat({{kName}, aml::path(path), value});
}

Bytes scope(std::string_view path, const Bytes& body) {
    return with_length({kScope}, concat({aml::path(path), body}));
}

Bytes device(std::string_view path, const Bytes& body) {
    return with_length({kExtended, kExtendedDevice}, concat({aml::path(path), body}));
}

Bytes method(std::string_view path, unsigned arguments, const Bytes& body) {
    BANYAN_ASSERT(arguments <= 7);
    return with_length({kMethod},
                       concat({aml::path(path), {static_cast<uint8_t>(arguments)}, body}));
}

Bytes port_region(std::string_view path, uint16_t first, uint8_t count) {
    constexpr uint8_t kPortSpace = 1;
    return concat({{kExtended, kExtendedRegion},
                   aml::path(path),
                   {kPortSpace},
                   integer(first),
                   integer(count)});
}

// Section 20.2.5.2 "Named Objects Encoding": a field's length is in bits, and does not count its
// own bytes. DWordAcc, NoLock, and WriteAsZeros: a write must not read first.
Bytes dword_fields(std::string_view region, std::initializer_list<std::string_view> fields) {
    constexpr uint8_t kFlags = 2U << 5 | 3;
    Bytes content = concat({path(region), {kFlags}});
    for (const std::string_view field : fields)
        append(content, concat({name_segment(field), {32}}));
    return with_length({kExtended, kExtendedField}, content);
}

Bytes local(unsigned index) {
    BANYAN_ASSERT(index <= 7);
    return {static_cast<uint8_t>(kLocal0 + index)};
}

Bytes bit_and(const Bytes& left, const Bytes& right) {
    return concat({{kAnd}, left, right, {kZero}});  // its target is none
}

Bytes argument(unsigned index) {
    BANYAN_ASSERT(index <= 6);
    return {static_cast<uint8_t>(kArg0 + index)};
}

Bytes store(const Bytes& value, const Bytes& target) {
    return concat({{kStore}, value, target});
}

Bytes return_value(const Bytes& value) {
    return concat({{kReturn}, value});
}

Bytes notify(std::string_view object, uint8_t value) {
    return concat({{kNotify}, path(object), integer(value)});
}

Bytes if_true(const Bytes& condition, const Bytes& body) {
    return with_length({kIf}, concat({condition, body}));
}

Bytes resource_template(std::initializer_list<Bytes> descriptors) {
    Bytes content = concat(descriptors);
    append(content, {0x79, 0});  // end tag; a checksum of 0 counts as right (section 6.4.2.9)
    return buffer(content);
}

// Section 6.4.2.5 "I/O Port Descriptor": 16-bit decoding, one place.
Bytes io_ports(uint16_t first, uint8_t count) {
    Bytes bytes{0x47, 0x01};
    append_number(bytes, first, 2);
    append_number(bytes, first, 2);
    append(bytes, {1, count});
    return bytes;
}

// Section 6.4.2.1 "IRQ Descriptor", in the form without flags.
Bytes irq(unsigned number) {
    Bytes bytes{0x22};
    append_number(bytes, uint64_t{1} << number, 2);
    return bytes;
}

// Section 6.4.2.2 "DMA Descriptor".
Bytes dma(unsigned channel) {
    Bytes bytes{0x2A};
    append_number(bytes, uint64_t{1} << channel, 1);
    append_number(bytes, 0, 1);
    return bytes;
}

// Section 6.4.3.4 "32-Bit Fixed Memory Range Descriptor".
Bytes memory_fixed(uint32_t start, uint32_t length) {
    Bytes bytes{0x86, 9, 0, 1};
    append_number(bytes, start, 4);
    append_number(bytes, length, 4);
    return bytes;
}

namespace {

// Section 6.4.3.5 "Address Space Resource Descriptors", tables 6-50 to 6-54.
constexpr uint8_t kWordSpace = 0x88;
constexpr uint8_t kDwordSpace = 0x87;
constexpr uint8_t kQwordSpace = 0x8A;
constexpr uint8_t kMemory = 0;
constexpr uint8_t kPorts = 1;
constexpr uint8_t kBusNumbers = 2;
constexpr uint8_t kReadWrite = 1;    // of memory
constexpr uint8_t kEntireRange = 3;  // of ports: ISA and others
constexpr uint8_t kFixed = 0x0C;     // minimum and maximum are fixed; a producer, positive decode

Bytes address_space(uint8_t tag, unsigned width, uint8_t type, uint8_t type_flags, uint64_t start,
                    uint64_t length) {
    Bytes bytes{tag};
    append_number(bytes, 3 + 5 * width, 2);
    append(bytes, {type, kFixed, type_flags});
    for (const uint64_t value : {uint64_t{0}, start, start + length - 1, uint64_t{0}, length}) {
        append_number(bytes, value, width);
    }
    return bytes;
}

}  // namespace

Bytes bus_window(uint16_t first, uint16_t count) {
    return address_space(kWordSpace, 2, kBusNumbers, 0, first, count);
}

Bytes port_window(uint16_t first, uint32_t count) {
    return address_space(kDwordSpace, 4, kPorts, kEntireRange, first, count);
}

Bytes wide_memory_window(uint64_t start, uint64_t length) {
    return address_space(kQwordSpace, 8, kMemory, kReadWrite, start, length);
}

Bytes memory_window(uint32_t start, uint32_t length) {
    return address_space(kDwordSpace, 4, kMemory, kReadWrite, start, length);
}

}  // namespace banyan::aml
