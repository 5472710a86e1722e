#include <gtest/gtest.h>

#include "backends/block/foreign/testing/sound_images.hpp"
#include "backends/block/foreign/vdi_image.hpp"
#include "backends/block/foreign/vhd_image.hpp"
#include "backends/block/foreign/vhdx_image.hpp"
#include "backends/block/foreign/vmdk_image.hpp"

namespace banyan {
namespace {

using Bytes = MemoryFile::Bytes;
using Opened = Result<std::unique_ptr<DiskImage>>;

enum class Format : uint8_t {
    vdi,
    vhd_fixed,
    vhd_dynamic,
    vhdx,
    vmdk_sparse,
    vmdk_stream,
    vmdk_flat
};

Bytes sound(Format format) {
    switch (format) {
        case Format::vdi: return make_vdi();
        case Format::vhd_fixed: return make_vhd(VhdKind::fixed);
        case Format::vhd_dynamic: return make_vhd(VhdKind::dynamic);
        case Format::vhdx: return make_vhdx();
        case Format::vmdk_sparse: return make_vmdk(VmdkKind::sparse);
        case Format::vmdk_stream: return make_vmdk(VmdkKind::stream);
        case Format::vmdk_flat: return make_vmdk(VmdkKind::flat);
    }
    return {};
}

Bytes flat_file() {
    Bytes bytes(kFlatBytes);
    std::fill_n(bytes.begin(), 4096, kMark);
    return bytes;
}

Opened open(Format format, Bytes bytes) {
    auto file = std::make_unique<MemoryFile>(std::move(bytes));
    switch (format) {
        case Format::vdi: return open_vdi(std::move(file), "the image");
        case Format::vhd_fixed:
        case Format::vhd_dynamic: return open_vhd(std::move(file), "the image");
        case Format::vhdx: return open_vhdx(std::move(file), "the image");
        default: break;
    }
    return open_vmdk(std::move(file), "the image",
                     [](const std::string& name) -> Result<std::unique_ptr<ImageFile>> {
                         if (name != "disk-flat.vmdk")
                             return fail(ErrorCode::not_found, "no such file");
                         return std::make_unique<MemoryFile>(flat_file());
                     });
}

std::string why_not(Format format, Bytes bytes) {
    const auto disk = open(format, std::move(bytes));
    return disk ? "nothing" : std::string(disk.error().text());
}

template <class T>
Bytes changed(Bytes bytes, size_t at, T value) {
    std::memcpy(&bytes[at], &value, sizeof(value));
    return bytes;
}

class ForeignImage : public testing::TestWithParam<Format> {};

TEST_P(ForeignImage, HoldsWhatWasPutThere) {
    auto disk = open(GetParam(), sound(GetParam()));
    ASSERT_TRUE(disk) << disk.error().text();
    ASSERT_EQ((*disk)->size(), kFlatBytes);

    Bytes bytes(kFlatBytes, std::byte{1});
    ASSERT_TRUE((*disk)->read(0, OneBuffer(bytes)));
    EXPECT_EQ(bytes, flat_file());
    Bytes part(1024, std::byte{1});
    ASSERT_TRUE((*disk)->read(4096 - 512, OneBuffer(part)));
    EXPECT_EQ(part[511], kMark);
    EXPECT_EQ(part[512], std::byte{0});
}

TEST_P(ForeignImage, IsNotWritten) {
    auto disk = open(GetParam(), sound(GetParam()));
    ASSERT_TRUE(disk);
    Bytes bytes(512);

    EXPECT_EQ((*disk)->write(0, OneBuffer(bytes)).error().code(), ErrorCode::unsupported);
    EXPECT_FALSE((*disk)->write_zeroes(0, 512));
    EXPECT_FALSE((*disk)->discard(0, 512));
    EXPECT_FALSE((*disk)->resize(2 * kFlatBytes));
    EXPECT_TRUE((*disk)->flush());
    EXPECT_TRUE((*disk)->close());
}

TEST_P(ForeignImage, StretchesCoverTheDisk) {
    auto disk = open(GetParam(), sound(GetParam()));
    ASSERT_TRUE(disk);
    for (uint64_t at = 0; at < kFlatBytes;) {
        const auto stretch = (*disk)->stretch(at, kFlatBytes - at);
        ASSERT_TRUE(stretch);
        ASSERT_GT(stretch->length, 0U);
        EXPECT_FALSE(at < 4096 && stretch->zeroes);
        at += stretch->length;
        ASSERT_LE(at, kFlatBytes);
    }
}

TEST_P(ForeignImage, AFileThatWasCutIsRefused) {
    Bytes bytes = sound(GetParam());
    for (const size_t left : {size_t{0}, size_t{1}, size_t{100}}) {
        bytes.resize(std::min(left, bytes.size()));
        EXPECT_NE(why_not(GetParam(), bytes), "nothing") << left;
    }
}

INSTANTIATE_TEST_SUITE_P(Formats, ForeignImage,
                         testing::Values(Format::vdi, Format::vhd_fixed, Format::vhd_dynamic,
                                         Format::vhdx, Format::vmdk_sparse, Format::vmdk_stream,
                                         Format::vmdk_flat));

TEST(Vdi, SaysWhatIsWrong) {
    const Bytes image = make_vdi();
    const auto refused = [&](Bytes bytes) { return why_not(Format::vdi, std::move(bytes)); };
    EXPECT_NE(refused(changed(image, 64, le32(1))).find("no VDI image"), std::string::npos);
    EXPECT_NE(refused(changed(image, 68, le32(2))).find("version 0x2"), std::string::npos);
    EXPECT_NE(refused(changed(image, 76, le32(4))).find("differs from another"), std::string::npos);
    EXPECT_NE(refused(changed(image, 440, le32(1))).find("differs from another"),
              std::string::npos);
    EXPECT_NE(refused(changed(image, 376, le32(5000))).find("blocks are of 5000"),
              std::string::npos);
    EXPECT_NE(refused(changed(image, 384, le32(1))).find("table of blocks"), std::string::npos);
    EXPECT_NE(refused(changed(image, 368, le64(uint64_t{1} << 60))).find("table of blocks"),
              std::string::npos);
    EXPECT_NE(refused(changed(image, 512, le32(77))).find("behind the end"), std::string::npos);
}

TEST(Vhd, SaysWhatIsWrong) {
    const auto refused = [](Bytes bytes, bool mend) {
        if (mend) mend_checksums(false, bytes);
        return why_not(Format::vhd_dynamic, std::move(bytes));
    };
    const Bytes image = make_vhd(VhdKind::dynamic);
    const size_t footer = image.size() - 512;
    // The copy at the start stands in for a damaged end.
    EXPECT_EQ(refused(changed(image, footer + 48, be64(1)), false), "nothing");
    EXPECT_NE(
        refused(changed(changed(image, footer, be32(0)), 0, be32(0)), false).find("no footer"),
        std::string::npos);
    EXPECT_NE(refused(changed(image, footer + 60, be32(4)), true).find("differs from another"),
              std::string::npos);
    EXPECT_NE(refused(changed(image, 544, be32(1000)), true).find("blocks are of 1000"),
              std::string::npos);
    EXPECT_NE(refused(changed(image, 544, be32(1000)), false).find("header is damaged"),
              std::string::npos);
    EXPECT_NE(refused(changed(image, 540, be32(1)), true).find("table of blocks"),
              std::string::npos);
    EXPECT_NE(refused(changed(image, 1536, be32(7777)), true).find("behind the end"),
              std::string::npos);
}

TEST(Vhdx, SaysWhatIsWrong) {
    const Bytes image = make_vhdx();
    const auto refused = [](Bytes bytes, bool mend = true) {
        if (mend) mend_checksums(true, bytes);
        return why_not(Format::vhdx, std::move(bytes));
    };
    constexpr size_t kSecondHeader = 128 << 10;
    constexpr size_t kMetadata = 320 << 10;
    EXPECT_NE(refused(changed(image, 0, le32(0))).find("no VHDX image"), std::string::npos);
    // One header is enough.
    EXPECT_EQ(refused(changed(image, kSecondHeader + 100, le32(1)), false), "nothing");
    Bytes both = changed(changed(image, kSecondHeader, le32(1)), 64 << 10, le32(1));
    EXPECT_NE(refused(both).find("both of its headers"), std::string::npos);
    EXPECT_NE(refused(changed(image, kMetadata + 65540, le32(2))).find("differs from another"),
              std::string::npos);
    EXPECT_NE(refused(changed(image, kMetadata + 65552, le32(520))).find("sectors are of 520"),
              std::string::npos);
    EXPECT_NE(refused(changed(image, kMetadata + 65536, le32(1000))).find("blocks are of 1000"),
              std::string::npos);
    EXPECT_NE(
        refused(changed(image, 448 << 10, le64((uint64_t{1} << 40) | 6))).find("behind the end"),
        std::string::npos);
}

TEST(Vhdx, ALogThatWasNotEmptiedIsRefused) {
    Bytes image = changed(make_vhdx(), (128 << 10) + 48, le32(0x11));
    mend_checksums(true, image);
    EXPECT_EQ(why_not(Format::vhdx, image), "nothing");  // a log without entries
    constexpr size_t kLog = 512 << 10;
    Bytes with_entry = changed(image, (128 << 10) + 72, le64(kLog));
    mend_checksums(true, with_entry);
    std::memcpy(&with_entry[kLog], "loge", 4);
    with_entry = changed(with_entry, kLog + 32, le32(0x11));
    EXPECT_NE(why_not(Format::vhdx, with_entry).find("was not closed"), std::string::npos);
}

TEST(Vmdk, SaysWhatIsWrong) {
    const Bytes image = make_vmdk(VmdkKind::sparse);
    const auto refused = [](Bytes bytes) { return why_not(Format::vmdk_sparse, std::move(bytes)); };
    EXPECT_NE(refused(changed(image, 0, le32(0))).find("no VMDK image"), std::string::npos);
    EXPECT_NE(refused(changed(image, 4, le32(9))).find("version 9"), std::string::npos);
    EXPECT_NE(refused(changed(image, 20, le64(3))).find("make no sense"), std::string::npos);
    EXPECT_NE(refused(changed(image, 12, le64(uint64_t{1} << 50))).find("makes no sense"),
              std::string::npos);
    EXPECT_NE(refused(changed(image, 56, le64(1 << 30))).find("behind its end"), std::string::npos);
    EXPECT_NE(refused(changed(image, 512, le32(1 << 30))).find("behind its end"),
              std::string::npos);
    Bytes stream = make_vmdk(VmdkKind::stream);
    stream.resize(stream.size() - 512);
    EXPECT_NE(refused(stream).find("no footer"), std::string::npos);
    auto damaged = open(Format::vmdk_stream, changed(make_vmdk(VmdkKind::stream), 3090, le64(1)));
    ASSERT_TRUE(damaged);
    Bytes bytes(512);
    EXPECT_EQ((*damaged)->read(0, OneBuffer(bytes)).error().code(), ErrorCode::invalid_data);
}

std::string why_not_described(const std::string& lines) {
    const std::string text = "# Disk DescriptorFile\n" + lines;
    const auto bytes = std::as_bytes(std::span(text));
    return why_not(Format::vmdk_flat, {bytes.begin(), bytes.end()});
}

TEST(Vmdk, ADescriptorNamesOnlyFilesBesideIt) {
    EXPECT_EQ(why_not_described("RW 8 FLAT \"disk-flat.vmdk\" 0\nRW 8 ZERO\n"), "nothing");
    for (const char* name : {"/etc/passwd", "../disk-flat.vmdk", "a/b", "..", ""}) {
        EXPECT_NE(
            why_not_described(std::string("RW 8 FLAT \"") + name + "\" 0\n").find("own folder"),
            std::string::npos)
            << name;
    }
    EXPECT_NE(why_not_described("RW 8 FLAT \"none\" 0\n").find("no such file"), std::string::npos);
    EXPECT_NE(why_not_described("RW 9999 FLAT \"disk-flat.vmdk\" 0\n").find("shorter"),
              std::string::npos);
    EXPECT_NE(why_not_described("RW x FLAT \"disk-flat.vmdk\" 0\n").find("numbers"),
              std::string::npos);
    EXPECT_NE(why_not_described("RW 8 SPARSE \"disk-s001.vmdk\"\n").find("several sparse"),
              std::string::npos);
    EXPECT_NE(why_not_described("RW 8 MAGIC \"a\"\n").find("not known"), std::string::npos);
    EXPECT_NE(why_not_described("parentCID=12345678\n").find("differs from another"),
              std::string::npos);
    EXPECT_NE(why_not_described("").find("a disk of nothing"), std::string::npos);
}

TEST(Crc32c, IsTheOneOfIscsi) {
    // RFC 3720, B.4
    const std::array<std::byte, 32> zeroes{};
    EXPECT_EQ(crc32c(zeroes), 0x8A9136AAU);
    std::array<std::byte, 32> ones{};
    ones.fill(std::byte{0xFF});
    EXPECT_EQ(crc32c(ones), 0x62A8AB43U);
}

}  // namespace
}  // namespace banyan
