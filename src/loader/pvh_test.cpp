#include <gtest/gtest.h>

#include "arch/x86/register_state.hpp"
#include "loader/loader_testing.hpp"

namespace banyan::loader {
namespace {

using testing::Bytes;
using testing::kMiB;
using testing::module_file;
using testing::refusal;
using testing::SmallGuest;

constexpr uint64_t kElfLoadAt = 2 * kMiB;
constexpr size_t kCodeAt = 0x1000;
constexpr size_t kNoteAt = 0x200;

Bytes& put_note(Bytes& file, uint32_t type, uint32_t descriptor_size, uint64_t value) {
    file.put(kNoteAt, uint32_t{4}).put(kNoteAt + 4, descriptor_size).put(kNoteAt + 8, type);
    file.put_text(kNoteAt + 12, std::string_view("Xen\0", 4)).put(kNoteAt + 16, value);
    return file;
}

// Program headers: a loadable segment of 0x100 bytes with 0x2000 in memory, and a note that leads
// to its start.
Bytes elf64() {
    Bytes file;
    file.put(0, uint32_t{0x464C457F}).put(4, uint8_t{2}).put(5, uint8_t{1}).put(6, uint8_t{1});
    file.put(16, uint16_t{2}).put(18, uint16_t{62}).put(20, uint32_t{1});
    file.put(24, uint64_t{0xFFFFFFFF81000000}).put(32, uint64_t{64});
    file.put(54, uint16_t{56}).put(56, uint16_t{2});
    file.put(64, uint32_t{1}).put(72, uint64_t{kCodeAt}).put(80, uint64_t{0xFFFFFFFF81000000});
    file.put(88, kElfLoadAt).put(96, uint64_t{0x100}).put(104, uint64_t{0x2000});
    file.put(120, uint32_t{4})
        .put(128, uint64_t{kNoteAt})
        .put(152, uint64_t{24})
        .put(160, uint64_t{24});
    put_note(file, 18, 8, kElfLoadAt + 0x10);
    file.fill(kCodeAt, 0x100, 0x90);
    return file;
}

Bytes elf32() {
    Bytes file;
    file.put(0, uint32_t{0x464C457F}).put(4, uint8_t{1}).put(5, uint8_t{1}).put(6, uint8_t{1});
    file.put(16, uint16_t{2}).put(18, uint16_t{3}).put(20, uint32_t{1});
    file.put(24, uint32_t{kElfLoadAt}).put(28, uint32_t{52});
    file.put(42, uint16_t{32}).put(44, uint16_t{2});
    file.put(52, uint32_t{1})
        .put(56, uint32_t{kCodeAt})
        .put(60, uint32_t{kElfLoadAt})
        .put(64, uint32_t{kElfLoadAt});
    file.put(68, uint32_t{0x100}).put(72, uint32_t{0x2000});
    file.put(84, uint32_t{4})
        .put(88, uint32_t{kNoteAt})
        .put(100, uint32_t{20})
        .put(104, uint32_t{20});
    put_note(file, 18, 4, kElfLoadAt + 0x10);
    file.fill(kCodeAt, 0x100, 0x90);
    return file;
}

class PvhOfWidth : public ::testing::TestWithParam<Bytes (*)()> {};

TEST_P(PvhOfWidth, LoadsItsSegmentsAndClearsTheRest) {
    SmallGuest guest(16 * kMiB);
    const std::vector<std::byte> dirt(0x2000, std::byte{0xEE});
    ASSERT_TRUE(guest.memory.write({kElfLoadAt}, dirt));
    const auto entry = guest.load(GetParam()());
    ASSERT_TRUE(entry) << entry.error().text();
    EXPECT_EQ(entry->format, ImageFormat::pvh);
    EXPECT_EQ(entry->mode, EntryMode::protected32);
    EXPECT_EQ(entry->rip, kElfLoadAt + 0x10);
    EXPECT_EQ(guest.at<uint8_t>(kElfLoadAt), 0x90);
    EXPECT_EQ(guest.at<uint8_t>(kElfLoadAt + 0xFF), 0x90);
    EXPECT_EQ(guest.at<uint8_t>(kElfLoadAt + 0x100), 0);
    EXPECT_EQ(guest.at<uint8_t>(kElfLoadAt + 0x1FFF), 0);
}

TEST_P(PvhOfWidth, FillsTheStartInfo) {
    SmallGuest guest(16 * kMiB);
    const Bytes initrd = Bytes().put_text(0, "cpio");
    const auto entry = guest.load(GetParam()(), "root=/dev/vda", {module_file(initrd, "i")});
    ASSERT_TRUE(entry) << entry.error().text();
    const uint64_t info = entry->rbx;
    EXPECT_EQ(guest.at<uint32_t>(info), 0x336EC578U);
    EXPECT_EQ(guest.at<uint32_t>(info + 4), 1U);
    EXPECT_EQ(guest.at<uint32_t>(info + 12), 1U);
    const auto module = guest.at<uint64_t>(info + 16);
    EXPECT_EQ(guest.at<uint64_t>(module), 16 * kMiB - kPageSize);
    EXPECT_EQ(guest.at<uint64_t>(module + 8), 4U);
    EXPECT_EQ(guest.text_at(guest.at<uint64_t>(info + 24)), "root=/dev/vda");
    EXPECT_EQ(guest.at<uint64_t>(info + 32), 0xE0000U);
    EXPECT_EQ(guest.at<uint32_t>(info + 48), 3U);
    const auto map = guest.at<uint64_t>(info + 40);
    EXPECT_EQ(guest.at<uint64_t>(map + 48), kMiB);
    EXPECT_EQ(guest.at<uint64_t>(map + 56), 15 * kMiB);
    EXPECT_EQ(guest.at<uint32_t>(map + 64), 1U);
}

TEST_P(PvhOfWidth, StartsInFlatProtectedMode) {
    SmallGuest guest(16 * kMiB);
    const auto entry = guest.load(GetParam()());
    ASSERT_TRUE(entry) << entry.error().text();
    x86::RegisterState state = x86::power_on_state(true, 0);
    apply(*entry, state);
    EXPECT_EQ(state.cr0, x86::kCr0Pe | x86::kCr0Et);
    EXPECT_EQ(state.cr4, 0U);
    EXPECT_EQ(state.msr.efer, 0U);
    EXPECT_EQ(state.segments[x86::kCs].attributes.raw, 0xC09BU);
    EXPECT_EQ(state.segments[x86::kDs].attributes.raw, 0xC093U);
    EXPECT_EQ(state.segments[x86::kDs].limit, 0xFFFFFFFFU);
    EXPECT_EQ(state.gpr[x86::kRbx], entry->rbx);
    EXPECT_EQ(guest.at<uint64_t>(state.gdtr.base + 0x10), 0x00CF9B000000FFFFU);
}

TEST_P(PvhOfWidth, RefusesEveryTruncation) {
    SmallGuest guest(16 * kMiB);
    const Bytes whole = GetParam()();
    for (size_t size = 0; size < whole.size(); size += 7) {
        Bytes cut = whole;
        refusal(guest.load(cut.resize(size)));
    }
}

INSTANTIATE_TEST_SUITE_P(Widths, PvhOfWidth, ::testing::Values(&elf64, &elf32),
                         [](const auto& instance) {
                             return instance.index == 0 ? "Elf64" : "Elf32";
                         });

TEST(Pvh, RefusesSegmentsOutsideRam) {
    SmallGuest guest(16 * kMiB);
    for (const uint64_t address :
         {uint64_t{0}, 16 * kMiB, 16 * kMiB - 0x1000, uint64_t{0xA0000}, ~uint64_t{0} - 0xFF}) {
        const std::string text = refusal(guest.load(elf64().put(88, address)));
        EXPECT_NE(text.find("not free memory"), std::string::npos) << text;
    }
}

TEST(Pvh, RefusesHugeAndOverlappingSegments) {
    SmallGuest guest(16 * kMiB);
    refusal(guest.load(elf64().put(104, ~uint64_t{0})));
    Bytes twice = elf64();
    twice.put(120, uint32_t{1})
        .put(144, kElfLoadAt)
        .put(160, uint64_t{24});  // the note becomes a second copy...
    twice.put(56, uint16_t{3});   // ... and moves behind it
    twice.put(176, uint32_t{4})
        .put(184, uint64_t{kNoteAt})
        .put(208, uint64_t{24})
        .put(216, uint64_t{24});
    EXPECT_NE(refusal(guest.load(twice)).find("not free memory"), std::string::npos);
}

TEST(Pvh, RefusesAnEntryOutsideRam) {
    SmallGuest guest(16 * kMiB);
    Bytes file = elf64();
    put_note(file, 18, 8, uint64_t{1} << 40);
    EXPECT_NE(refusal(guest.load(file)).find("PVH entry 0x10000000000"), std::string::npos);
}

TEST(Pvh, LooksForItsNoteAmongOthers) {
    SmallGuest guest(16 * kMiB);
    Bytes file = elf64();
    put_note(file, 6, 5, 0);  // a note of another type, with a descriptor that is padded to 8 bytes
    const size_t next = kNoteAt + 24;
    file.put(next, uint32_t{4}).put(next + 4, uint32_t{4}).put(next + 8, uint32_t{18});
    file.put_text(next + 12, std::string_view("Xen\0", 4)).put(next + 16, uint32_t{kElfLoadAt});
    file.put(152, uint64_t{44});
    const auto entry = guest.load(file);
    ASSERT_TRUE(entry) << entry.error().text();
    EXPECT_EQ(entry->rip, kElfLoadAt);
}

TEST(Pvh, RefusesElfFilesThatAreNoKernel) {
    SmallGuest guest(16 * kMiB);
    Bytes no_note = elf64();
    put_note(no_note, 17, 8, 0);
    EXPECT_NE(refusal(guest.load(no_note)).find("neither a PVH note nor a multiboot header"),
              std::string::npos);
    EXPECT_NE(refusal(guest.load(elf64().put(18, uint16_t{183}))).find("machine 183"),
              std::string::npos);
    EXPECT_NE(refusal(guest.load(elf64().put(5, uint8_t{2}))).find("big-endian"),
              std::string::npos);
}

TEST(Identify, RefusesWhatIsNoKernel) {
    SmallGuest guest(16 * kMiB);
    EXPECT_NE(refusal(guest.load(Bytes())).find("empty"), std::string::npos);
    EXPECT_NE(refusal(guest.load(Bytes().put_text(0, "#!/bin/sh\n"))).find("not a kernel"),
              std::string::npos);
    EXPECT_NE(refusal(guest.load(Bytes(100000))).find("not a kernel"), std::string::npos);
}

TEST(Identify, CutsALongNameAtItsFront) {
    const std::string name = std::string(4000, 'd') + "/vmlinuz";
    const auto result = identify(name, testing::Bytes());
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().text().find("dd/vmlinuz': the file is empty; "),
              std::string_view::npos)
        << result.error().text();
}

}  // namespace
}  // namespace banyan::loader
