#include "loader/loading.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "arch/x86/registers.hpp"
#include "support/bits.hpp"

namespace banyan::loader {

namespace {

tl::unexpected<Error> no_ram(const Loading& loading, Gpa at) {
    return image_error(ErrorCode::invalid_argument, "kernel", loading.request.kernel_name,
                       "guest address 0x%llx is no RAM; give the guest a standard memory map",
                       static_cast<unsigned long long>(at.value));
}

}  // namespace

Result<void> copy_in(Loading& loading, Gpa to, std::span<const std::byte> bytes) {
    if (loading.memory.write(to, bytes)) return {};
    return no_ram(loading, to);
}

Result<void> copy_in(Loading& loading, Gpa to, const ImageFile& file, uint64_t offset,
                     uint64_t length) {
    if (length == 0) return {};
    const auto room = loading.memory.writable_range(to, length);
    if (room.empty()) return no_ram(loading, to);
    TRY(file.read(offset, room));
    loading.memory.written(to, length);
    return {};
}

Result<void> clear(Loading& loading, Gpa from, uint64_t length) {
    static constexpr std::array<std::byte, 64 * 1024> kZeros{};
    for (uint64_t done = 0; done < length;) {
        const uint64_t piece = std::min<uint64_t>(length - done, kZeros.size());
        TRY(copy_in(loading, from + done, std::span(kZeros).first(piece)));
        done += piece;
    }
    return {};
}

Result<Gpa> put_low(Loading& loading, std::span<const std::byte> bytes, uint64_t alignment) {
    const auto at = loading.placement.take_lowest(bytes.size(), alignment, 0);
    if (!at) {
        return image_error(
            ErrorCode::invalid_argument, "kernel", loading.request.kernel_name,
            "it leaves no memory for the boot information; give the guest more with --memory");
    }
    TRY(copy_in(loading, *at, bytes));
    return *at;
}

Result<Gpa> put_string(Loading& loading, std::string_view text) {
    std::vector<std::byte> bytes(text.size() + 1);
    std::transform(text.begin(), text.end(), bytes.begin(),
                   [](char c) { return static_cast<std::byte>(c); });
    return put_low(loading, bytes, 1);
}

namespace {

constexpr uint64_t kInitrdAlignment = 4;

Result<uint64_t> joined_size(std::span<const ModuleFile> modules) {
    uint64_t size = 0;
    for (const ModuleFile& module : modules) {
        if (module.file->size() == 0) {
            return image_error(ErrorCode::invalid_data, "initrd", module.name,
                               "the file is empty; leave it out or give a filled one");
        }
        size = align_up(size, kInitrdAlignment) + module.file->size();
    }
    return size;
}

}  // namespace

Result<Initrd> put_initrd(Loading& loading, uint64_t end) {
    const auto modules = loading.request.modules;
    if (modules.empty()) return Initrd{};
    TRY_ASSIGN(length, joined_size(modules));
    const auto start = loading.placement.take_highest(length, kPageSize, end);
    if (!start) {
        return image_error(ErrorCode::invalid_argument, "initrd", modules.front().name,
                           "%lluM do not fit beside the kernel into the guest's %lluM below 4G; "
                           "give the guest more "
                           "with --memory, or a smaller initrd",
                           in_mib(length), in_mib(loading.placement.ram_bytes()));
    }
    uint64_t end_of_last = 0;
    for (const ModuleFile& module : modules) {
        const uint64_t at = align_up(end_of_last, kInitrdAlignment);
        TRY(clear(loading, *start + end_of_last, at - end_of_last));  // must be zero
        TRY(copy_in(loading, *start + at, *module.file, 0, module.file->size()));
        end_of_last = at + module.file->size();
    }
    return Initrd{*start, length};
}

namespace {

// Selectors 0x10 and 0x18 are what Linux's 64-bit boot protocol asks for; the other protocols leave
// them open.
constexpr uint16_t kCodeSelector = 0x10;
constexpr uint16_t kDataSelector = 0x18;
constexpr uint64_t kCode64 = 0x00AF9B000000FFFF;  // flat, present, readable, accessed
constexpr uint64_t kCode32 = 0x00CF9B000000FFFF;
constexpr uint64_t kData = 0x00CF93000000FFFF;

constexpr uint64_t kPresentWritable = 3;
constexpr uint64_t kLargePage = 1U << 7;
constexpr uint64_t kEntries = 512;
constexpr uint64_t kDirectories = 4;  // of 1 GiB each

// PML4, one PDPT, four page directories of 2 MiB pages, in that order (Intel SDM vol. 3
// section 4.5).
std::vector<uint64_t> identity_tables(Gpa at) {
    std::vector<uint64_t> entries((2 + kDirectories) * kEntries);
    entries[0] = (at + kPageSize).value | kPresentWritable;
    for (uint64_t i = 0; i < kDirectories; ++i) {
        entries[kEntries + i] = (at + (2 + i) * kPageSize).value | kPresentWritable;
    }
    for (uint64_t i = 0; i < kDirectories * kEntries; ++i) {
        entries[2 * kEntries + i] = (i << 21) | kPresentWritable | kLargePage;
    }
    return entries;
}

Result<Gpa> put_identity_tables(Loading& loading) {
    const std::vector<std::byte> room((2 + kDirectories) * kPageSize);
    TRY_ASSIGN(at, put_low(loading, room, kPageSize));
    const auto tables = identity_tables(at);
    TRY(copy_in(loading, at, std::as_bytes(std::span(tables))));
    return at;
}

}  // namespace

Result<void> put_entry_tables(Loading& loading, EntryState& entry) {
    const bool long_mode = entry.mode == EntryMode::long64;
    const std::array<uint64_t, 4> gdt{0, 0, long_mode ? kCode64 : kCode32, kData};
    TRY_ASSIGN(gdt_base, put_low(loading, std::as_bytes(std::span(gdt)), 8));
    entry.gdt_base = gdt_base;
    entry.gdt_limit = sizeof(gdt) - 1;
    entry.code_selector = kCodeSelector;
    entry.data_selector = kDataSelector;
    entry.cr0 = x86::kCr0Pe | x86::kCr0Et;
    if (!long_mode) return {};

    TRY_ASSIGN(tables, put_identity_tables(loading));
    entry.cr0 |= x86::kCr0Pg;
    entry.cr3 = tables.value;
    entry.cr4 = x86::kCr4Pae;
    entry.efer = x86::kEferLme | x86::kEferLma;
    return {};
}

}  // namespace banyan::loader
