#include "backends/block/image/qcow2_compression.hpp"

#include <memory>
#include <zlib.h>
#include <zstd.h>

namespace banyan {

namespace {

// Negative: without header and checksum. QEMU's window is of 2^12 bytes; larger ones can be read.
constexpr int kReadWindow = -15;
constexpr int kWriteWindow = -12;
constexpr int kMemoryLevel = 9;

// SAFETY: the libraries' bytes are unsigned char; zlib's input is not const, and not changed.
Bytef* zlib_bytes(std::span<const std::byte> bytes) {
    return reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
}

bool decompress_deflate(std::span<const std::byte> data, std::span<std::byte> cluster) {
    z_stream stream{};
    stream.next_in = zlib_bytes(data);
    stream.avail_in = static_cast<uInt>(data.size());
    stream.next_out = zlib_bytes(cluster);
    stream.avail_out = static_cast<uInt>(cluster.size());
    if (inflateInit2(&stream, kReadWindow) != Z_OK) return false;
    const int result = inflate(&stream, Z_FINISH);
    const bool filled = stream.avail_out == 0;
    inflateEnd(&stream);
    return filled && (result == Z_STREAM_END || result == Z_BUF_ERROR || result == Z_OK);
}

bool decompress_zstd(std::span<const std::byte> data, std::span<std::byte> cluster) {
    const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(),
                                                                       &ZSTD_freeDCtx);
    if (context == nullptr) return false;
    ZSTD_inBuffer in{data.data(), data.size(), 0};
    ZSTD_outBuffer out{cluster.data(), cluster.size(), 0};
    while (out.pos < out.size) {
        const size_t before = in.pos + out.pos;
        if (ZSTD_isError(ZSTD_decompressStream(context.get(), &out, &in)) != 0) return false;
        if (in.pos + out.pos == before) return false;
    }
    return true;
}

}  // namespace

bool decompress_cluster(uint8_t type, std::span<const std::byte> data,
                        std::span<std::byte> cluster) {
    if (type == qcow2::kCompressionZstd) return decompress_zstd(data, cluster);
    return decompress_deflate(data, cluster);
}

std::optional<std::vector<std::byte>> compress_cluster(std::span<const std::byte> cluster) {
    std::vector<std::byte> data(cluster.size() - 1);
    z_stream stream{};
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kWriteWindow, kMemoryLevel,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return std::nullopt;
    }
    stream.next_in = zlib_bytes(cluster);
    stream.avail_in = static_cast<uInt>(cluster.size());
    stream.next_out = zlib_bytes(data);
    stream.avail_out = static_cast<uInt>(data.size());
    const int result = deflate(&stream, Z_FINISH);
    data.resize(data.size() - stream.avail_out);
    deflateEnd(&stream);
    if (result != Z_STREAM_END) return std::nullopt;
    return data;
}

}  // namespace banyan
