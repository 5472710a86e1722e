#include "backends/block/image_disk.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <gtest/gtest.h>
#include <map>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "backends/block/image/qcow2_create.hpp"
#include "backends/block/posix_file.hpp"

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
    size_t count() {
        const std::lock_guard lock(mutex);
        return statuses.size();
    }
    std::mutex mutex;
    std::map<uint64_t, BlockStatus> statuses;
};

class RawDisk : public testing::TestWithParam<DiskEngine> {
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
        const auto disk = open(options);
        return disk ? "nothing" : std::string(disk.error().text());
    }

    static Result<std::unique_ptr<ImageDisk>> open(ImageDiskOptions options) {
        options.engine = GetParam();
        return ImageDisk::open(options);
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

TEST_P(RawDisk, ReadsBackWhatWasWritten) {
    auto disk = open({.path = path});
    ASSERT_TRUE(disk) << disk.error().text();
    Bytes out = pattern(4096, 1);
    Bytes in(4096);

    EXPECT_EQ((*disk)->size_bytes(), kDiskSize);
    EXPECT_EQ(move(**disk, Kind::write, 512, out), BlockStatus::ok);
    EXPECT_EQ(carry_out(**disk, {.kind = Kind::flush}), BlockStatus::ok);
    EXPECT_EQ(move(**disk, Kind::read, 512, in), BlockStatus::ok);

    EXPECT_EQ(in, out);
}

TEST_P(RawDisk, CountsWhatItDid) {
    auto disk = open({.path = path, .read_only = true});
    ASSERT_TRUE(disk);
    Bytes bytes(1024);
    ASSERT_EQ(move(**disk, Kind::read, 0, bytes), BlockStatus::ok);
    ASSERT_EQ(move(**disk, Kind::read, 512, bytes), BlockStatus::ok);
    ASSERT_EQ(move(**disk, Kind::write, 0, bytes), BlockStatus::io_error);
    ASSERT_EQ(carry_out(**disk, {.kind = Kind::flush}), BlockStatus::ok);

    const DiskCounts counts = (*disk)->counts();
    EXPECT_EQ(counts.reads.done, 2U);
    EXPECT_EQ(counts.reads.bytes, 2048U);
    EXPECT_EQ(counts.reads.failed, 0U);
    EXPECT_EQ(counts.writes.done, 0U);
    EXPECT_EQ(counts.writes.bytes, 0U);
    EXPECT_EQ(counts.writes.failed, 1U);
    EXPECT_EQ(counts.flushes.done, 1U);
    EXPECT_EQ(counts.discards.done, 0U);
}

TEST_P(RawDisk, ScattersOverManyBuffers) {
    auto disk = open({.path = path});
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

TEST_P(RawDisk, CompletesManyRequestsBeforeDrainReturns) {
    auto disk = open({.path = path});
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

TEST_P(RawDisk, DiscardedAndZeroedPartsReadAsZero) {
    auto disk = open({.path = path});
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

TEST_P(RawDisk, AReadOnlyDiskRefusesChanges) {
    auto disk = open({.path = path, .read_only = true});
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

TEST_P(RawDisk, AFileThatBecameShorterIsAnIoError) {
    auto disk = open({.path = path});
    ASSERT_TRUE(disk);
    std::filesystem::resize_file(path, 512);
    Bytes bytes(1024);

    EXPECT_EQ(move(**disk, Kind::read, 0, bytes), BlockStatus::io_error);
}

// The file size limit stands for a host that runs out of space: both fail a write with an error
// number.
TEST_P(RawDisk, AHostThatCannotWriteIsAnIoError) {
    std::signal(SIGXFSZ, SIG_IGN);
    auto disk = open({.path = path});
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

TEST_P(RawDisk, OnlyOneCanWrite) {
    auto first = open({.path = path});
    ASSERT_TRUE(first);

    EXPECT_NE(why_not(path).find("another VM or program uses it"), std::string::npos);
    EXPECT_NE(why_not(path, {.read_only = true}).find("another VM or program uses it"),
              std::string::npos);
    first->reset();
    EXPECT_EQ(why_not(path), "nothing");
}

TEST_P(RawDisk, ManyCanReadButNoneWriteThen) {
    auto first = open({.path = path, .read_only = true});
    ASSERT_TRUE(first);

    EXPECT_EQ(why_not(path, {.read_only = true}), "nothing");
    EXPECT_NE(why_not(path).find("another VM or program uses it"), std::string::npos);
}

TEST_P(RawDisk, SaysWhatIsWrongWithAnImage) {
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

TEST_P(RawDisk, AReadOnlyFileNeedsTheOption) {
    ASSERT_EQ(::chmod(path.c_str(), 0444), 0);

    EXPECT_NE(why_not(path).find("readonly=on"), std::string::npos);
    EXPECT_EQ(why_not(path, {.read_only = true}), "nothing");
}

// What is read just after is what was written, for all ways that lead there.
TEST_P(RawDisk, MixesSizesAndAlignments) {
    for (const DiskCache cache : {DiskCache::writeback, DiskCache::none, DiskCache::unsafe}) {
        const std::string image = make("mixed.img", 4 << 20);
        auto disk = open({.path = image, .format = ImageFormat::raw, .cache = cache});
        ASSERT_TRUE(disk) << disk.error().text();
        Bytes memory((1 << 20) + 4096);
        Bytes in(1 << 20);
        for (const size_t skew : {0U, 1U, 512U, 100U}) {
            for (const size_t length : {512U, 4096U, 65536U, 66048U, 1U << 20}) {
                const std::span out = std::span(memory).subspan(skew, length);
                std::ranges::copy(pattern(length, static_cast<unsigned>(length + skew)),
                                  out.begin());
                const std::array<std::span<std::byte>, 2> from{out.first(300), out.subspan(300)};
                const uint64_t at = 1024 * skew + 512;

                EXPECT_EQ(carry_out(**disk, {Kind::write, at, length, from, 0}), BlockStatus::ok);
                EXPECT_EQ(carry_out(**disk, {.kind = Kind::flush}), BlockStatus::ok);
                const std::array<std::span<std::byte>, 1> to{std::span(in).first(length)};
                EXPECT_EQ(carry_out(**disk, {Kind::read, at, length, to, 0}), BlockStatus::ok);

                EXPECT_TRUE(std::ranges::equal(out, to[0])) << skew << " " << length;
            }
        }
    }
}

TEST_P(RawDisk, OffersDiscardAndZeroesUnlessReadOnly) {
    auto disk = open({.path = path});
    ASSERT_TRUE(disk);
    EXPECT_TRUE((*disk)->supports(Kind::discard));
    EXPECT_TRUE((*disk)->supports(Kind::write_zeroes));
    disk->reset();
    auto read_only = open({.path = path, .read_only = true});
    ASSERT_TRUE(read_only);
    EXPECT_FALSE((*read_only)->supports(Kind::discard));
}

TEST_P(RawDisk, DiscardGivesSpaceBack) {
    auto disk = open({.path = path});
    ASSERT_TRUE(disk);
    Bytes ones(kDiskSize, std::byte{1});
    ASSERT_EQ(move(**disk, Kind::write, 0, ones), BlockStatus::ok);
    ASSERT_EQ(carry_out(**disk, {.kind = Kind::flush}), BlockStatus::ok);
    struct stat before {};
    ASSERT_EQ(::stat(path.c_str(), &before), 0);

    EXPECT_EQ(carry_out(**disk, {.kind = Kind::discard, .length = kDiskSize}), BlockStatus::ok);

    struct stat after {};
    ASSERT_EQ(::stat(path.c_str(), &after), 0);
    EXPECT_LT(after.st_blocks, before.st_blocks);
}

// A guest that never stops must not be waited for.
TEST_P(RawDisk, ADrainDoesNotWaitForALimit) {
    DiskLimits limits;
    limits.requests[DiskLimits::all] = {.per_second = 1, .burst = 1};
    auto disk = open({.path = path, .limits = limits});
    ASSERT_TRUE(disk);
    Completions client;
    Bytes bytes(512);
    const std::array<std::span<std::byte>, 1> buffers{std::span(bytes)};
    const auto start = std::chrono::steady_clock::now();

    for (uint64_t i = 0; i < 1000; ++i)
        (*disk)->submit({Kind::read, 0, 512, buffers, i}, client);
    (*disk)->drain();

    EXPECT_EQ(client.statuses.size(), 1000U);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::minutes(1));
}

TEST_P(RawDisk, ALimitHoldsRequestsBack) {
    DiskLimits limits;
    limits.bytes[DiskLimits::writes] = {.per_second = 64 << 10, .burst = 4096};
    auto disk = open({.path = path, .limits = limits});
    ASSERT_TRUE(disk);
    Completions client;
    Bytes bytes(4096);
    const std::array<std::span<std::byte>, 1> buffers{std::span(bytes)};
    const auto start = std::chrono::steady_clock::now();

    // The last may start when seven have been paid for, of which one came from the burst.
    for (uint64_t i = 0; i < 8; ++i)
        (*disk)->submit({Kind::write, 0, 4096, buffers, i}, client);
    while (client.count() != 8)
        std::this_thread::yield();

    EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(6 * 62));
}

// A file that has no more room than its file system: a small one in memory, where tests may mount.
class Room final : public DiskRoomListener {
public:
    void on_disk_full(const std::string& why) override {
        const std::lock_guard lock(mutex);
        reason = why;
        ++full;
    }
    void on_disk_room() override {
        const std::lock_guard lock(mutex);
        ++room;
    }
    bool seen(unsigned wanted_full, unsigned wanted_room) {
        const std::lock_guard lock(mutex);
        return full == wanted_full && room == wanted_room;
    }
    std::mutex mutex;
    std::string reason;
    unsigned full = 0;
    unsigned room = 0;
};

class FullHost : public testing::TestWithParam<std::tuple<DiskEngine, ImageFormat, DiskCache>> {
protected:
    static constexpr uint64_t kRoom = 4 << 20;

    void SetUp() override {
        directory = testing::TempDir() + "banyan-full-XXXXXX";
        ASSERT_NE(::mkdtemp(directory.data()), nullptr);
        mounted = ::mount("none", directory.c_str(), "tmpfs", 0, "size=4m") == 0;
        if (!mounted) GTEST_SKIP() << "mounting a small file system is not allowed here";
    }
    void TearDown() override {
        if (mounted) ::umount(directory.c_str());
        std::filesystem::remove_all(directory);
    }

    std::string make_image() const {
        const std::string path = directory + "/disk";
        if (std::get<1>(GetParam()) == ImageFormat::raw) {
            std::ofstream{path};
            std::filesystem::resize_file(path, 2 * kRoom);
            return path;
        }
        std::ofstream{path};
        auto file = open_image("the image", path, false);
        PosixFile posix(std::move(*file), "the image");
        EXPECT_TRUE(create_qcow2(posix, {.size = 2 * kRoom, .cluster_bits = 12}, "the image"));
        return path;
    }

    static void await(auto condition) {
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (!condition() && std::chrono::steady_clock::now() < limit)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        ASSERT_TRUE(condition());
    }

    Result<std::unique_ptr<ImageDisk>> open(const std::string& path) {
        const auto& [engine, format, cache] = GetParam();
        return ImageDisk::open({.path = path,
                                .format = format,
                                .cache = cache,
                                .engine = engine,
                                .room_listener = &room});
    }

    std::string directory;
    bool mounted = false;
    Room room;
};

constexpr size_t kPieceSize = 64 * 1024;

TEST_P(FullHost, HoldsWritesUntilThereIsRoomAndLosesNothing) {
    const std::string path = make_image();
    // Leaves room for three quarters of what is going to be written.
    const std::string ballast = directory + "/ballast";
    std::ofstream(ballast) << std::string(2 << 20, 'x');
    auto disk = open(path);
    ASSERT_TRUE(disk) << disk.error().text();
    Completions client;
    constexpr size_t kPieces = (3 << 20) / kPieceSize;
    std::vector<Bytes> data;
    for (size_t i = 0; i < kPieces; ++i)
        data.push_back(pattern(kPieceSize, static_cast<unsigned>(i)));
    std::vector<std::span<std::byte>> buffers(data.begin(), data.end());

    for (size_t i = 0; i < kPieces; ++i) {
        (*disk)->submit(
            {Kind::write, i * kPieceSize, kPieceSize, std::span(buffers).subspan(i, 1), i}, client);
    }
    await([&] { return room.seen(1, 0); });
    EXPECT_LT(client.count(), kPieces);
    EXPECT_NE(room.reason.find("No space left"), std::string::npos) << room.reason;
    std::filesystem::remove(ballast);
    await([&] { return client.count() == kPieces; });
    await([&] { return room.seen(1, 1); });
    (*disk)->submit({.kind = Kind::flush, .cookie = kPieces}, client);
    await([&] { return client.count() == kPieces + 1; });

    for (const auto& [cookie, status] : client.statuses)
        EXPECT_EQ(status, BlockStatus::ok) << cookie;
    disk->reset();
    auto again = open(path);
    ASSERT_TRUE(again) << again.error().text();
    Bytes in(kPieceSize);
    const std::array<std::span<std::byte>, 1> to{std::span(in)};
    for (size_t i = 0; i < kPieces; ++i) {
        Completions reader;
        (*again)->submit({Kind::read, i * kPieceSize, kPieceSize, to, 1}, reader);
        (*again)->drain();
        EXPECT_EQ(reader.statuses[1], BlockStatus::ok);
        EXPECT_EQ(in, data[i]) << i;
    }
}

TEST_P(FullHost, ADrainGivesUpWhatIsHeld) {
    auto disk = open(make_image());
    ASSERT_TRUE(disk) << disk.error().text();
    std::ofstream(directory + "/ballast") << std::string(kRoom, 'x');
    Completions client;
    Bytes bytes = pattern(kPieceSize, 1);
    const std::array<std::span<std::byte>, 1> buffers{std::span(bytes)};

    (*disk)->submit({Kind::write, 0, kPieceSize, buffers, 1}, client);
    await([&] { return room.seen(1, 0); });
    (*disk)->drain();

    EXPECT_EQ(client.statuses[1], BlockStatus::io_error);
    EXPECT_TRUE(room.seen(1, 1));
    std::filesystem::remove(directory + "/ballast");
}

// Notes what has come to its turn.
class Turns final : public DiskWorkersClient {
public:
    void on_turn(DiskWork& work) override { came = &work; }

    std::atomic<DiskWork*> came{nullptr};
};

TEST(DiskWorkersTest, WhatIsHeldIsTriedWhenItIsAskedFor) {
    Turns turns;
    DiskWork throttled;
    DiskWork held;
    held.held = true;
    DiskWorkers workers(turns, 1);
    throttled.due = held.due = DiskClock::now() + std::chrono::hours(1);
    workers.queue_at(throttled);
    workers.queue_at(held);

    workers.retry_held();

    const auto limit = DiskClock::now() + std::chrono::seconds(60);
    while (turns.came == nullptr && DiskClock::now() < limit)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(turns.came, &held) << "and what is limited waits on";
}

INSTANTIATE_TEST_SUITE_P(Engines, RawDisk,
                         testing::Values(DiskEngine::automatic, DiskEngine::threads));
INSTANTIATE_TEST_SUITE_P(All, FullHost,
                         testing::Combine(testing::Values(DiskEngine::automatic,
                                                          DiskEngine::threads),
                                          testing::Values(ImageFormat::raw, ImageFormat::qcow2),
                                          testing::Values(DiskCache::writeback, DiskCache::none)));

}  // namespace
}  // namespace banyan
