// The formats of disk images.
#pragma once

#include <cstdint>
#include <string_view>

namespace banyan {

enum class ImageFormat : uint8_t { raw, qcow2 };

constexpr std::string_view name_of(ImageFormat format) {
    return format == ImageFormat::raw ? "raw" : "qcow2";
}

}  // namespace banyan
