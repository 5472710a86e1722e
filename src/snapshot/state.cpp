#include "snapshot/state.hpp"

#include <cstdio>

namespace banyan {

namespace {

uint64_t read_le(std::span<const std::byte> bytes) {
    uint64_t value = 0;
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
}

tl::unexpected<Error> section_error(std::string_view kind, const char* why) {
    char text[Error::kMaxText];
    std::snprintf(text, sizeof(text), "load saved state: section '%.*s' %s",
                  static_cast<int>(kind.size()), kind.data(), why);
    return fail(ErrorCode::invalid_data, text);
}

}  // namespace

void StateWriter::begin_section(std::string_view kind, uint32_t version) {
    append(kind.size(), 1);
    for (const char c : kind)
        append(static_cast<unsigned char>(c), 1);
    append(version, 4);
    section_length_at_ = bytes_.size();
    append(0, 4);
}

void StateWriter::end_section() {
    patch(section_length_at_, static_cast<uint32_t>(bytes_.size() - section_length_at_ - 4));
}

void StateWriter::append(uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; ++i)
        bytes_.push_back(static_cast<std::byte>(value >> (8 * i)));
}

void StateWriter::patch(size_t at, uint32_t value) {
    std::memcpy(bytes_.data() + at, &value, sizeof(value));
}

std::optional<std::span<const std::byte>> StateReader::FieldReader::find_field(uint16_t number) {
    constexpr size_t kHeader = 6;
    auto rest = bytes_;
    while (rest.size() >= kHeader) {
        const uint64_t length = read_le(rest.subspan(2, 4));
        if (length > rest.size() - kHeader) break;
        if (read_le(rest.first(2)) == number) return rest.subspan(kHeader, length);
        rest = rest.subspan(kHeader + length);
    }
    if (!rest.empty()) failed_ = true;
    return std::nullopt;
}

uint64_t StateReader::FieldReader::take(unsigned size) {
    if (failed_ || bytes_.size() < size) {
        failed_ = true;
        return 0;
    }
    const uint64_t value = read_le(bytes_.first(size));
    bytes_ = bytes_.subspan(size);
    return value;
}

Result<std::span<const std::byte>> StateReader::find_section(std::string_view kind,
                                                             uint32_t version) {
    auto rest = bytes_;
    while (!rest.empty()) {
        const size_t name_length = static_cast<size_t>(rest[0]);
        const size_t header = 1 + name_length + 8;
        if (rest.size() < header) return malformed(kind);
        const std::string_view name(reinterpret_cast<const char*>(rest.data()) + 1, name_length);
        const uint64_t found_version = read_le(rest.subspan(1 + name_length, 4));
        const uint64_t length = read_le(rest.subspan(1 + name_length + 4, 4));
        if (length > rest.size() - header) return malformed(kind);
        if (name == kind) {
            if (found_version != version)
                return section_error(kind, "has a version that this program does not know");
            return rest.subspan(header, length);
        }
        rest = rest.subspan(header + length);
    }
    return section_error(kind, "is missing");
}

tl::unexpected<Error> StateReader::malformed(std::string_view kind) {
    return section_error(kind, "is malformed");
}

}  // namespace banyan
