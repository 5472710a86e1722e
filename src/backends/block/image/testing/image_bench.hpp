// A qcow2 image in memory, for tests.
#pragma once

#include <gtest/gtest.h>
#include <memory>
#include <string>

#include "backends/block/image/borrowed_file.hpp"
#include "backends/block/image/qcow2_check.hpp"
#include "backends/block/image/qcow2_create.hpp"
#include "backends/block/image/testing/memory_file.hpp"

namespace banyan {

struct ImageBench {
    using Bytes = MemoryFile::Bytes;

    explicit ImageBench(const NewQcow2& wanted = {.size = 1 << 20, .cluster_bits = 12}) {
        const auto created = create_qcow2(file, wanted, "the test image");
        EXPECT_TRUE(created) << created.error().text();
    }

    Result<std::unique_ptr<Qcow2Image>> open(bool writable = true) {
        return Qcow2Image::open(std::make_unique<BorrowedFile>(file),
                                {.name = "the test image", .writable = writable});
    }
    std::unique_ptr<Qcow2Image> must_open(bool writable = true) {
        auto image = open(writable);
        EXPECT_TRUE(image) << image.error().text();
        return image ? std::move(*image) : nullptr;
    }
    std::string why_not(bool writable = true) {
        const auto image = open(writable);
        return image ? "nothing" : std::string(image.error().text());
    }
    Qcow2Report check() {
        const auto header = Qcow2Header::read(file, "the test image");
        const auto snapshots = read_snapshots(file, *header, "the test image");
        auto report = check_qcow2(file, *header, *snapshots, "the test image");
        EXPECT_TRUE(report) << report.error().text();
        return report ? std::move(*report) : Qcow2Report{};
    }

    template <class T>
    T get(uint64_t offset) const {
        T value;
        std::memcpy(&value, &file_bytes()[offset], sizeof(value));
        return value;
    }
    template <class T>
    void put(uint64_t offset, T value) {
        std::memcpy(&file.bytes()[offset], &value, sizeof(value));
    }
    const Bytes& file_bytes() const { return const_cast<MemoryFile&>(file).bytes(); }

    MemoryFile file;
};

inline MemoryFile::Bytes pattern_bytes(size_t size, unsigned seed) {
    MemoryFile::Bytes bytes(size);
    for (size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>(i * 7 + i / 251 + seed);
    return bytes;
}

inline MemoryFile::Bytes read_disk(DiskImage& image, uint64_t offset, size_t size) {
    MemoryFile::Bytes bytes(size, std::byte{0xEE});
    const auto result = image.read(offset, OneBuffer(bytes));
    EXPECT_TRUE(result) << result.error().text();
    return bytes;
}

inline void write_disk(DiskImage& image, uint64_t offset, MemoryFile::Bytes bytes) {
    const auto result = image.write(offset, OneBuffer(bytes));
    EXPECT_TRUE(result) << result.error().text();
}

}  // namespace banyan
