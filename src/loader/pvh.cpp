// ELF kernels with a PVH entry: Xen docs/misc/pvh.pandoc ("x86/HVM direct boot ABI") and the layout
// of hvm_start_info in xen/include/public/arch-x86/hvm/start_info.h.
#include <vector>

#include "loader/elf.hpp"
#include "loader/loading.hpp"
#include "support/le.hpp"

namespace banyan::loader {

namespace {

constexpr std::string_view kXenOwner{"Xen\0", 4};
constexpr uint32_t kPhys32Entry = 18;  // XEN_ELFNOTE_PHYS32_ENTRY
constexpr uint32_t kStartMagic = 0x336EC578;
constexpr uint32_t kStartVersion = 1;  // has the memory map
constexpr uint64_t kFourGiB = 1ULL << 32;

struct StartInfo {
    le32 magic, version, flags, module_count;
    le64 modules, command_line, rsdp, memory_map;
    le32 memory_map_entries, reserved;
};
static_assert(sizeof(StartInfo) == 56);

struct PvhModule {
    le64 start, size, command_line, reserved;
};
static_assert(sizeof(PvhModule) == 32);

struct MemoryMapEntry {
    le64 start, size;
    le32 type, reserved;  // types are E820's
};
static_assert(sizeof(MemoryMapEntry) == 24);

std::optional<uint64_t> pvh_entry(const ElfImage& image, const ImageFile& file) {
    return find_note(image, file, kXenOwner, kPhys32Entry);
}

Result<Gpa> put_memory_map(Loading& loading) {
    std::vector<MemoryMapEntry> entries;
    for (const E820Entry& entry : loading.request.memory_map) {
        entries.push_back({entry.start.value, entry.length, static_cast<uint32_t>(entry.type), 0U});
    }
    return put_low(loading, std::as_bytes(std::span(entries)), alignof(uint64_t));
}

Result<Gpa> put_start_info(Loading& loading) {
    StartInfo info{};
    info.magic = kStartMagic;
    info.version = kStartVersion;
    info.rsdp = loading.request.rsdp.value;
    TRY_ASSIGN(initrd, put_initrd(loading, kFourGiB));
    if (initrd.length != 0) {
        const PvhModule module{initrd.start.value, initrd.length, 0U, 0U};
        TRY_ASSIGN(modules,
                   put_low(loading, std::as_bytes(std::span(&module, 1)), alignof(uint64_t)));
        info.modules = modules.value;
        info.module_count = 1U;
    }
    TRY_ASSIGN(command_line, put_string(loading, loading.request.command_line));
    info.command_line = command_line.value;
    TRY_ASSIGN(memory_map, put_memory_map(loading));
    info.memory_map = memory_map.value;
    info.memory_map_entries = static_cast<uint32_t>(loading.request.memory_map.size());
    return put_low(loading, std::as_bytes(std::span(&info, 1)), alignof(uint64_t));
}

}  // namespace

bool has_pvh_note(const ImageFile& file) {
    if (!is_elf(file)) return false;
    const auto image = parse_elf({}, file);
    return image && pvh_entry(*image, file).has_value();
}

Result<EntryState> load_pvh(Loading& loading) {
    const LoadRequest& request = loading.request;
    TRY_ASSIGN(image, parse_elf(request.kernel_name, *request.kernel));
    const uint64_t start = pvh_entry(image, *request.kernel).value_or(0);
    TRY(load_segments(loading, image));
    if (!loading.placement.is_ram(start, 1)) {
        return image_error(
            ErrorCode::invalid_data, "kernel", request.kernel_name,
            "its PVH entry 0x%llx is not in memory; the file is damaged, copy it again",
            static_cast<unsigned long long>(start));
    }
    TRY_ASSIGN(info, put_start_info(loading));

    EntryState entry;
    entry.format = ImageFormat::pvh;
    entry.mode = EntryMode::protected32;
    entry.rip = start;
    entry.rbx = info.value;
    TRY(put_entry_tables(loading, entry));
    return entry;
}

}  // namespace banyan::loader
