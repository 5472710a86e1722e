// Small sound images of each format, for tests: a disk of kFlatBytes, whose first block holds
// kMark in all its bytes, and the rest zeroes.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <zlib.h>

#include "backends/block/foreign/crc32c.hpp"
#include "backends/block/foreign/vhdx_regs.hpp"
#include "backends/block/image/borrowed_file.hpp"
#include "backends/block/image/testing/memory_file.hpp"
#include "support/be.hpp"
#include "support/le.hpp"

namespace banyan {

inline constexpr uint64_t kFlatBytes = 256 * 1024;
inline constexpr std::byte kMark{0xA5};

// Fills an image in by offsets, as the formats' documents give them.
class ImageWriter {
public:
    explicit ImageWriter(size_t size) : bytes_(size) {}

    template <class T>
    ImageWriter& put(size_t at, T value) {
        std::memcpy(&bytes_[at], &value, sizeof(value));
        return *this;
    }
    ImageWriter& text(size_t at, std::string_view text) {
        std::memcpy(&bytes_[at], text.data(), text.size());
        return *this;
    }
    ImageWriter& mark(size_t at, size_t length) {
        std::memset(&bytes_[at], static_cast<int>(kMark), length);
        return *this;
    }
    MemoryFile::Bytes& bytes() { return bytes_; }

private:
    MemoryFile::Bytes bytes_;
};

inline MemoryFile::Bytes make_vdi() {
    constexpr uint32_t kBlock = 4096;
    constexpr uint32_t kBlocks = kFlatBytes / kBlock;
    ImageWriter w(2048 + kBlock);
    w.put(64, le32(0xBEDA107F)).put(68, le32(0x00010001)).put(72, le32(400)).put(76, le32(1));
    w.put(340, le32(512)).put(344, le32(2048)).put(360, le32(512)).put(368, le64(kFlatBytes));
    w.put(376, le32(kBlock)).put(384, le32(kBlocks)).put(388, le32(1));
    for (uint32_t block = 0; block < kBlocks; ++block)
        w.put(512 + 4 * block, le32(block == 0 ? 0 : 0xFFFFFFFF));
    w.mark(2048, kBlock);
    return w.bytes();
}

enum class VhdKind : uint8_t { fixed, dynamic };

inline void mend_vhd_checksum(MemoryFile::Bytes& bytes, size_t at, size_t length, size_t field) {
    if (at + length > bytes.size()) return;
    std::memset(&bytes[at + field], 0, 4);
    uint32_t sum = 0;
    for (size_t i = 0; i < length; ++i)
        sum += static_cast<uint32_t>(bytes[at + i]);
    const be32 checksum(~sum);
    std::memcpy(&bytes[at + field], &checksum, sizeof(checksum));
}

inline void put_vhd_footer(ImageWriter& w, size_t at, VhdKind kind) {
    w.text(at, "conectix").put(at + 12, be32(0x00010000)).text(at + 28, "test");
    w.put(at + 16, kind == VhdKind::fixed ? be64(~uint64_t{0}) : be64(512));
    w.put(at + 40, be64(kFlatBytes)).put(at + 48, be64(kFlatBytes));
    w.put(at + 60, be32(kind == VhdKind::fixed ? 2U : 3U));
    mend_vhd_checksum(w.bytes(), at, 512, 64);
}

// Dynamic: a copy of the footer, the header, the table, and a block of 4 KiB behind its bitmap.
inline MemoryFile::Bytes make_vhd(VhdKind kind) {
    constexpr uint32_t kBlock = 4096;
    if (kind == VhdKind::fixed) {
        ImageWriter w(kFlatBytes + 512);
        w.mark(0, kBlock);
        put_vhd_footer(w, kFlatBytes, kind);
        return w.bytes();
    }
    constexpr uint32_t kBlocks = kFlatBytes / kBlock;
    ImageWriter w(2048 + 512 + kBlock + 512);
    put_vhd_footer(w, 0, kind);
    w.text(512, "cxsparse").put(520, be64(~uint64_t{0})).put(528, be64(1536));
    w.put(536, be32(0x00010000)).put(540, be32(kBlocks)).put(544, be32(kBlock));
    mend_vhd_checksum(w.bytes(), 512, 1024, 36);
    for (uint32_t block = 0; block < kBlocks; ++block)
        w.put(1536 + 4 * block, be32(block == 0 ? 2048 / 512 : 0xFFFFFFFF));
    w.mark(2048 + 512, kBlock);
    put_vhd_footer(w, 2048 + 512 + kBlock, kind);
    return w.bytes();
}

inline void mend_vhdx_checksum(MemoryFile::Bytes& bytes, size_t at, size_t length) {
    if (at + length > bytes.size()) return;
    std::memset(&bytes[at + 4], 0, 4);
    const le32 checksum(crc32c(std::span(bytes).subspan(at, length)));
    std::memcpy(&bytes[at + 4], &checksum, sizeof(checksum));
}

inline void put_vhdx_item(ImageWriter& w, size_t table, size_t index, const vhdx::Guid& guid,
                          uint32_t offset, uint32_t length) {
    const size_t at = table + 32 + 32 * index;
    w.put(at, guid).put(at + 16, le32(offset)).put(at + 20, le32(length)).put(at + 24, le32(4));
}

// Blocks of 1 MiB: the disk is a part of one.
inline MemoryFile::Bytes make_vhdx() {
    constexpr size_t kMetadata = 320 << 10;
    constexpr size_t kBat = 448 << 10;
    constexpr size_t kData = 1 << 20;
    ImageWriter w(kData + 4096);
    w.text(0, "vhdxfile");
    for (const size_t at : {size_t{64} << 10, size_t{128} << 10}) {
        w.text(at, "head").put(at + 8, le64(at >> 16)).put(at + 66, le16(uint16_t{1}));
        w.put(at + 68, le32(4096)).put(at + 72, le64(256 << 10));
        mend_vhdx_checksum(w.bytes(), at, 4096);
    }
    for (const size_t at : {size_t{192} << 10, size_t{256} << 10}) {
        w.text(at, "regi").put(at + 8, le32(2));
        w.put(at + 16, vhdx::kBatRegion).put(at + 32, le64(kBat)).put(at + 40, le32(4096));
        w.put(at + 48, vhdx::kMetadataRegion).put(at + 64, le64(kMetadata));
        w.put(at + 72, le32(128 << 10));
        mend_vhdx_checksum(w.bytes(), at, 64 << 10);
    }
    w.text(kMetadata, "metadata").put(kMetadata + 10, le16(uint16_t{3}));
    put_vhdx_item(w, kMetadata, 0, vhdx::kFileParameters, 65536, 8);
    put_vhdx_item(w, kMetadata, 1, vhdx::kDiskSize, 65544, 8);
    put_vhdx_item(w, kMetadata, 2, vhdx::kLogicalSectorSize, 65552, 4);
    w.put(kMetadata + 65536, le32(1 << 20)).put(kMetadata + 65544, le64(kFlatBytes));
    w.put(kMetadata + 65552, le32(512));
    w.put(kBat, le64(kData | vhdx::kBlockPresent));
    w.mark(kData, 4096);
    return w.bytes();
}

enum class VmdkKind : uint8_t { sparse, stream, flat };

inline void put_vmdk_header(ImageWriter& w, size_t at, VmdkKind kind, uint64_t directory) {
    const bool stream = kind == VmdkKind::stream;
    w.text(at, "KDMV")
        .put(at + 4, le32(stream ? 3U : 1U))
        .put(at + 8, le32(stream ? 0x30001U : 1U));
    w.put(at + 12, le64(kFlatBytes / 512)).put(at + 20, le64(8)).put(at + 44, le32(512));
    w.put(at + 56, le64(directory)).put(at + 77, le16(uint16_t{stream}));
}

inline MemoryFile::Bytes make_vmdk(VmdkKind kind) {
    constexpr size_t kGrain = 4096;
    if (kind == VmdkKind::flat) {
        const std::string text =
            "# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\n"
            "createType=\"monolithicFlat\"\nRW 512 FLAT \"disk-flat.vmdk\" 0\n";
        const auto bytes = std::as_bytes(std::span(text));
        return {bytes.begin(), bytes.end()};
    }
    // The header, the directory, a table of 512 grains, and a grain.
    ImageWriter w(512 + 512 + 2048 + kGrain + 1024);
    const bool stream = kind == VmdkKind::stream;
    put_vmdk_header(w, 0, kind, stream ? ~uint64_t{0} : 1);
    w.put(512, le32(2)).put(1024, le32(6));
    if (!stream) {
        w.mark(3072, kGrain);
        return w.bytes();
    }
    const MemoryFile::Bytes grain(kGrain, kMark);
    MemoryFile::Bytes packed(compressBound(kGrain));
    uLongf length = packed.size();
    // SAFETY: zlib's bytes are unsigned char.
    ::compress(reinterpret_cast<Bytef*>(packed.data()), &length,
               reinterpret_cast<const Bytef*>(grain.data()), kGrain);
    w.put(3072, le64(0)).put(3080, le32(static_cast<uint32_t>(length)));
    std::memcpy(&w.bytes()[3084], packed.data(), length);
    put_vmdk_header(w, w.bytes().size() - 1024, kind, 1);
    return w.bytes();
}

// After changes: so that what lies behind a checksum is looked at, too.
inline void mend_checksums(bool is_vhdx, MemoryFile::Bytes& bytes) {
    if (is_vhdx) {
        for (const size_t at : {size_t{64} << 10, size_t{128} << 10})
            mend_vhdx_checksum(bytes, at, 4096);
        for (const size_t at : {size_t{192} << 10, size_t{256} << 10})
            mend_vhdx_checksum(bytes, at, 64 << 10);
        return;
    }
    mend_vhd_checksum(bytes, 0, 512, 64);
    mend_vhd_checksum(bytes, 512, 1024, 36);
    if (bytes.size() >= 512) mend_vhd_checksum(bytes, bytes.size() - 512, 512, 64);
}

}  // namespace banyan
