// Multiboot 1: Multiboot Specification version 0.6.96, chapter 3.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "loader/byte_view.hpp"
#include "loader/elf.hpp"
#include "loader/loading.hpp"
#include "support/bits.hpp"
#include "support/le.hpp"

namespace banyan::loader {

namespace {

constexpr uint32_t kHeaderMagic = 0x1BADB002;
constexpr uint32_t kEntryMagic = 0x2BADB002;
constexpr uint64_t kSearched = 8192;  // the header lies wholly inside the first 8 KiB
constexpr uint64_t kOneMiB = 1ULL << 20;

// Header flags. Of the low 16, which a loader must understand, bit 0 (modules on page boundaries)
// and bit 1 (memory information) are always honoured.
constexpr uint32_t kFlagVideo = 1U << 2;
constexpr uint32_t kMandatory = 0xFFFF;
constexpr uint32_t kHonoured = 3;
constexpr uint32_t kFlagAddresses = 1U << 16;

struct Header {
    le32 magic, flags, checksum;
    le32 header_address, load_address, load_end, bss_end, entry;  // with kFlagAddresses
};
constexpr uint64_t kShortHeader = 12;

struct FoundHeader {
    uint64_t offset = 0;
    Header header;
};

std::optional<FoundHeader> find_header(const ImageFile& file) {
    const auto searched = file.part(0, std::min(file.size(), kSearched));
    if (!searched) return std::nullopt;
    const ByteView view(*searched);
    for (uint64_t offset = 0; offset + kShortHeader <= view.size(); offset += 4) {
        if (*view.read<le32>(offset) != kHeaderMagic) continue;
        const uint32_t flags = *view.read<le32>(offset + 4);
        const uint32_t checksum = *view.read<le32>(offset + 8);
        if (kHeaderMagic + flags + checksum != 0) continue;
        if ((flags & kFlagAddresses) == 0)
            return FoundHeader{offset, {kHeaderMagic, flags, checksum, {}, {}, {}, {}, {}}};
        if (const auto header = view.read<Header>(offset)) return FoundHeader{offset, *header};
    }
    return std::nullopt;
}

// What the kernel gets in EBX; only the fields that we set have names.
struct Info {
    le32 flags, mem_lower, mem_upper, boot_device, command_line, module_count, modules;
    le32 symbols[4];
    le32 mmap_length, mmap, drives_length, drives, config_table, loader_name, apm_table;
};
static_assert(sizeof(Info) == 72);
constexpr uint32_t kInfoMemory = 1U << 0;
constexpr uint32_t kInfoCommandLine = 1U << 2;
constexpr uint32_t kInfoModules = 1U << 3;
constexpr uint32_t kInfoMmap = 1U << 6;
constexpr uint32_t kInfoLoaderName = 1U << 9;

struct MmapEntry {
    le32 size;  // of what follows
    le64 start, length;
    le32 type;
};
static_assert(sizeof(MmapEntry) == 24);

struct ModuleEntry {
    le32 start, end, text, reserved;
};
static_assert(sizeof(ModuleEntry) == 16);

uint32_t low32(Gpa gpa) {
    return static_cast<uint32_t>(gpa.value);
}  // all of Placement is below 4 GiB

tl::unexpected<Error> bad_header(const LoadRequest& request, const char* why) {
    return image_error(ErrorCode::invalid_data, "kernel", request.kernel_name,
                       "its multiboot header %s", why);
}

// The header gives the addresses, and the file is a flat image (section 3.1.3 "The address
// fields").
Result<uint64_t> load_flat(Loading& loading, const FoundHeader& found) {
    const LoadRequest& request = loading.request;
    const Header& header = found.header;
    const uint64_t load = header.load_address;
    const uint64_t before_header = uint64_t{header.header_address} - load;
    if (header.header_address < load || before_header > found.offset) {
        return bad_header(
            request,
            "names addresses before the start of the file; the image is damaged, build it again");
    }
    const uint64_t file_offset = found.offset - before_header;
    const uint64_t in_file = request.kernel->size() - file_offset;
    const uint64_t length = header.load_end == 0 ? in_file : uint64_t{header.load_end} - load;
    if (header.load_end != 0 && (header.load_end < load || length > in_file)) {
        return bad_header(
            request, "names more bytes than the file has; the file is truncated, copy it again");
    }
    const uint64_t end = std::max<uint64_t>(load + length, header.bss_end);
    const ElfImage image{header.entry,
                         {{kElfLoad, file_offset, load, load, length, end - load, 1}}};
    TRY(load_segments(loading, image));
    return uint64_t{header.entry};
}

// An ELF entry is a virtual address where the segment's differ from its physical ones.
uint64_t physical_entry(const ElfImage& image) {
    for (const ElfSegment& segment : image.segments) {
        if (segment.type == kElfLoad && image.entry >= segment.vaddr &&
            image.entry - segment.vaddr < segment.memory_size) {
            return image.entry - segment.vaddr + segment.paddr;
        }
    }
    return image.entry;
}

Result<uint64_t> load_elf(Loading& loading) {
    const LoadRequest& request = loading.request;
    if (!is_elf(*request.kernel)) {
        return bad_header(
            request,
            "has no load addresses, and the file is no ELF; build it as ELF or with addresses");
    }
    TRY_ASSIGN(image, parse_elf(request.kernel_name, *request.kernel));
    TRY(load_segments(loading, image));
    return physical_entry(image);
}

std::string joined(std::string_view first, std::string_view rest) {
    std::string text(first);
    if (!rest.empty()) text.append(" ").append(rest);
    return text;
}

Result<void> put_modules(Loading& loading, Info& info) {
    std::vector<ModuleEntry> entries;
    for (const ModuleFile& module : loading.request.modules) {
        const uint64_t size = module.file->size();
        const auto at =
            loading.placement.take_lowest(std::max<uint64_t>(size, 1), kPageSize, kOneMiB);
        if (!at) {
            return image_error(ErrorCode::invalid_argument, "initrd", module.name,
                               "%lluM do not fit beside the kernel into the guest's %lluM below "
                               "4G; give the guest more "
                               "with --memory",
                               in_mib(size), in_mib(loading.placement.ram_bytes()));
        }
        TRY(copy_in(loading, *at, *module.file, 0, size));
        TRY_ASSIGN(text, put_string(loading, joined(module.name, module.arguments)));
        entries.push_back({low32(*at), low32(*at + size), low32(text), 0U});
    }
    if (entries.empty()) return {};
    TRY_ASSIGN(list, put_low(loading, std::as_bytes(std::span(entries)), alignof(uint32_t)));
    info.flags = info.flags | kInfoModules;
    info.module_count = static_cast<uint32_t>(entries.size());
    info.modules = low32(list);
    return {};
}

Result<void> put_memory_map(Loading& loading, Info& info) {
    std::vector<MmapEntry> entries;
    for (const E820Entry& entry : loading.request.memory_map) {
        entries.push_back({static_cast<uint32_t>(sizeof(MmapEntry) - sizeof(le32)),
                           entry.start.value, entry.length, static_cast<uint32_t>(entry.type)});
        if (entry.type != E820Type::ram) continue;
        const auto kib = static_cast<uint32_t>(std::min<uint64_t>(entry.length / 1024, UINT32_MAX));
        if (entry.start.value == 0) info.mem_lower = kib;
        if (entry.start.value == kOneMiB) info.mem_upper = kib;
    }
    TRY_ASSIGN(map, put_low(loading, std::as_bytes(std::span(entries)), alignof(uint32_t)));
    info.flags = info.flags | kInfoMemory | kInfoMmap;
    info.mmap_length = static_cast<uint32_t>(entries.size() * sizeof(MmapEntry));
    info.mmap = low32(map);
    return {};
}

Result<Gpa> put_info(Loading& loading) {
    const LoadRequest& request = loading.request;
    Info info{};
    TRY(put_modules(loading, info));
    TRY(put_memory_map(loading, info));
    // As with GRUB, the first word is the kernel's name.
    TRY_ASSIGN(command_line,
               put_string(loading, joined(request.kernel_name, request.command_line)));
    info.command_line = low32(command_line);
    TRY_ASSIGN(loader_name, put_string(loading, "banyan"));
    info.loader_name = low32(loader_name);
    info.flags = info.flags | kInfoCommandLine | kInfoLoaderName;
    return put_low(loading, std::as_bytes(std::span(&info, 1)), alignof(uint32_t));
}

}  // namespace

bool has_multiboot_header(const ImageFile& file) {
    return find_header(file).has_value();
}

Result<EntryState> load_multiboot(Loading& loading) {
    const LoadRequest& request = loading.request;
    const auto found = find_header(*request.kernel);
    if (!found) return bad_header(request, "is missing; give a multiboot image");
    const uint32_t flags = found->header.flags;
    if ((flags & kFlagVideo) != 0) {
        return bad_header(request,
                          "asks for a video mode, and there is no display; build it without");
    }
    if ((flags & kMandatory & ~kHonoured) != 0) {
        return bad_header(
            request, "asks for features that no version of multiboot 1 has; the image is damaged");
    }
    TRY_ASSIGN(start,
               (flags & kFlagAddresses) != 0 ? load_flat(loading, *found) : load_elf(loading));
    if (!loading.placement.is_ram(start, 1)) {
        return bad_header(request,
                          "leads to an entry outside memory; the image is damaged, build it again");
    }
    TRY_ASSIGN(info, put_info(loading));

    EntryState entry;
    entry.format = ImageFormat::multiboot;
    entry.mode = EntryMode::protected32;
    entry.rip = start;
    entry.rax = kEntryMagic;
    entry.rbx = info.value;
    TRY(put_entry_tables(loading, entry));
    return entry;
}

}  // namespace banyan::loader
