// The formats of disk images.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace banyan {

enum class ImageFormat : uint8_t {
    raw,
    qcow2,
    vmdk,  // from here on, only read
    vdi,
    vhd,
    vhdx,
};

struct ImageFormatName {
    std::string_view name;
    ImageFormat format;
};

inline constexpr std::array<ImageFormatName, 6> kImageFormats{{{"raw", ImageFormat::raw},
                                                               {"qcow2", ImageFormat::qcow2},
                                                               {"vmdk", ImageFormat::vmdk},
                                                               {"vdi", ImageFormat::vdi},
                                                               {"vhd", ImageFormat::vhd},
                                                               {"vhdx", ImageFormat::vhdx}}};

constexpr std::string_view name_of(ImageFormat format) {
    return kImageFormats[static_cast<size_t>(format)].name;
}

constexpr bool can_be_written(ImageFormat format) {
    return format == ImageFormat::raw || format == ImageFormat::qcow2;
}

// Whoever calls a file so says what it is; a guest cannot.
constexpr std::optional<ImageFormat> format_of_name(std::string_view path) {
    if (path.ends_with(".vmdk")) return ImageFormat::vmdk;
    if (path.ends_with(".vdi")) return ImageFormat::vdi;
    if (path.ends_with(".vhd") || path.ends_with(".vpc")) return ImageFormat::vhd;
    if (path.ends_with(".vhdx")) return ImageFormat::vhdx;
    return std::nullopt;
}

}  // namespace banyan
