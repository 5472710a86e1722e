#include "backends/block/image/testing/image_bench.hpp"

namespace banyan {
namespace {

using qcow2::Header;

void expect_refused(ImageBench& bench, const std::string& why) {
    const auto before = bench.file.bytes();
    EXPECT_NE(bench.why_not().find(why), std::string::npos) << bench.why_not() << " / " << why;
    EXPECT_EQ(bench.file.bytes(), before) << "it was written to";
}

TEST(Qcow2Header, SaysWhatIsInIt) {
    ImageBench bench({.size = 3 << 20,
                      .cluster_bits = 14,
                      .refcount_order = 5,
                      .lazy_refcounts = true,
                      .backing_file = "base image.raw",
                      .backing_format = "raw"});

    const auto header = Qcow2Header::read(bench.file, "it");

    ASSERT_TRUE(header) << header.error().text();
    EXPECT_EQ(header->version, 3U);
    EXPECT_EQ(header->cluster_size(), 16384U);
    EXPECT_EQ(header->size, 3U << 20);
    EXPECT_EQ(header->refcount_bits(), 32U);
    EXPECT_TRUE(header->lazy_refcounts());
    EXPECT_EQ(header->backing_file, "base image.raw");
    EXPECT_EQ(header->backing_format, "raw");
    EXPECT_FALSE(header->dirty());
}

struct Damage {
    size_t offset;
    uint32_t value;
    const char* why;
};

class DamagedHeader : public testing::TestWithParam<Damage> {};

TEST_P(DamagedHeader, IsRefusedWithTheReason) {
    ImageBench bench;
    bench.put(GetParam().offset, be32(GetParam().value));

    expect_refused(bench, GetParam().why);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, DamagedHeader,
    testing::Values(
        Damage{0, 0, "does not begin as a qcow2 image"},
        Damage{offsetof(Header, version), 4, "version 4 is not supported"},
        Damage{offsetof(Header, cluster_bits), 8, "2^8 bytes"},
        Damage{offsetof(Header, cluster_bits), 22, "2^22 bytes"},
        Damage{offsetof(Header, cluster_bits), 0xFFFFFFFF, "2^4294967295 bytes"},
        Damage{offsetof(Header, crypt_method), 2, "encryption"},
        Damage{offsetof(Header, size) + 4, 1000, "does not end with a sector"},
        Damage{offsetof(Header, size), 0x7FFFFFFF, "larger than its clusters"},
        Damage{offsetof(Header, l1_size), 0, "too short for its disk"},
        Damage{offsetof(Header, l1_size), 0x7FFFFFFF, "L1 table is too large"},
        Damage{offsetof(Header, l1_size), 4 << 20, "L1 table lies beyond its end"},
        Damage{offsetof(Header, l1_table_offset) + 4, 0, "L1 table lies in its header"},
        Damage{offsetof(Header, l1_table_offset) + 4, 512, "does not begin with a cluster"},
        Damage{offsetof(Header, l1_table_offset) + 4, 4096, "lie in the same place"},
        Damage{offsetof(Header, l1_table_offset), 1, "L1 table lies beyond its end"},
        Damage{offsetof(Header, refcount_table_clusters), 0, "no refcount table"},
        Damage{offsetof(Header, refcount_table_clusters), 0x10000, "table is too large"},
        Damage{offsetof(Header, refcount_table_offset), 1, "lies beyond its end"},
        Damage{offsetof(Header, nb_snapshots), 100'000, "too many snapshots"},
        Damage{offsetof(Header, refcount_order), 7, "more than 64 bits"},
        Damage{offsetof(Header, header_length), 96, "cannot be 96 bytes long"},
        Damage{offsetof(Header, header_length), 105, "cannot be 105 bytes long"},
        Damage{offsetof(Header, header_length), 1 << 20, "cannot be 1048576 bytes long"},
        Damage{offsetof(Header, incompatible_features) + 4, 2, "marked as corrupt"},
        Damage{offsetof(Header, incompatible_features) + 4, 4, "'external data file'"},
        Damage{offsetof(Header, incompatible_features) + 4, 8, "contradicts itself"},
        Damage{offsetof(Header, incompatible_features) + 4, 16, "'extended L2 entries'"},
        Damage{offsetof(Header, incompatible_features) + 4, 32, "incompatible feature 5"},
        Damage{offsetof(Header, incompatible_features), 1U << 31, "incompatible feature 63"},
        Damage{offsetof(Header, compression_type), 1 << 24, "contradicts itself"},
        Damage{offsetof(Header, backing_file_offset) + 4, 8, "outside of its header"},
        Damage{offsetof(Header, backing_file_offset), 8, "outside of its header"}));

TEST(Qcow2Header, NamesUnknownFeaturesAsTheImageDoes) {
    ImageBench bench;
    bench.put(offsetof(Header, incompatible_features), be64(1U << 7));
    qcow2::FeatureName feature{.type = 0, .bit = 7};
    std::memcpy(feature.name, "time travel\n", 12);
    bench.put(112, qcow2::Extension{qcow2::kExtensionFeatureNames, uint32_t{sizeof(feature)}});
    bench.put(120, feature);

    expect_refused(bench, "'time travel?'");
}

TEST(Qcow2Header, ExtensionsMayNotReachBeyondTheirCluster) {
    ImageBench bench;
    bench.put(112, qcow2::Extension{0x12345678, 4096U});

    expect_refused(bench, "a header extension is too long");
}

TEST(Qcow2Header, ACorruptImageCanBeRead) {
    ImageBench bench;
    bench.put(offsetof(Header, incompatible_features), be64(2));

    EXPECT_EQ(bench.why_not(false), "nothing");
}

TEST(Qcow2Header, AFileThatIsTooShortIsNoImage) {
    ImageBench bench;
    bench.file.bytes().resize(71);
    EXPECT_NE(bench.why_not().find("too short"), std::string::npos);
}

TEST(Qcow2Header, NoTableMayBeginWithinAnother) {
    ImageBench bench;
    const uint64_t table = bench.get<be64>(offsetof(Header, refcount_table_offset));
    const uint64_t block = bench.get<be64>(table);

    bench.put(table + 8, be64(block));
    expect_refused(bench, "a refcount block lies in another table");
    bench.put(table + 8, be64(block + 512));
    expect_refused(bench, "a refcount block lies where there can be none");
    bench.put(table + 8, be64(uint64_t{1} << 40));
    expect_refused(bench, "a refcount block lies where there can be none");
    bench.put(table + 8, be64(0));
    bench.put(bench.get<be64>(offsetof(Header, l1_table_offset)), be64(block));
    expect_refused(bench, "an L2 table lies in another table");
}

TEST(Qcow2Compressed, DescriptorsGoBothWays) {
    for (const unsigned bits : {9U, 12U, 16U, 21U}) {
        const Qcow2Compressed place{0x12345, 400};

        const auto decoded = Qcow2Compressed::decode(place.encode(bits), bits);

        EXPECT_EQ(decoded.offset, place.offset);
        EXPECT_GE(decoded.length, place.length);
        EXPECT_LT(decoded.length, place.length + 512);
        EXPECT_EQ((decoded.offset + decoded.length) % 512, 0U);
    }
}

TEST(Qcow2Refcounts, EveryWidthKeepsItsNeighbours) {
    for (unsigned order = 0; order <= 6; ++order) {
        MemoryFile::Bytes block(64);
        const uint64_t most = order == 6 ? ~uint64_t{0} : (uint64_t{1} << (1U << order)) - 1;

        set_refcount_at(block, order, 3, most);
        set_refcount_at(block, order, 4, 1);

        EXPECT_EQ(refcount_at(block, order, 2), 0U) << order;
        EXPECT_EQ(refcount_at(block, order, 3), most) << order;
        EXPECT_EQ(refcount_at(block, order, 4), 1U) << order;
        EXPECT_EQ(refcount_at(block, order, 5), 0U) << order;
    }
}

// "bit 0 means the least significant bit"
TEST(Qcow2Refcounts, NarrowCountsBeginWithTheLowestBits) {
    MemoryFile::Bytes block(8);
    set_refcount_at(block, 0, 9, 1);
    EXPECT_EQ(block[1], std::byte{2});
    set_refcount_at(block, 2, 0, 0xA);
    EXPECT_EQ(block[0], std::byte{0xA});
}

}  // namespace
}  // namespace banyan
