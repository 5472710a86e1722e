#include "backends/block/foreign/vmdk_descriptor.hpp"

#include <charconv>
#include <fmt/format.h>
#include <optional>

#include "backends/block/image/image_error.hpp"

namespace banyan {

namespace {

constexpr std::string_view kVmdkFirstLine = "# Disk DescriptorFile";
constexpr std::string_view kNoParent = "ffffffff";
constexpr size_t kMostExtents = 256;
constexpr uint64_t kMostExtentSectors = uint64_t{1} << 40;

std::string_view trim(std::string_view text) {
    constexpr std::string_view kBlank = " \t\r";
    const size_t start = std::min(text.find_first_not_of(kBlank), text.size());
    text.remove_prefix(start);
    return text.substr(0, text.find_last_not_of(kBlank) + 1);
}

// Cuts the next word off; one in quotes without them.
std::string_view take_word(std::string_view& line) {
    line = trim(line);
    const bool quoted = !line.empty() && line.front() == '"';
    if (quoted) line.remove_prefix(1);
    const size_t end = std::min(line.find_first_of(quoted ? "\"" : " \t"), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return word;
}

std::optional<uint64_t> number_in(std::string_view text) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<VmdkExtent::Kind> kind_of(std::string_view word) {
    if (word == "FLAT" || word == "VMFS") return VmdkExtent::Kind::flat;
    if (word == "ZERO") return VmdkExtent::Kind::zero;
    if (word == "SPARSE" || word == "VMFSSPARSE") return VmdkExtent::Kind::sparse;
    return std::nullopt;
}

bool is_access(std::string_view word) {
    return word == "RW" || word == "RDONLY" || word == "NOACCESS";
}

// "The Extent Description": access, size in sectors, type, file name, and of flat ones where.
Result<VmdkExtent> parse_extent(std::string_view line, const std::string& name) {
    VmdkExtent extent;
    (void)take_word(line);
    const auto sectors = number_in(take_word(line));
    const std::string_view kind_word = take_word(line);
    const auto kind = kind_of(kind_word);
    if (!kind) {
        return unsupported_image(name, "it has an extent of a kind that is not known",
                                 "copy it with qemu-img convert");
    }
    extent.kind = *kind;
    extent.file = take_word(line);
    const std::string_view place = take_word(line);
    const auto file_sector = place.empty() ? 0 : number_in(place);
    if (!sectors || *sectors == 0 || *sectors > kMostExtentSectors || !file_sector ||
        *file_sector > kMostExtentSectors) {
        return malformed(name, "the numbers of an extent make no sense");
    }
    extent.sectors = *sectors;
    extent.file_sector = *file_sector;
    return extent;
}

}  // namespace

bool looks_like_vmdk_descriptor(std::string_view text) {
    return text.starts_with(kVmdkFirstLine);
}

Result<VmdkDescriptor> parse_vmdk_descriptor(std::string_view text, const std::string& name) {
    VmdkDescriptor descriptor;
    text = text.substr(0, text.find('\0'));
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trim(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.starts_with("parentCID")) {
            const size_t equals = std::min(line.find('='), line.size() - 1);
            if (trim(line.substr(equals + 1)) == kNoParent) continue;
            return unsupported_image(name, "it holds only what differs from another image",
                                     "make one of both with vmware-vdiskmanager -r");
        }
        if (!is_access(line.substr(0, line.find(' ')))) continue;
        if (descriptor.extents.size() == kMostExtents)
            return malformed(name, "it has too many extents");
        TRY_ASSIGN(extent, parse_extent(line, name));
        descriptor.extents.push_back(std::move(extent));
    }
    return descriptor;
}

}  // namespace banyan
