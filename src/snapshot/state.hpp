// Saved state as sections of numbered fields.
//
// A device declares a plain structure and lists its fields once, with a structured binding, so that
// a member that is not listed does not compile:
//
//     struct PitStateV1 {
//         static constexpr std::string_view kKind = "pit8254";
//         static constexpr uint32_t kVersion = 1;
//         uint16_t reload = 0;
//         std::array<uint8_t, 3> latch{};
//     };
//     template <class Visitor>
//     void visit_fields(Visitor& v, PitStateV1& s) {
//         auto& [reload, latch] = s;
//         v.field(1, reload);
//         v.field(2, latch);
//     }
//
// Fields: bool, unsigned integers, enums, std::array and std::vector of them or of structures with
// visit_fields of their own. Readers skip numbers that they do not know; fields that are missing
// keep the value they have in a fresh structure. The format: section = kind, version, length,
// fields; field = number (u16), length (u32), bytes little-endian.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "support/result.hpp"

namespace banyan {

inline constexpr uint32_t kMaxStateElements =
    1U << 20;  // of one vector: a bound against hostile files

namespace state_detail {

template <class T>
concept Scalar = std::is_same_v<T, bool> || std::is_unsigned_v<T> || std::is_enum_v<T>;

template <class T>
struct IsSequence : std::false_type {};
template <class T, size_t N>
struct IsSequence<std::array<T, N>> : std::true_type {};
template <class T>
struct IsSequence<std::vector<T>> : std::true_type {};

template <Scalar T>
uint64_t to_raw(T value) {
    return static_cast<uint64_t>(value);
}

}  // namespace state_detail

// Appends sections to a byte vector.
class StateWriter {
public:
    template <class S>
    void section(const S& state) {
        begin_section(S::kKind, S::kVersion);
        S copy = state;
        visit_fields(*this, copy);
        end_section();
    }

    template <class T>
    void field(uint16_t number, T& value) {
        append(number, 2);
        const size_t length_at = bytes_.size();
        append(0, 4);
        put(value);
        patch(length_at, static_cast<uint32_t>(bytes_.size() - length_at - 4));
    }

    std::span<const std::byte> bytes() const { return bytes_; }
    std::vector<std::byte> take() { return std::move(bytes_); }

private:
    void begin_section(std::string_view kind, uint32_t version);
    void end_section();
    void append(uint64_t value, unsigned size);
    void patch(size_t at, uint32_t value);

    template <class T>
    void put(T& value) {
        if constexpr (state_detail::Scalar<T>) {
            append(state_detail::to_raw(value), sizeof(T));
        } else if constexpr (state_detail::IsSequence<T>::value) {
            append(value.size(), 4);
            for (auto& element : value)
                put(element);
        } else {
            const size_t length_at = bytes_.size();
            append(0, 4);
            visit_fields(*this, value);
            patch(length_at, static_cast<uint32_t>(bytes_.size() - length_at - 4));
        }
    }

    std::vector<std::byte> bytes_;
    size_t section_length_at_ = 0;
};

// Reads sections in any order by kind. Every length is checked against the bytes that are there.
class StateReader {
public:
    explicit StateReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

    // Finds the section, fills a fresh S. Errors name the kind.
    template <class S>
    Result<S> section() {
        TRY_ASSIGN(found, find_section(S::kKind, S::kVersion));
        S state{};
        FieldReader fields(found);
        visit_fields(fields, state);
        if (fields.failed()) return malformed(S::kKind);
        return state;
    }

private:
    // Walks one field list for visit_fields.
    class FieldReader {
    public:
        explicit FieldReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

        template <class T>
        void field(uint16_t number, T& value) {
            const auto found = find_field(number);
            if (!found) return;
            FieldReader content(*found);
            content.get(value);
            if (content.failed_ || !content.bytes_.empty()) failed_ = true;
        }
        bool failed() const { return failed_; }

    private:
        std::optional<std::span<const std::byte>> find_field(uint16_t number);
        uint64_t take(unsigned size);

        template <class T>
        void get(T& value) {
            if constexpr (std::is_same_v<T, bool>) {
                const uint64_t raw = take(1);
                failed_ |= raw > 1;
                value = raw == 1;
            } else if constexpr (state_detail::Scalar<T>) {
                value = static_cast<T>(take(sizeof(T)));
            } else if constexpr (state_detail::IsSequence<T>::value) {
                get_sequence(value);
            } else {
                const uint64_t length = take(4);
                if (failed_ || length > bytes_.size()) {
                    failed_ = true;
                    return;
                }
                FieldReader fields(bytes_.first(length));
                bytes_ = bytes_.subspan(length);
                visit_fields(fields, value);
                failed_ |= fields.failed_;
            }
        }

        template <class T, size_t N>
        void get_sequence(std::array<T, N>& value) {
            if (take(4) != N) failed_ = true;
            for (T& element : value) {
                if (failed_) return;
                get(element);
            }
        }
        template <class T>
        void get_sequence(std::vector<T>& value) {
            const uint64_t count = take(4);
            // Each element takes at least one byte.
            if (failed_ || count > kMaxStateElements || count > bytes_.size()) {
                failed_ = true;
                return;
            }
            value.resize(count);
            for (T& element : value) {
                if (failed_) return;
                get(element);
            }
        }

        std::span<const std::byte> bytes_;
        bool failed_ = false;
    };

    Result<std::span<const std::byte>> find_section(std::string_view kind, uint32_t version);
    static tl::unexpected<Error> malformed(std::string_view kind);

    std::span<const std::byte> bytes_;
};

}  // namespace banyan
