// The text that describes a VMDK disk: "Virtual Disk Format 5.0", The Descriptor File.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support/result.hpp"

namespace banyan {

struct VmdkExtent {
    enum class Kind : uint8_t { flat, zero, sparse };
    Kind kind = Kind::flat;
    uint64_t sectors = 0;
    std::string file;          // of flat and sparse
    uint64_t file_sector = 0;  // of flat: where it begins there
};

struct VmdkDescriptor {
    std::vector<VmdkExtent> extents;
};

inline constexpr size_t kMostDescriptorBytes = 64 * 1024;

bool looks_like_vmdk_descriptor(std::string_view text);

// `name` is for messages. Fails on disks that stand on another one.
Result<VmdkDescriptor> parse_vmdk_descriptor(std::string_view text, const std::string& name);

}  // namespace banyan
