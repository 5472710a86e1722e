#include "backends/block/image_chain.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <mutex>

#include "backends/block/image/qcow2_check.hpp"
#include "backends/block/image/qcow2_create.hpp"
#include "backends/block/image_disk.hpp"
#include "backends/block/posix_file.hpp"

namespace banyan {
namespace {

constexpr uint64_t kSize = 1 << 20;

class ImageChain : public testing::Test {
protected:
    void SetUp() override {
        directory = testing::TempDir() + "banyan-images-XXXXXX";
        ASSERT_NE(::mkdtemp(directory.data()), nullptr);
    }
    void TearDown() override { std::filesystem::remove_all(directory); }

    std::string at(const std::string& name) const { return directory + "/" + name; }

    std::string raw(const std::string& name, const std::string& start) const {
        std::ofstream(at(name)) << start;
        std::filesystem::resize_file(at(name), kSize);
        return at(name);
    }

    std::string qcow2(const std::string& name, const std::string& backing = "",
                      const std::string& format = "") const {
        std::ofstream{at(name)};
        auto opened = open_image("open", at(name), false);
        EXPECT_TRUE(opened) << opened.error().text();
        PosixFile file(std::move(*opened), name);
        const auto created = create_qcow2(
            file, {.size = kSize, .backing_file = backing, .backing_format = format}, name);
        EXPECT_TRUE(created) << created.error().text();
        return at(name);
    }

    static std::string why_not(const ImageOptions& options) {
        const auto opened = open_image_chain(options);
        return opened ? "nothing" : std::string(opened.error().text());
    }
    static void expect_why(const ImageOptions& options, const std::string& why) {
        EXPECT_NE(why_not(options).find(why), std::string::npos) << why_not(options);
    }

    static std::string read_start(const OpenedImage& opened) {
        std::string text(5, '?');
        EXPECT_TRUE(opened.disk->read(0, OneBuffer(std::as_writable_bytes(std::span(text)))));
        return text;
    }

