#include "app/cli/image_values.hpp"

#include <array>
#include <bit>
#include <fmt/format.h>

namespace banyan {

ImageFormat format_for(const std::string& path, std::optional<ImageFormat> wanted) {
    if (wanted) return *wanted;
    if (const auto said = format_of_name(path)) return *said;
    const bool raw = path.ends_with(".raw") || path.ends_with(".img");
    return raw ? ImageFormat::raw : ImageFormat::qcow2;
}

Result<unsigned> cluster_bits_of(uint64_t cluster_size) {
    if (std::has_single_bit(cluster_size) && cluster_size >= 512 && cluster_size <= 2U << 20) {
        return static_cast<unsigned>(std::countr_zero(cluster_size));
    }
    return fail(ErrorCode::invalid_argument,
                fmt::format("--cluster-size {}: not a power of two from 512 to 2M; give one, such "
                            "as 64K",
                            cluster_size));
}

Result<void> check_disk_size(uint64_t size) {
    if (size != 0 && size % 512 == 0) return {};
    return fail(ErrorCode::invalid_argument,
                fmt::format("a disk of {} bytes: it must have whole sectors of 512; give a "
                            "multiple of 512",
                            size));
}

std::string size_text(uint64_t bytes) {
    static constexpr std::array<char, 4> kUnits{'T', 'G', 'M', 'K'};
    unsigned shift = 40;
    for (const char unit : kUnits) {
        const uint64_t size = uint64_t{1} << shift;
        if (bytes >= size) {
            const auto value = static_cast<double>(bytes) / static_cast<double>(size);
            const std::string number = bytes % size == 0 ? fmt::format("{}", bytes >> shift)
                                                         : fmt::format("{:.1f}", value);
            return fmt::format("{}{} ({} bytes)", number, unit, bytes);
        }
        shift -= 10;
    }
    return fmt::format("{} bytes", bytes);
}

}  // namespace banyan
