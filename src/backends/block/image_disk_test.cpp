#include "backends/block/image_disk.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <gtest/gtest.h>
#include <map>
#include <sys/resource.h>
#include <sys/stat.h>

namespace banyan {
namespace {

using Kind = BlockRequest::Kind;
using Bytes = std::vector<std::byte>;

constexpr uint64_t kDiskSize = 64 * 1024;

Bytes pattern(size_t size, unsigned seed) {
    Bytes bytes(size);
    for (size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>(i * 7 + seed);
    return bytes;
}

class Completions final : public BlockClient {
public:
    void on_block_complete(uint64_t cookie, BlockStatus status) override {
        const std::lock_guard lock(mutex);
        statuses[cookie] = status;
    }
    std::mutex mutex;
    std::map<uint64_t, BlockStatus> statuses;
};

class RawDisk : public testing::Test {
protected:
    void SetUp() override {
        directory = testing::TempDir() + "banyan-disk-XXXXXX";
        ASSERT_NE(::mkdtemp(directory.data()), nullptr);
        path = make("disk.img", kDiskSize);
    }
    void TearDown() override { std::filesystem::remove_all(directory); }

    std::string make(const std::string& name, uint64_t size) const {
        const std::string made = directory + "/" + name;
        std::ofstream{made};
        std::filesystem::resize_file(made, size);
        return made;
    }

    static std::string why_not(const std::string& what, ImageDiskOptions options = {}) {
        options.path = what;
        const auto disk = ImageDisk::open(options);
        return disk ? "nothing" : std::string(disk.error().text());
    }

    static BlockStatus carry_out(ImageDisk& disk, BlockRequest request) {
        Completions client;
        request.cookie = 1;
        disk.submit(request, client);
        disk.drain();
        EXPECT_EQ(client.statuses.size(), 1U);
        return client.statuses[1];
    }

    static BlockStatus move(ImageDisk& disk, Kind kind, uint64_t offset, Bytes& bytes) {
        const std::array<std::span<std::byte>, 1> buffers{std::span(bytes)};
        return carry_out(disk, {kind, offset, bytes.size(), buffers, 0});
    }

    std::string directory;
    std::string path;
};

TEST_F(RawDisk, ReadsBackWhatWasWritten) {
    auto disk = ImageDisk::open({.path = path});
    ASSERT_TRUE(disk) << disk.error().text();
    Bytes out = pattern(4096, 1);
    Bytes in(4096);

    EXPECT_EQ((*disk)->size_bytes(), kDiskSize);
    EXPECT_EQ(move(**disk, Kind::write, 512, out), BlockStatus::ok);
    EXPECT_EQ(carry_out(**disk, {.kind = Kind::flush}), BlockStatus::ok);
    EXPECT_EQ(move(**disk, Kind::read, 512, in), BlockStatus::ok);

    EXPECT_EQ(in, out);
}

TEST_F(RawDisk, ScattersOverManyBuffers) {
    auto disk = ImageDisk::open({.path = path});
    ASSERT_TRUE(disk);
    Bytes out = pattern(512 * 100, 3);
    ASSERT_EQ(move(**disk, Kind::write, 0, out), BlockStatus::ok);
    Bytes in(out.size());
    std::vector<std::span<std::byte>> buffers;
    for (size_t i = 0; i < 100; ++i)
        buffers.push_back(std::span(in).subspan(i * 512, 512));
    buffers.insert(buffers.begin(), std::span<std::byte>());  // an empty one changes nothing

    const BlockStatus status = carry_out(**disk, {Kind::read, 0, in.size(), buffers, 0});

    EXPECT_EQ(status, BlockStatus::ok);
    EXPECT_EQ(in, out);
}

TEST_F(RawDisk, CompletesManyRequestsBeforeDrainReturns) {
    auto disk = ImageDisk::open({.path = path});
    ASSERT_TRUE(disk);
    Completions client;
    std::vector<Bytes> data(100, Bytes(512));
    std::vector<std::span<std::byte>> buffers(data.begin(), data.end());

    for (size_t i = 0; i < data.size(); ++i) {
        (*disk)->submit({Kind::read, i * 512, 512, std::span(buffers).subspan(i, 1), i}, client);
    }
    (*disk)->drain();

    EXPECT_EQ(client.statuses.size(), data.size());
}

TEST_F(RawDisk, DiscardedAndZeroedPartsReadAsZero) {
    auto disk = ImageDisk::open({.path = path});
    ASSERT_TRUE(disk);
    Bytes ones(16384, std::byte{1});
    ASSERT_EQ(move(**disk, Kind::write, 0, ones), BlockStatus::ok);

    EXPECT_EQ(carry_out(**disk, {.kind = Kind::write_zeroes, .offset = 4096, .length = 512}),
              BlockStatus::ok);
    const BlockStatus discarded =
        carry_out(**disk, {.kind = Kind::discard, .offset = 8192, .length = 4096});

    ASSERT_EQ(move(**disk, Kind::read, 0, ones), BlockStatus::ok);
    EXPECT_EQ(ones[4095], std::byte{1});
    EXPECT_EQ(ones[4096], std::byte{0});
    EXPECT_EQ(ones[4607], std::byte{0});
    EXPECT_EQ(ones[4608], std::byte{1});
    EXPECT_EQ(ones[8192], discarded == BlockStatus::ok ? std::byte{0} : std::byte{1});
    EXPECT_EQ(std::filesystem::file_size(path), kDiskSize);
}

TEST_F(RawDisk, AReadOnlyDiskRefusesChanges) {
    auto disk = ImageDisk::open({.path = path, .read_only = true});
    ASSERT_TRUE(disk);
    Bytes bytes(512);

    EXPECT_TRUE((*disk)->read_only());
    EXPECT_EQ(move(**disk, Kind::read, 0, bytes), BlockStatus::ok);
    EXPECT_EQ(move(**disk, Kind::write, 0, bytes), BlockStatus::io_error);
    EXPECT_EQ(carry_out(**disk, {.kind = Kind::discard, .length = 512}), BlockStatus::io_error);
    EXPECT_EQ(carry_out(**disk, {.kind = Kind::write_zeroes, .length = 512}),
              BlockStatus::io_error);
    EXPECT_EQ(carry_out(**disk, {.kind = Kind::flush}), BlockStatus::ok);
}

TEST_F(RawDisk, AFileThatBecameShorterIsAnIoError) {
    auto disk = ImageDisk::open({.path = path});
    ASSERT_TRUE(disk);
    std::filesystem::resize_file(path, 512);
    Bytes bytes(1024);

    EXPECT_EQ(move(**disk, Kind::read, 0, bytes), BlockStatus::io_error);
}

// The file size limit stands for a host that runs out of space: both fail a write with an error
// number.
TEST_F(RawDisk, AHostThatCannotWriteIsAnIoError) {
    std::signal(SIGXFSZ, SIG_IGN);
    auto disk = ImageDisk::open({.path = path});
    ASSERT_TRUE(disk);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    rlimit small = before;
    small.rlim_cur = 4096;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    Bytes bytes(512);

    const BlockStatus beyond = move(**disk, Kind::write, 8192, bytes);
    const BlockStatus within = move(**disk, Kind::write, 0, bytes);

    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(beyond, BlockStatus::io_error);
    EXPECT_EQ(within, BlockStatus::ok);
}

TEST_F(RawDisk, OnlyOneCanWrite) {
    auto first = ImageDisk::open({.path = path});
    ASSERT_TRUE(first);

    EXPECT_NE(why_not(path).find("another VM or program uses it"), std::string::npos);
    EXPECT_NE(why_not(path, {.read_only = true}).find("another VM or program uses it"),
              std::string::npos);
    first->reset();
    EXPECT_EQ(why_not(path), "nothing");
}

TEST_F(RawDisk, ManyCanReadButNoneWriteThen) {
    auto first = ImageDisk::open({.path = path, .read_only = true});
    ASSERT_TRUE(first);

    EXPECT_EQ(why_not(path, {.read_only = true}), "nothing");
    EXPECT_NE(why_not(path).find("another VM or program uses it"), std::string::npos);
}

TEST_F(RawDisk, SaysWhatIsWrongWithAnImage) {
    const auto fifo = directory + "/fifo";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);

    EXPECT_NE(why_not(directory + "/none").find("No such file or directory; check its name"),
              std::string::npos);
    EXPECT_NE(why_not(directory).find("it is a directory"), std::string::npos);
    EXPECT_NE(why_not(directory, {.read_only = true}).find("it is a directory"), std::string::npos);
    EXPECT_NE(why_not(fifo).find("neither a file nor a block device"), std::string::npos);
    EXPECT_NE(why_not("/dev/null").find("neither a file nor a block device"), std::string::npos);
    EXPECT_NE(why_not(make("tiny", 511)).find("less than a sector"), std::string::npos);
    EXPECT_NE(why_not(make("odd", 1000)).find("not a multiple of 512"), std::string::npos);
}

TEST_F(RawDisk, AReadOnlyFileNeedsTheOption) {
    ASSERT_EQ(::chmod(path.c_str(), 0444), 0);

    EXPECT_NE(why_not(path).find("readonly=on"), std::string::npos);
    EXPECT_EQ(why_not(path, {.read_only = true}), "nothing");
}

}  // namespace
}  // namespace banyan
