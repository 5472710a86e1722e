// ELF executables of both widths, as far as a loader needs them: System V ABI, chapters 4 and 5.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "loader/loading.hpp"

namespace banyan::loader {

struct ElfSegment {
    uint32_t type = 0;
    uint64_t offset = 0;
    uint64_t vaddr = 0;
    uint64_t paddr = 0;
    uint64_t file_size = 0;
    uint64_t memory_size = 0;
    uint64_t alignment = 0;
};

inline constexpr uint32_t kElfLoad = 1;  // PT_LOAD
inline constexpr uint32_t kElfNote = 4;  // PT_NOTE

struct ElfImage {
    uint64_t entry = 0;
    std::vector<ElfSegment> segments;
};

bool is_elf(const ImageFile& file);

// Checks the header and that every segment lies inside the file. `name` is for messages.
Result<ElfImage> parse_elf(std::string_view name, const ImageFile& file);

// Copies the loadable segments to their physical addresses.
Result<void> load_segments(Loading& loading, const ElfImage& image);

// The first 4 or 8 bytes of the descriptor of a note, as a number.
std::optional<uint64_t> find_note(const ElfImage& image, const ImageFile& file,
                                  std::string_view owner, uint32_t type);

}  // namespace banyan::loader
