#include <map>

#include "backends/block/image/qcow2_compression.hpp"
#include "backends/block/image/raw_image.hpp"
#include "backends/block/image/testing/image_bench.hpp"

namespace banyan {
namespace {

using Bytes = MemoryFile::Bytes;
using qcow2::Header;

constexpr uint64_t kCluster = 4096;

std::unique_ptr<RawImage> raw_base(const Bytes& bytes) {
    return std::make_unique<RawImage>(std::make_unique<MemoryFile>(bytes), "the base");
}

uint64_t l1_offset(const ImageBench& bench) {
    return bench.get<be64>(offsetof(Header, l1_table_offset));
}
uint64_t first_l2(const ImageBench& bench) {
    return bench.get<be64>(l1_offset(bench)) & qcow2::kOffsetMask;
}

TEST(Qcow2Image, ANewDiskReadsAsZeroesAndTakesNoSpace) {
    ImageBench bench;
    auto image = bench.must_open();

    EXPECT_EQ(image->size(), 1U << 20);
    EXPECT_EQ(read_disk(*image, 1000, 20'000), Bytes(20'000));
    EXPECT_LE(bench.file.size(), 4 * kCluster);
    const auto stretch = image->stretch(0, image->size());
    EXPECT_TRUE(stretch->zeroes);
    EXPECT_EQ(stretch->length, image->size());
}

TEST(Qcow2Image, KeepsWhatWasWrittenAcrossClustersAndOpenings) {
    ImageBench bench;
    auto image = bench.must_open();
    const Bytes data = pattern_bytes(3 * kCluster, 1);
    write_disk(*image, 1536, data);
    write_disk(*image, 1024, pattern_bytes(512, 2));
    ASSERT_TRUE(image->close());

    image = bench.must_open(false);

    EXPECT_EQ(read_disk(*image, 1536, data.size()), data);
    EXPECT_EQ(read_disk(*image, 1024, 512), pattern_bytes(512, 2));
    EXPECT_EQ(read_disk(*image, 0, 1024), Bytes(1024));
    EXPECT_EQ(bench.check().errors + bench.check().leaks, 0U);
}

TEST(Qcow2Image, ScattersAndGathers) {
    ImageBench bench;
    auto image = bench.must_open();
    Bytes data = pattern_bytes(9 * 1024, 1);
    std::vector<std::span<std::byte>> pieces;
    for (size_t i = 0; i < 9; ++i)
        pieces.push_back(std::span(data).subspan(i * 1024, 1024));

    ASSERT_TRUE(image->write(512, Scatter(pieces, data.size())));

    EXPECT_EQ(read_disk(*image, 512, data.size()), data);
}

TEST(Qcow2Image, AllCombinationsOfSizesWork) {
    for (const unsigned cluster_bits : {9U, 13U, 16U, 21U}) {
        for (unsigned order = 0; order <= 6; ++order) {
            ImageBench bench(
                {.size = 8 << 20, .cluster_bits = cluster_bits, .refcount_order = order});
            auto image = bench.must_open();
            const Bytes data = pattern_bytes(300 * 1024, order);
            write_disk(*image, 5 << 20, data);
            ASSERT_TRUE(image->discard(5 << 20, 100 * 1024));
            ASSERT_TRUE(image->flush());
            write_disk(*image, 1 << 20, data);
            ASSERT_TRUE(image->close());

            const auto report = bench.check();
            EXPECT_EQ(report.errors, 0U) << cluster_bits << " " << order;
            EXPECT_EQ(report.leaks, 0U) << cluster_bits << " " << order;
            EXPECT_EQ(read_disk(*bench.must_open(false), 1 << 20, data.size()), data);
        }
    }
}

TEST(Qcow2Image, ReadsThroughToABaseThatMayBeShorter) {
    ImageBench bench;
    const Bytes base = pattern_bytes(10'240, 9);
    auto image = bench.must_open();
    image->set_backing(raw_base(base));

    write_disk(*image, 512, pattern_bytes(512, 1));

    Bytes expected = base;
    expected.resize(16'384);
    std::copy_n(pattern_bytes(512, 1).begin(), 512, expected.begin() + 512);
    EXPECT_EQ(read_disk(*image, 0, 16'384), expected);
}

TEST(Qcow2Image, ZeroesHideTheBase) {
    for (const uint32_t version : {2U, 3U}) {
        ImageBench bench({.size = 1 << 20, .version = version, .cluster_bits = 12});
        auto image = bench.must_open();
        image->set_backing(raw_base(pattern_bytes(1 << 20, 9)));

        ASSERT_TRUE(image->write_zeroes(1024, 5 * kCluster));
        ASSERT_TRUE(image->close());

        Bytes expected = pattern_bytes(1 << 20, 9);
        std::fill_n(expected.begin() + 1024, 5 * kCluster, std::byte{0});
        EXPECT_EQ(read_disk(*image, 0, 1 << 20), expected) << version;
        EXPECT_EQ(bench.check().errors, 0U);
    }
}

TEST(Qcow2Image, DiscardedClustersAreUsedAgain) {
    ImageBench bench;
    auto image = bench.must_open();
    write_disk(*image, 0, pattern_bytes(64 * kCluster, 1));
    ASSERT_TRUE(image->flush());
    const uint64_t size = bench.file.size();

    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(image->discard(0, 64 * kCluster));
        ASSERT_TRUE(image->flush());
        EXPECT_EQ(read_disk(*image, 0, kCluster), Bytes(kCluster));
        write_disk(*image, 0, pattern_bytes(64 * kCluster, 2));
    }

    EXPECT_LE(bench.file.size(), size + kCluster);
    ASSERT_TRUE(image->close());
    EXPECT_EQ(bench.check().leaks, 0U);
}

TEST(Qcow2Image, CompressedClustersAreReadAndReplaced) {
    ImageBench bench;
    auto image = bench.must_open();
    Bytes cluster(kCluster, std::byte{'x'});
    for (uint64_t i = 0; i < 20; ++i) {
        cluster[0] = static_cast<std::byte>(i);
        ASSERT_TRUE(image->write_compressed(i * kCluster, cluster));
    }
    ASSERT_TRUE(image->flush());
    EXPECT_EQ(bench.check().compressed_clusters, 20U);

    write_disk(*image, 3 * kCluster + 512, pattern_bytes(512, 1));
    ASSERT_TRUE(image->close());

    const Bytes all = read_disk(*image, 0, 20 * kCluster);
    EXPECT_EQ(all[3 * kCluster], std::byte{3});
    EXPECT_EQ(all[3 * kCluster + 511], std::byte{'x'});
    EXPECT_EQ(all[3 * kCluster + 512], pattern_bytes(1, 1)[0]);
    EXPECT_EQ(all[4 * kCluster], std::byte{4});
    const auto report = bench.check();
    EXPECT_EQ(report.compressed_clusters, 19U);
    EXPECT_EQ(report.errors + report.leaks, 0U);
}

TEST(Qcow2Image, WhatDoesNotCompressIsWrittenAsItIs) {
    Bytes noise(kCluster);
    uint64_t x = 1;
    for (std::byte& byte : noise)
        byte = static_cast<std::byte>((x = x * 6364136223846793005U + 1442695040888963407U) >> 56);
    EXPECT_FALSE(compress_cluster(noise));
    ImageBench bench;
    auto image = bench.must_open();

    ASSERT_TRUE(image->write_compressed(0, noise));

    EXPECT_EQ(read_disk(*image, 0, kCluster), noise);
}

// "Snapshots": as QEMU makes one: the L1 table is copied, all it leads to is counted twice, and no
// entry may be changed in place any more.
void take_snapshot(ImageBench& bench) {
    const auto header = Qcow2Header::read(bench.file, "it");
    const uint64_t l1 = header->l1_offset;
    const uint64_t l2 = first_l2(bench);
    const uint64_t block = bench.get<be64>(header->refcount_table_offset);
    const uint64_t copy = bench.file.size() / kCluster;
    bench.file.bytes().resize((copy + 2) * kCluster);
    bench.put(l1, be64(l2));
    bench.put(copy * kCluster, be64(l2));
    const auto recount = [&](uint64_t cluster, uint16_t count) {
        bench.put(block + cluster * 2, be16(count));
    };
    for (uint64_t i = 0; i < header->l2_entries(); ++i) {
        const uint64_t entry = bench.get<be64>(l2 + i * 8);
        if (entry == 0) continue;
        bench.put(l2 + i * 8, be64(entry & ~qcow2::kCopied));
        recount((entry & qcow2::kOffsetMask) / kCluster, 2);
    }
    recount(l2 / kCluster, 2);
    recount(copy, 1);
    recount(copy + 1, 1);
    qcow2::SnapshotEntry entry{};
    entry.l1_table_offset = copy * kCluster;
    entry.l1_size = header->l1_entries;
    bench.put((copy + 1) * kCluster, entry);
    bench.put(offsetof(Header, nb_snapshots), be32(1));
    bench.put(offsetof(Header, snapshots_offset), be64((copy + 1) * kCluster));
}

TEST(Qcow2Image, ASnapshotStaysAsItWas) {
    ImageBench bench;
    auto image = bench.must_open();
    write_disk(*image, 0, pattern_bytes(4 * kCluster, 1));
    ASSERT_TRUE(image->close());
    take_snapshot(bench);
    ASSERT_EQ(bench.check().errors + bench.check().leaks, 0U);
    const uint64_t old_l2 = first_l2(bench);
    const uint64_t old_data = bench.get<be64>(old_l2) & qcow2::kOffsetMask;

    image = bench.must_open();
    write_disk(*image, 512, Bytes(1024, std::byte{0xAA}));
    ASSERT_TRUE(image->discard(2 * kCluster, kCluster));
    ASSERT_TRUE(image->close());

    EXPECT_EQ(bench.check().errors + bench.check().leaks, 0U);
    EXPECT_EQ(
        std::memcmp(&bench.file.bytes()[old_data], pattern_bytes(kCluster, 1).data(), kCluster), 0);
    EXPECT_EQ(bench.get<be64>(old_l2) & qcow2::kOffsetMask, old_data);
    EXPECT_EQ(read_disk(*image, 0, 512), pattern_bytes(512, 1));
    EXPECT_EQ(read_disk(*image, 512, 1024), Bytes(1024, std::byte{0xAA}));
    EXPECT_EQ(std::string(image->resize(2 << 20).error().text()).find("internal snapshots") !=
                  std::string::npos,
              true);
}

TEST(Qcow2Image, GrowsAndDoesNotShrink) {
    ImageBench bench({.size = 1 << 20, .cluster_bits = 9});
    auto image = bench.must_open();
    write_disk(*image, (1 << 20) - 512, pattern_bytes(512, 1));

    EXPECT_NE(image->resize(512).error().text().find("smaller size"), std::string::npos);
    ASSERT_TRUE(image->resize(100 << 20));
    write_disk(*image, (100 << 20) - 512, pattern_bytes(512, 2));
    ASSERT_TRUE(image->close());

    image = bench.must_open();
    EXPECT_EQ(image->size(), 100U << 20);
    EXPECT_EQ(read_disk(*image, (1 << 20) - 512, 512), pattern_bytes(512, 1));
    EXPECT_EQ(read_disk(*image, (100 << 20) - 512, 512), pattern_bytes(512, 2));
    EXPECT_EQ(bench.check().errors + bench.check().leaks, 0U);
}

// Both tables have to grow, the L1 table to more clusters than one refcount block tells of.
TEST(Qcow2Image, VeryLargeDisksOfVerySmallClusters) {
    ImageBench bench({.size = uint64_t{16} << 30, .cluster_bits = 9, .refcount_order = 6});
    auto image = bench.must_open();

    for (uint64_t i = 0; i < 300; ++i)
        write_disk(*image, i * 50'000'384 / 512 * 512, pattern_bytes(2048, 3));
    ASSERT_TRUE(image->close());

    EXPECT_EQ(bench.check().errors + bench.check().leaks, 0U);
    EXPECT_EQ(read_disk(*image, 299 * 50'000'384ULL / 512 * 512, 2048), pattern_bytes(2048, 3));
    EXPECT_NE(image->resize(uint64_t{200} << 30).error().text().find("larger clusters"),
              std::string::npos);
}

TEST(Qcow2Image, ADirtyImageIsMendedWhenItIsOpenedToBeWritten) {
    ImageBench bench({.size = 1 << 20, .cluster_bits = 12, .lazy_refcounts = true});
    auto image = bench.must_open();
    write_disk(*image, 0, pattern_bytes(10 * kCluster, 1));
    ASSERT_TRUE(image->flush());
    image.reset();  // as when the process dies

    EXPECT_EQ(bench.get<be64>(offsetof(Header, incompatible_features)), 1U);
    EXPECT_GT(bench.check().errors, 0U);
    EXPECT_EQ(read_disk(*bench.must_open(false), 0, 10 * kCluster),
              pattern_bytes(10 * kCluster, 1));
    image = bench.must_open();
    EXPECT_EQ(bench.check().errors + bench.check().leaks, 0U);
    EXPECT_EQ(bench.get<be64>(offsetof(Header, incompatible_features)), 0U);
    EXPECT_EQ(read_disk(*image, 0, 10 * kCluster), pattern_bytes(10 * kCluster, 1));
}

TEST(Qcow2Image, UnknownAutoclearFeaturesAreCleared) {
    ImageBench bench;
    bench.put(offsetof(Header, autoclear_features), be64(0x10));
    EXPECT_NE(bench.must_open(false), nullptr);
    EXPECT_EQ(bench.get<be64>(offsetof(Header, autoclear_features)), 0x10U);
    EXPECT_NE(bench.must_open(), nullptr);
    EXPECT_EQ(bench.get<be64>(offsetof(Header, autoclear_features)), 0U);
}

TEST(Qcow2Image, HeaderExtensionsStay) {
    ImageBench bench;
    bench.put(112, qcow2::Extension{0x12345678, 5U});
    bench.put(120, std::array<char, 8>{'h', 'e', 'l', 'l', 'o'});
    const auto before =
        std::vector(bench.file.bytes().begin() + 104, bench.file.bytes().begin() + kCluster);
    auto image = bench.must_open();

    write_disk(*image, 0, pattern_bytes(kCluster, 1));
    ASSERT_TRUE(image->resize(64 << 20));
    ASSERT_TRUE(image->close());

    EXPECT_EQ(std::vector(bench.file.bytes().begin() + 104, bench.file.bytes().begin() + kCluster),
              before);
}

TEST(Qcow2Image, AFullFileFailsAWriteAndNothingElse) {
    ImageBench bench;
    auto image = bench.must_open();
    write_disk(*image, 0, pattern_bytes(2 * kCluster, 1));
    bench.file.limit_to(bench.file.size());
    Bytes data(kCluster);

    EXPECT_FALSE(image->write(8 * kCluster, OneBuffer(data)));
    EXPECT_EQ(read_disk(*image, 0, 2 * kCluster), pattern_bytes(2 * kCluster, 1));
    bench.file.limit_to(1 << 30);
    write_disk(*image, 8 * kCluster, pattern_bytes(kCluster, 2));
    ASSERT_TRUE(image->close());

    EXPECT_EQ(bench.check().errors + bench.check().leaks, 0U);
}

TEST(Qcow2Image, NothingIsWrittenAfterABarrierFailed) {
    ImageBench bench;
    auto image = bench.must_open();
    write_disk(*image, 0, pattern_bytes(2 * kCluster, 1));
    bench.file.fail_flushes(true);
    EXPECT_FALSE(image->flush());
    bench.file.fail_flushes(false);
    const Bytes before = bench.file.bytes();
    Bytes data(512);

    EXPECT_FALSE(image->write(0, OneBuffer(data)));
    EXPECT_FALSE(image->flush());
    EXPECT_FALSE(image->close());
    EXPECT_EQ(bench.file.bytes(), before);
}

// A flush that finds nothing to do about tables is one barrier; one after an allocation two.
TEST(Qcow2Image, BarriersAreFew) {
    ImageBench bench;
    auto image = bench.must_open();
    write_disk(*image, 0, pattern_bytes(2 * kCluster, 1));
    unsigned before = bench.file.flushes();
    ASSERT_TRUE(image->flush());
    EXPECT_EQ(bench.file.flushes() - before, 2U);

    before = bench.file.flushes();
    write_disk(*image, 0, pattern_bytes(2 * kCluster, 2));
    EXPECT_EQ(bench.file.flushes() - before, 0U);
    ASSERT_TRUE(image->flush());
    EXPECT_EQ(bench.file.flushes() - before, 1U);
}

// What a guest could otherwise use to write the name of a backing file into the header.
TEST(Qcow2Image, EntriesThatLeadToTablesAreNotWrittenTo) {
    ImageBench bench;
    auto image = bench.must_open();
    write_disk(*image, 0, pattern_bytes(kCluster, 1));
    ASSERT_TRUE(image->close());
    const uint64_t l2 = first_l2(bench);

    for (const uint64_t target : {l1_offset(bench), l2, kCluster}) {
        bench.put(l2, be64(target | qcow2::kCopied));
        image = bench.must_open();
        const Bytes before = bench.file.bytes();
        Bytes data(512);
        const auto written = image->write(0, OneBuffer(data));
        ASSERT_FALSE(written);
        EXPECT_NE(written.error().text().find("leads to a table"), std::string::npos);
        EXPECT_FALSE(image->write(512 * 1024, OneBuffer(data))) << "it was used further";
        EXPECT_EQ(bench.file.bytes(), before);
    }
}

TEST(Qcow2Image, EntriesThatMeanNothingAreErrors) {
    ImageBench bench;
    auto image = bench.must_open();
    write_disk(*image, 0, pattern_bytes(kCluster, 1));
    ASSERT_TRUE(image->close());
    const uint64_t l2 = first_l2(bench);

    for (const uint64_t entry :
         {uint64_t{512}, qcow2::kCopied, uint64_t{1} << 60 | kCluster, uint64_t{2},
          qcow2::kCompressed, qcow2::kCompressed | 0x123456789}) {
        bench.put(l2, be64(entry));
        image = bench.must_open();
        Bytes data(512);
        EXPECT_FALSE(image->read(0, OneBuffer(data))) << std::hex << entry;
        EXPECT_FALSE(image->write(0, OneBuffer(data))) << std::hex << entry;
    }
}

TEST(Qcow2Image, CountsThatCallATableFreeAreNotBelieved) {
    ImageBench bench;
    const uint64_t table = bench.get<be64>(offsetof(Header, refcount_table_offset));
    const uint64_t block = bench.get<be64>(table);
    std::memset(&bench.file.bytes()[block], 0, kCluster);
    const Bytes before = bench.file.bytes();
    auto image = bench.must_open();
    Bytes data(512);

    EXPECT_FALSE(image->write(0, OneBuffer(data)));
    EXPECT_EQ(bench.file.bytes(), before);
}

TEST(Qcow2Check, FindsWhatIsWrong) {
    ImageBench bench;
    auto image = bench.must_open();
    write_disk(*image, 0, pattern_bytes(4 * kCluster, 1));
    ASSERT_TRUE(image->close());
    const uint64_t block =
        bench.get<be64>(bench.get<be64>(offsetof(Header, refcount_table_offset)));
    const uint64_t data = bench.get<be64>(first_l2(bench)) & qcow2::kOffsetMask;

    bench.put(block + data / kCluster * 2, be16(2));
    EXPECT_EQ(bench.check().leaks, 1U);
    EXPECT_EQ(bench.check().errors, 0U);
    bench.put(block + data / kCluster * 2, be16(0));
    EXPECT_EQ(bench.check().errors, 1U);
    EXPECT_TRUE(bench.check().mendable);
    bench.put(first_l2(bench), be64(data));
    EXPECT_FALSE(bench.check().mendable);
    bench.put(first_l2(bench), be64(uint64_t{1} << 40 | qcow2::kCopied));
    EXPECT_FALSE(bench.check().mendable);
}

}  // namespace
}  // namespace banyan
