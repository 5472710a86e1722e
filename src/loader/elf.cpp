#include "loader/elf.hpp"

#include <algorithm>

#include "loader/byte_view.hpp"
#include "support/bits.hpp"
#include "support/le.hpp"

namespace banyan::loader {

namespace {

constexpr uint32_t kMagic = 0x464C457F;  // 7F "ELF"
constexpr uint8_t kClass64 = 2;
constexpr uint8_t kLittleEndian = 1;
constexpr uint16_t kExecutable = 2;    // ET_EXEC
constexpr uint16_t kSharedObject = 3;  // ET_DYN: a position-independent executable
constexpr uint16_t kMachine386 = 3;
constexpr uint16_t kMachineX86_64 = 62;

struct Elf32 {
    struct Header {
        unsigned char ident[16];
        le16 type, machine;
        le32 version, entry, phoff, shoff, flags;
        le16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
    };
    struct Segment {
        le32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
    };
};
static_assert(sizeof(Elf32::Header) == 52 && sizeof(Elf32::Segment) == 32);

struct Elf64 {
    struct Header {
        unsigned char ident[16];
        le16 type, machine;
        le32 version;
        le64 entry, phoff, shoff;
        le32 flags;
        le16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
    };
    struct Segment {
        le32 type, flags;
        le64 offset, vaddr, paddr, filesz, memsz, align;
    };
};
static_assert(sizeof(Elf64::Header) == 64 && sizeof(Elf64::Segment) == 56);

tl::unexpected<Error> truncated(std::string_view name) {
    return image_error(ErrorCode::invalid_data, "kernel", name,
                       "the ELF file is truncated or damaged; copy it again");
}

template <class Elf>
Result<ElfImage> parse(std::string_view name, const ImageFile& file) {
    const auto header = file.object<typename Elf::Header>(0);
    if (!header) return truncated(name);
    if ((header->type != kExecutable && header->type != kSharedObject) ||
        (header->machine != kMachine386 && header->machine != kMachineX86_64)) {
        return image_error(
            ErrorCode::invalid_data, "kernel", name,
            "it is no executable for x86 (ELF type %u, machine %u); give a kernel for x86",
            unsigned{header->type}, unsigned{header->machine});
    }
    ElfImage image;
    image.entry = header->entry;
    for (uint64_t i = 0; i < header->phnum; ++i) {
        const auto segment =
            file.object<typename Elf::Segment>(uint64_t{header->phoff} + i * header->phentsize);
        if (!segment || !file.has(segment->offset, segment->filesz)) return truncated(name);
        image.segments.push_back({segment->type, segment->offset, segment->vaddr, segment->paddr,
                                  segment->filesz, segment->memsz, segment->align});
    }
    return image;
}

}  // namespace

bool is_elf(const ImageFile& file) {
    return file.object<le32>(0).value_or(0U) == kMagic;
}

Result<ElfImage> parse_elf(std::string_view name, const ImageFile& file) {
    const auto ident = file.part(0, 16);
    if (!ident) return truncated(name);
    if (std::to_integer<uint8_t>((*ident)[5]) != kLittleEndian) {
        return image_error(ErrorCode::invalid_data, "kernel", name,
                           "it is a big-endian ELF file; give a kernel for x86");
    }
    return std::to_integer<uint8_t>((*ident)[4]) == kClass64 ? parse<Elf64>(name, file)
                                                             : parse<Elf32>(name, file);
}

Result<void> load_segments(Loading& loading, const ElfImage& image) {
    const LoadRequest& request = loading.request;
    bool any = false;
    for (const ElfSegment& segment : image.segments) {
        if (segment.type != kElfLoad || segment.memory_size == 0) continue;
        const uint64_t length = std::max(segment.memory_size, segment.file_size);
        if (!loading.placement.take(segment.paddr, length)) {
            return image_error(ErrorCode::invalid_data, "kernel", request.kernel_name,
                               "it wants %lluM at 0x%llx, which is not free memory of a guest with "
                               "%lluM below 4G; "
                               "give the guest more with --memory",
                               in_mib(length), static_cast<unsigned long long>(segment.paddr),
                               in_mib(loading.placement.ram_bytes()));
        }
        // parse_elf has seen that it is there.
        TRY(copy_in(loading, {segment.paddr}, *request.kernel, segment.offset, segment.file_size));
        TRY(clear(loading, {segment.paddr + segment.file_size}, length - segment.file_size));
        any = true;
    }
    if (any) return {};
    return image_error(ErrorCode::invalid_data, "kernel", request.kernel_name,
                       "the ELF file has nothing to load; give an executable kernel");
}

namespace {

constexpr uint64_t kMostNotes = 1 << 20;  // bytes of a segment that are looked at

struct NoteHeader {
    le32 name_size, descriptor_size, type;
};

// Walks the notes of one segment; each takes at least its header, so the walk ends.
std::optional<uint64_t> find_in(ByteView notes, uint64_t alignment, std::string_view owner,
                                uint32_t type) {
    uint64_t at = 0;
    while (const auto header = notes.read<NoteHeader>(at)) {
        const uint64_t name_at = at + sizeof(NoteHeader);
        const uint64_t descriptor_at = align_up(name_at + header->name_size, alignment);
        const auto name = notes.range(name_at, owner.size());
        const bool same_owner =
            name && header->name_size == owner.size() &&
            std::equal(owner.begin(), owner.end(), name->begin(),
                       [](char c, std::byte b) { return static_cast<std::byte>(c) == b; });
        if (same_owner && header->type == type) {
            if (header->descriptor_size >= sizeof(le64)) return notes.read<le64>(descriptor_at);
            if (header->descriptor_size >= sizeof(le32)) return notes.read<le32>(descriptor_at);
        }
        at = align_up(descriptor_at + header->descriptor_size, alignment);
    }
    return std::nullopt;
}

}  // namespace

std::optional<uint64_t> find_note(const ElfImage& image, const ImageFile& file,
                                  std::string_view owner, uint32_t type) {
    for (const ElfSegment& segment : image.segments) {
        if (segment.type != kElfNote) continue;
        const auto bytes = file.part(segment.offset, std::min(segment.file_size, kMostNotes));
        if (!bytes) continue;
        // Notes are padded to 4 bytes, in segments that say so to 8.
        const uint64_t alignment = segment.alignment == 8 ? 8 : 4;
        if (const auto value = find_in(ByteView(*bytes), alignment, owner, type)) return value;
    }
    return std::nullopt;
}

}  // namespace banyan::loader
