// For the loader's tests: a small guest with memory, and images built field by field.
#pragma once

#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "loader/loader.hpp"

namespace banyan::loader::testing {

inline constexpr uint64_t kMiB = 1ULL << 20;

// Bytes that grow to hold what is put into them.
class Bytes final : public ImageFile {
public:
    explicit Bytes(size_t size = 0) : bytes_(size) {}

    template <class T>
    Bytes& put(size_t offset, T value) {
        if (bytes_.size() < offset + sizeof(value)) bytes_.resize(offset + sizeof(value));
        std::memcpy(bytes_.data() + offset, &value, sizeof(value));
        return *this;
    }
    Bytes& put_text(size_t offset, std::string_view text) {
        for (const char c : text)
            put(offset++, c);
        return *this;
    }
    Bytes& fill(size_t offset, size_t length, uint8_t value) {
        for (size_t i = 0; i < length; ++i)
            put(offset + i, value);
        return *this;
    }
    Bytes& resize(size_t size) {
        bytes_.resize(size);
        return *this;
    }
    uint64_t size() const override { return bytes_.size(); }
    Result<void> read(uint64_t offset, std::span<std::byte> to) const override {
        return ImageBytes(bytes_).read(offset, to);
    }

private:
    std::vector<std::byte> bytes_;
};

// RAM up to 640 KiB and from 1 MiB to its size.
class SmallGuest {
public:
    explicit SmallGuest(uint64_t size) : host_(size + kPageSize) {
        auto* start = reinterpret_cast<std::byte*>(
            (reinterpret_cast<uintptr_t>(host_.data()) + kPageSize - 1) & ~(kPageSize - 1));
        EXPECT_TRUE(memory.add_region({0}, {start, size}, MemoryKind::ram));
        map = {{{0}, 0x9FC00, E820Type::ram},
               {{0x9FC00}, 0x400, E820Type::reserved},
               {{kMiB}, size - kMiB, E820Type::ram}};
    }

    Result<EntryState> load(const Bytes& kernel, std::string_view command_line = {},
                            std::vector<ModuleFile> modules = {}) {
        LoadRequest request;
        request.kernel_name = "test-kernel";
        request.kernel = &kernel;
        request.modules = modules;
        request.command_line = command_line;
        request.memory_map = map;
        request.rsdp = {0xE0000};
        request.vga_text = vga_text;
        return load_kernel(request, memory);
    }

    template <class T>
    T at(uint64_t gpa) const {
        T value{};
        EXPECT_TRUE(memory.read_object({gpa}, value)) << std::hex << gpa;
        return value;
    }
    std::string text_at(uint64_t gpa) const {
        std::string text;
        while (const char c = at<char>(gpa + text.size()))
            text += c;
        return text;
    }

    GuestMemory memory;
    std::vector<E820Entry> map;
    bool vga_text = false;

private:
    std::vector<std::byte> host_;
};

inline ModuleFile module_file(const ImageFile& file, std::string_view name,
                              std::string_view arguments = {}) {
    return {name, arguments, &file};
}

// The error of a load that must fail; checks that it names the file and says what to do.
inline std::string refusal(const Result<EntryState>& result) {
    if (result) {
        ADD_FAILURE() << "the load was not refused";
        return {};
    }
    const std::string text(result.error().text());
    EXPECT_NE(text.find("': "), std::string::npos) << text;
    EXPECT_NE(text.find("; "), std::string::npos) << text;
    EXPECT_LT(text.size(), Error::kMaxText) << "the message is cut: " << text;
    return text;
}

}  // namespace banyan::loader::testing