    std::string directory;
};

TEST_F(ImageChain, BackingFilesAreFoundBesideTheirImages) {
    std::filesystem::create_directory(at("bases"));
    raw("bases/base.raw", "hello");
    qcow2("bases/middle.qcow2", "base.raw", "raw");
    qcow2("top.qcow2", "bases/middle.qcow2", "qcow2");
    qcow2("absolute.qcow2", "file:" + at("top.qcow2"), "qcow2");

    const auto opened = open_image_chain({.path = at("absolute.qcow2")});

    ASSERT_TRUE(opened) << opened.error().text();
    EXPECT_EQ(opened->format, ImageFormat::qcow2);
    EXPECT_TRUE(opened->guessed);
    EXPECT_EQ(read_start(*opened), "hello");
}

TEST_F(ImageChain, LoopsAndLongChainsAreRefused) {
    qcow2("a.qcow2", "b.qcow2", "qcow2");
    qcow2("b.qcow2", "./a.qcow2", "qcow2");
    expect_why({.path = at("a.qcow2"), .read_only = true}, "it stands on itself");

    raw("0.qcow2", "");
    for (int i = 1; i <= 70; ++i) {
        qcow2(std::to_string(i) + ".qcow2", std::to_string(i - 1) + ".qcow2",
              i == 1 ? "raw" : "qcow2");
    }
    EXPECT_EQ(why_not({.path = at("60.qcow2")}), "nothing");
    expect_why({.path = at("70.qcow2")}, "more than 64 files");
}

TEST_F(ImageChain, SaysWhatIsWrongWithABackingFile) {
    expect_why({.path = qcow2("a.qcow2", "none", "raw")}, "open the backing file");
    expect_why({.path = qcow2("b.qcow2", "nbd://host/x", "raw")}, "not the name of a file");
    expect_why({.path = qcow2("c.qcow2", "json:{}", "raw")}, "not the name of a file");
    raw("base", "");
    expect_why({.path = qcow2("d.qcow2", "base", "vmdk")}, "of the format 'vmdk'");
}

// What a guest has written to a raw base must not be taken for the header of an image.
TEST_F(ImageChain, ABackingFileWithoutAFormatIsRawOrRefused) {
    raw("base.raw", "hello");
    const auto opened = open_image_chain({.path = qcow2("a.qcow2", "base.raw")});
    ASSERT_TRUE(opened) << opened.error().text();
    EXPECT_EQ(read_start(*opened), "hello");

    qcow2("base.qcow2");
    expect_why({.path = qcow2("b.qcow2", "base.qcow2")}, "does not say of what format");
}

TEST_F(ImageChain, AnImageThatNamesFilesIsNotGuessedUnlessItsNameSaysSo) {
    raw("base.raw", "hello");
    const auto disk = qcow2("disk.img", "base.raw", "raw");

    expect_why({.path = disk}, "say format=qcow2");
    EXPECT_EQ(why_not({.path = disk, .format = ImageFormat::qcow2}), "nothing");
    EXPECT_EQ(why_not({.path = disk, .format = ImageFormat::raw}), "nothing");
    EXPECT_EQ(why_not({.path = qcow2("alone.img")}), "nothing");
}

TEST_F(ImageChain, AGuessedRawDiskCannotBecomeQcow2) {
    const auto disk = raw("disk.img", "");
    std::string header(512, '\0');
    header.replace(0, 4, "QFI\xFB");
    const auto write = [&](const ImageOptions& options) {
        const auto opened = open_image_chain(options);
        EXPECT_TRUE(opened);
        return opened->disk->write(0, OneBuffer(std::as_writable_bytes(std::span(header))));
    };

    EXPECT_FALSE(write({.path = disk}));
    EXPECT_TRUE(write({.path = disk, .format = ImageFormat::raw}));
    expect_why({.path = disk}, "the disk image");
}

TEST_F(ImageChain, ABaseCanBeSharedButNotWrittenMeanwhile) {
    raw("base.raw", "hello");
    const auto first = open_image_chain({.path = qcow2("a.qcow2", "base.raw", "raw")});
    const auto second = open_image_chain({.path = qcow2("b.qcow2", "base.raw", "raw")});
    ASSERT_TRUE(first && second);

    expect_why({.path = at("base.raw")}, "another VM or program uses it");
    expect_why({.path = at("a.qcow2")}, "another VM or program uses it");
}

class CountingClient final : public BlockClient {
public:
    void on_block_complete(uint64_t, BlockStatus status) override {
        const std::lock_guard lock(mutex);
        ++count[status];
    }
    std::mutex mutex;
    std::map<BlockStatus, size_t> count;
};

// Many requests at once, of all kinds, to parts of the same clusters.
TEST_F(ImageChain, RequestsAtOnceDoNotDisturbEachOther) {
    const auto path = qcow2("disk.qcow2");
    constexpr size_t kPieces = 512;
    constexpr size_t kPiece = kSize / kPieces;
    std::vector<std::vector<std::byte>> data(kPieces, std::vector<std::byte>(kPiece));
    std::vector<std::span<std::byte>> buffers(data.begin(), data.end());
    const auto piece = [&](BlockRequest::Kind kind, size_t i) {
        return BlockRequest{kind, i * kPiece, kPiece, std::span(buffers).subspan(i, 1), i};
    };
    {
        auto disk = ImageDisk::open({.path = path, .threads = 8});
        ASSERT_TRUE(disk) << disk.error().text();
        CountingClient client;
        for (unsigned round = 1; round <= 8; ++round) {
            for (size_t i = 0; i < kPieces; ++i) {
                std::fill(data[i].begin(), data[i].end(), static_cast<std::byte>(i + round));
                (*disk)->submit(piece(BlockRequest::Kind::write, i), client);
            }
            (*disk)->submit({.kind = BlockRequest::Kind::flush}, client);
            (*disk)->drain();
            for (size_t i = round; i < kPieces; i += 16)
                (*disk)->submit(piece(BlockRequest::Kind::write_zeroes, i), client);
            const uint64_t cluster = round * 65536;
            (*disk)->submit(
                {.kind = BlockRequest::Kind::discard, .offset = cluster, .length = 65536}, client);
            (*disk)->submit({.kind = BlockRequest::Kind::flush}, client);
            (*disk)->drain();
        }
        for (size_t i = 0; i < kPieces; ++i)
            (*disk)->submit(piece(BlockRequest::Kind::read, i), client);
        (*disk)->drain();
        EXPECT_EQ(client.count.size(), 1U);
    }
    for (size_t i = 0; i < kPieces; ++i) {
        const bool discarded = i * kPiece / 65536 == 8;
        const auto expected =
            i % 16 == 8 || discarded ? std::byte{0} : static_cast<std::byte>(i + 8);
        EXPECT_EQ(data[i], std::vector<std::byte>(kPiece, expected)) << i;
    }
    auto image = open_qcow2_alone(path, true);
    ASSERT_TRUE(image);
    const auto report = check_qcow2((*image)->file(), (*image)->header(), {}, path);
    EXPECT_EQ(report->errors + report->leaks, 0U);
}

TEST_F(ImageChain, WritableDisksOfferToForget) {
    for (const std::string& path : {qcow2("a.qcow2"), raw("a.img", "")}) {
        for (const bool read_only : {false, true}) {
            auto disk = ImageDisk::open({.path = path, .read_only = read_only});
            ASSERT_TRUE(disk) << disk.error().text();
            EXPECT_EQ((*disk)->supports(BlockRequest::Kind::discard), !read_only);
            EXPECT_EQ((*disk)->supports(BlockRequest::Kind::write_zeroes), !read_only);
        }
    }
}

}  // namespace
}  // namespace banyan
