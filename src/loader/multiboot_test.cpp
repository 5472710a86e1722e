#include <gtest/gtest.h>

#include "loader/loader_testing.hpp"

namespace banyan::loader {
namespace {

using testing::Bytes;
using testing::kMiB;
using testing::module_file;
using testing::refusal;
using testing::SmallGuest;

constexpr uint32_t kMagic = 0x1BADB002;
constexpr uint32_t kAddresses = 1U << 16;
constexpr uint32_t kLoadAt = 0x100000;

Bytes& put_header(Bytes& file, size_t offset, uint32_t flags) {
    return file.put(offset, kMagic)
        .put(offset + 4, flags)
        .put(offset + 8, uint32_t{0} - kMagic - flags);
}

// A flat image of 0x400 bytes with its header at 0x20, loaded at 1 MiB, with 0x1000 bytes in
// memory.
Bytes flat_image(uint32_t flags = kAddresses | 3) {
    Bytes file(0x400);
    file.fill(0, 0x400, 0x90);
    put_header(file, 0x20, flags);
    file.put(0x2C, kLoadAt + 0x20).put(0x30, kLoadAt).put(0x34, kLoadAt + 0x400);
    file.put(0x38, kLoadAt + 0x1000).put(0x3C, kLoadAt + 0x40);
    return file;
}

// An ELF whose virtual addresses differ from its physical ones.
Bytes elf_image() {
    Bytes file(0x1100);
    file.put(0, uint32_t{0x464C457F}).put(4, uint8_t{1}).put(5, uint8_t{1}).put(6, uint8_t{1});
    file.put(16, uint16_t{2}).put(18, uint16_t{3}).put(20, uint32_t{1});
    file.put(24, uint32_t{0xC0100040})
        .put(28, uint32_t{52})
        .put(42, uint16_t{32})
        .put(44, uint16_t{1});
    file.put(52, uint32_t{1})
        .put(56, uint32_t{0x1000})
        .put(60, uint32_t{0xC0100000})
        .put(64, kLoadAt);
    file.put(68, uint32_t{0x100}).put(72, uint32_t{0x1000});
    return put_header(file, 0x1000, 0);
}

TEST(Multiboot, LoadsAFlatImage) {
    SmallGuest guest(8 * kMiB);
    const std::vector<std::byte> dirt(0x1000, std::byte{0xEE});
    ASSERT_TRUE(guest.memory.write({kLoadAt}, dirt));
    const auto entry = guest.load(flat_image());
    ASSERT_TRUE(entry) << entry.error().text();
    EXPECT_EQ(entry->format, ImageFormat::multiboot);
    EXPECT_EQ(entry->mode, EntryMode::protected32);
    EXPECT_EQ(entry->rip, kLoadAt + 0x40);
    EXPECT_EQ(entry->rax, 0x2BADB002U);
    EXPECT_EQ(guest.at<uint8_t>(kLoadAt), 0x90);
    EXPECT_EQ(guest.at<uint8_t>(kLoadAt + 0x3FF), 0x90);
    EXPECT_EQ(guest.at<uint8_t>(kLoadAt + 0x400), 0) << "bss";
    EXPECT_EQ(guest.at<uint8_t>(kLoadAt + 0xFFF), 0);
}

TEST(Multiboot, LoadsToTheEndOfTheFileWithoutALoadEnd) {
    SmallGuest guest(8 * kMiB);
    const auto entry = guest.load(flat_image().put(0x34, uint32_t{0}).put(0x38, uint32_t{0}));
    ASSERT_TRUE(entry) << entry.error().text();
    EXPECT_EQ(guest.at<uint8_t>(kLoadAt + 0x3FF), 0x90);
}

TEST(Multiboot, LoadsAnElfAtItsPhysicalAddress) {
    SmallGuest guest(8 * kMiB);
    const auto entry = guest.load(elf_image());
    ASSERT_TRUE(entry) << entry.error().text();
    EXPECT_EQ(entry->rip, kLoadAt + 0x40);
    EXPECT_EQ(guest.at<uint32_t>(kLoadAt), kMagic);
}

TEST(Multiboot, FillsItsInformation) {
    SmallGuest guest(8 * kMiB);
    const auto entry = guest.load(flat_image(), "verbose 3");
    ASSERT_TRUE(entry) << entry.error().text();
    const uint64_t info = entry->rbx;
    EXPECT_EQ(guest.at<uint32_t>(info), 0x245U) << "memory, command line, map, loader name";
    EXPECT_EQ(guest.at<uint32_t>(info + 4), 639U);
    EXPECT_EQ(guest.at<uint32_t>(info + 8), 7 * 1024U);
    EXPECT_EQ(guest.text_at(guest.at<uint32_t>(info + 16)), "test-kernel verbose 3");
    EXPECT_EQ(guest.at<uint32_t>(info + 44), 3 * 24U);
    const auto map = guest.at<uint32_t>(info + 48);
    EXPECT_EQ(guest.at<uint32_t>(map), 20U);
    EXPECT_EQ(guest.at<uint64_t>(map + 48 + 4), kMiB);
    EXPECT_EQ(guest.at<uint64_t>(map + 48 + 12), 7 * kMiB);
    EXPECT_EQ(guest.text_at(guest.at<uint32_t>(info + 64)), "banyan");
}

TEST(Multiboot, GivesModulesTheirArguments) {
    SmallGuest guest(8 * kMiB);
    const Bytes first = Bytes().put_text(0, "one");
    const Bytes second = Bytes().put_text(0, "second");
    const auto entry = guest.load(
        flat_image(), {}, {module_file(first, "a.bin", "x y"), module_file(second, "b.bin")});
    ASSERT_TRUE(entry) << entry.error().text();
    const uint64_t info = entry->rbx;
    EXPECT_EQ(guest.at<uint32_t>(info) & 8, 8U);
    ASSERT_EQ(guest.at<uint32_t>(info + 20), 2U);
    const auto list = guest.at<uint32_t>(info + 24);
    const auto start = guest.at<uint32_t>(list);
    EXPECT_EQ(start % kPageSize, 0U);
    EXPECT_EQ(guest.at<uint32_t>(list + 4), start + 3);
    EXPECT_EQ(guest.text_at(start), "one");
    EXPECT_EQ(guest.text_at(guest.at<uint32_t>(list + 8)), "a.bin x y");
    EXPECT_EQ(guest.text_at(guest.at<uint32_t>(list + 16)), "second");
    EXPECT_EQ(guest.text_at(guest.at<uint32_t>(list + 24)), "b.bin");
}

TEST(Multiboot, KeepsBootInformationOffALowImage) {
    SmallGuest guest(8 * kMiB);
    Bytes image = flat_image();
    image.put(0x2C, uint32_t{0x1020}).put(0x30, uint32_t{0x1000}).put(0x34, uint32_t{0x1400});
    image.put(0x38, uint32_t{0x8000}).put(0x3C, uint32_t{0x1040});
    const auto entry = guest.load(image);
    ASSERT_TRUE(entry) << entry.error().text();
    EXPECT_GE(entry->rbx, 0x8000U);
    EXPECT_GE(entry->gdt_base.value, 0x8000U);
}

TEST(Multiboot, FindsTheHeaderOnlyInTheFirst8KiB) {
    SmallGuest guest(8 * kMiB);
    Bytes last(0x3000);
    put_header(last, 8192 - 32, kAddresses);
    last.put(8192 - 20, kLoadAt + 8192 - 32).put(8192 - 16, kLoadAt).put(8192 - 4, kLoadAt);
    EXPECT_TRUE(guest.load(last));
    Bytes late(0x3000);
    put_header(late, 8192, 0);
    EXPECT_NE(refusal(guest.load(late)).find("not a kernel"), std::string::npos);
    Bytes unaligned(0x3000);
    put_header(unaligned, 0x22, 0);
    refusal(guest.load(unaligned));
    refusal(guest.load(flat_image().put(0x28, uint32_t{1})));  // wrong checksum
}

TEST(Multiboot, RefusesWhatItCannotGive) {
    SmallGuest guest(8 * kMiB);
    EXPECT_NE(refusal(guest.load(flat_image(kAddresses | 4))).find("video mode"),
              std::string::npos);
    EXPECT_NE(refusal(guest.load(flat_image(kAddresses | 8))).find("features"), std::string::npos);
    Bytes neither(0x400);
    put_header(neither, 0, 0);
    EXPECT_NE(refusal(guest.load(neither)).find("no ELF"), std::string::npos);
}

TEST(Multiboot, RefusesAddressesThatLie) {
    SmallGuest guest(8 * kMiB);
    refusal(guest.load(flat_image().put(0x2C, kLoadAt - 1)));  // header below the load address
    refusal(guest.load(
        flat_image().put(0x2C, kLoadAt + 0x24)));  // the file would start before its start
    refusal(guest.load(flat_image().put(0x34, kLoadAt + 0x401)));       // more than the file has
    refusal(guest.load(flat_image().put(0x34, kLoadAt - 1)));           // ends before it starts
    refusal(guest.load(flat_image().put(0x38, uint32_t{0xFFFFFFFF})));  // bss beyond memory
    refusal(guest.load(flat_image().put(0x3C, uint32_t{0xF0000000})));  // entry beyond memory
}

TEST(Multiboot, RefusesAModuleThatDoesNotFit) {
    SmallGuest guest(8 * kMiB);
    const Bytes big(9 * kMiB);
    const std::string text = refusal(guest.load(flat_image(), {}, {module_file(big, "big.bin")}));
    EXPECT_NE(text.find("initrd 'big.bin': 9M do not fit"), std::string::npos) << text;
}

}  // namespace
}  // namespace banyan::loader
