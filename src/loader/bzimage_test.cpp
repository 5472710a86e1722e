#include <gtest/gtest.h>

#include "arch/x86/register_state.hpp"
#include "loader/bzimage_regs.hpp"
#include "loader/loader_testing.hpp"

namespace banyan::loader {
namespace {

using testing::Bytes;
using testing::kMiB;
using testing::module_file;
using testing::refusal;
using testing::SmallGuest;
namespace zp = zero_page;

constexpr uint32_t kCode = 0x8000;  // bytes of the protected-mode part
constexpr size_t kSetupBytes = 2 * zp::kSectorSize;

// A kernel as the boot protocol wants it, of version 2.15.
Bytes good_kernel() {
    Bytes file(kSetupBytes + kCode);
    file.put(zp::kSetupSects, uint8_t{1});
    file.put(zp::kSyssize, uint32_t{kCode / 16});
    file.put(zp::kBootFlag, zp::kBootFlagValue);
    file.put(zp::kHeaderLength - 1, uint8_t{0xEB});
    file.put(zp::kHeaderLength, uint8_t{0x6A});
    file.put(zp::kHeaderMagic, zp::kHeaderMagicValue);
    file.put(zp::kVersion, uint16_t{0x20F});
    file.put(zp::kInitrdAddrMax, uint32_t{0x7FFFFFFF});
    file.put(zp::kKernelAlignment, uint32_t{0x200000});
    file.put(zp::kRelocatable, uint8_t{1});
    file.put(zp::kXloadflags, uint16_t{0x3F});
    file.put(zp::kCmdlineSize, uint32_t{2047});
    file.put(zp::kPrefAddress, uint64_t{16 * kMiB});
    file.put(zp::kInitSize, uint32_t{2 * kMiB});
    file.fill(kSetupBytes, kCode, 0xCC);
    return file;
}

TEST(BzImage, GoesToItsPreferredAddress) {
    SmallGuest guest(32 * kMiB);
    const auto entry = guest.load(good_kernel());
    ASSERT_TRUE(entry) << entry.error().text();
    EXPECT_EQ(entry->format, ImageFormat::bzimage);
    EXPECT_EQ(entry->mode, EntryMode::long64);
    EXPECT_EQ(entry->rip, 16 * kMiB + 0x200);
    EXPECT_EQ(guest.at<uint8_t>(16 * kMiB), 0xCC);
    EXPECT_EQ(guest.at<uint8_t>(16 * kMiB + kCode - 1), 0xCC);
}

TEST(BzImage, GoesLowerWhereMemoryIsShort) {
    SmallGuest guest(8 * kMiB);
    const auto entry = guest.load(good_kernel());
    ASSERT_TRUE(entry) << entry.error().text();
    EXPECT_EQ(entry->rip, 2 * kMiB + 0x200) << "the lowest multiple of its alignment above 1 MiB";
}

TEST(BzImage, FillsTheZeroPage) {
    SmallGuest guest(32 * kMiB);
    const auto entry = guest.load(good_kernel(), "console=ttyS0 quiet");
    ASSERT_TRUE(entry) << entry.error().text();
    const uint64_t page = entry->rsi;
    EXPECT_EQ(page % kPageSize, 0U);
    EXPECT_EQ(guest.at<uint32_t>(page + zp::kHeaderMagic), zp::kHeaderMagicValue);
    EXPECT_EQ(guest.at<uint8_t>(page + zp::kTypeOfLoader), 0xFF);
    EXPECT_EQ(guest.at<uint64_t>(page + zp::kAcpiRsdpAddr), 0xE0000U);
    EXPECT_EQ(guest.at<uint32_t>(page + zp::kRamdiskSize), 0U);
    EXPECT_EQ(guest.text_at(guest.at<uint32_t>(page + zp::kCmdLinePtr)), "console=ttyS0 quiet");
    EXPECT_EQ(guest.at<uint8_t>(page + zp::kE820Entries), 3);
    EXPECT_EQ(guest.at<uint64_t>(page + zp::kE820Table + 40), kMiB);
    EXPECT_EQ(guest.at<uint64_t>(page + zp::kE820Table + 48), 31 * kMiB);
    EXPECT_EQ(guest.at<uint32_t>(page + zp::kE820Table + 56), 1U);
}

TEST(BzImage, TellsOfATextScreen) {
    SmallGuest guest(32 * kMiB);
    auto entry = guest.load(good_kernel());
    ASSERT_TRUE(entry);
    EXPECT_EQ(guest.at<uint8_t>(entry->rsi + zp::kVideoIsVga), 0);
    guest.vga_text = true;
    entry = guest.load(good_kernel());
    ASSERT_TRUE(entry);
    EXPECT_EQ(guest.at<uint8_t>(entry->rsi + zp::kVideoIsVga), 1);
    EXPECT_EQ(guest.at<uint8_t>(entry->rsi + zp::kVideoColumns), 80);
    EXPECT_EQ(guest.at<uint8_t>(entry->rsi + zp::kVideoLines), 25);
}

TEST(BzImage, PutsTheInitrdsJoinedAndHigh) {
    SmallGuest guest(32 * kMiB);
    const Bytes first = Bytes().put_text(0, "abcde");
    const Bytes second = Bytes().put_text(0, "xyz");
    const auto entry =
        guest.load(good_kernel(), {}, {module_file(first, "a"), module_file(second, "b")});
    ASSERT_TRUE(entry) << entry.error().text();
    const auto start = guest.at<uint32_t>(entry->rsi + zp::kRamdiskImage);
    EXPECT_EQ(start, 32 * kMiB - kPageSize);
    EXPECT_EQ(guest.at<uint32_t>(entry->rsi + zp::kRamdiskSize), 11U);
    EXPECT_EQ(guest.text_at(start), "abcde");
    EXPECT_EQ(guest.text_at(start + 8), "xyz") << "at a multiple of 4";
}

TEST(BzImage, KeepsTheInitrdBelowItsLimit) {
    SmallGuest guest(32 * kMiB);
    const Bytes initrd = Bytes(kPageSize).put_text(0, "initrd");
    const Bytes kernel = good_kernel().put(zp::kInitrdAddrMax, uint32_t{24 * kMiB - 1});
    const auto entry = guest.load(kernel, {}, {module_file(initrd, "i")});
    ASSERT_TRUE(entry) << entry.error().text();
    EXPECT_EQ(guest.at<uint32_t>(entry->rsi + zp::kRamdiskImage), 24 * kMiB - kPageSize);
}

TEST(BzImage, StartsInLongModeOnIdentityTables) {
    SmallGuest guest(32 * kMiB);
    const auto entry = guest.load(good_kernel());
    ASSERT_TRUE(entry) << entry.error().text();
    const auto directories = guest.at<uint64_t>(entry->cr3) & ~0xFFFULL;
    for (uint64_t gib = 0; gib < 4; ++gib) {
        const auto directory = guest.at<uint64_t>(directories + 8 * gib);
        EXPECT_EQ(directory & 0xFFF, 3U);
        EXPECT_EQ(guest.at<uint64_t>((directory & ~0xFFFULL) + 8 * 511),
                  (gib << 30 | 511ULL << 21) | 0x83);
    }
    EXPECT_EQ(guest.at<uint64_t>(entry->gdt_base.value + entry->code_selector),
              0x00AF9B000000FFFFU);
}

TEST(BzImage, AppliesItsEntryToTheRegisters) {
    SmallGuest guest(32 * kMiB);
    const auto entry = guest.load(good_kernel());
    ASSERT_TRUE(entry) << entry.error().text();
    x86::RegisterState state = x86::power_on_state(true, 0);
    apply(*entry, state);
    EXPECT_EQ(state.rip, 16 * kMiB + 0x200);
    EXPECT_EQ(state.gpr[x86::kRsi], entry->rsi);
    EXPECT_EQ(state.cr0, x86::kCr0Pe | x86::kCr0Pg | x86::kCr0Et);
    EXPECT_EQ(state.cr4, x86::kCr4Pae);
    EXPECT_EQ(state.msr.efer, x86::kEferLme | x86::kEferLma);
    EXPECT_EQ(state.rflags, x86::kFlagsFixed);
    const x86::Descriptor code{guest.at<uint64_t>(state.gdtr.base + 0x10)};
    const x86::Descriptor data{guest.at<uint64_t>(state.gdtr.base + 0x18)};
    for (const auto& [segment, descriptor] :
         {std::pair{x86::kCs, code}, std::pair{x86::kSs, data}}) {
        EXPECT_EQ(state.segments[segment].attributes.raw, descriptor.attributes().raw);
        EXPECT_EQ(state.segments[segment].limit, descriptor.limit());
        EXPECT_EQ(state.segments[segment].base, 0U);
    }
    EXPECT_TRUE(state.segments[x86::kCs].attributes.get<x86::Attributes::Long>());
}

TEST(BzImage, RefusesEveryTruncation) {
    SmallGuest guest(32 * kMiB);
    const Bytes whole = good_kernel();
    for (size_t size = zp::kHeaderMagic + 4; size < whole.size(); size += 13) {
        Bytes cut = whole;
        EXPECT_NE(refusal(guest.load(cut.resize(size))).find("truncated"), std::string::npos)
            << size;
    }
}

struct BadHeader {
    const char* name;
    void (*bend)(Bytes&);
    const char* why;
};

class BzImageRefuses : public ::testing::TestWithParam<BadHeader> {};

TEST_P(BzImageRefuses, WithAReason) {
    SmallGuest guest(32 * kMiB);
    Bytes kernel = good_kernel();
    GetParam().bend(kernel);
    const std::string text = refusal(guest.load(kernel));
    EXPECT_NE(text.find(GetParam().why), std::string::npos) << text;
    EXPECT_NE(text.find("test-kernel"), std::string::npos) << text;
}

INSTANTIATE_TEST_SUITE_P(
    Headers, BzImageRefuses,
    ::testing::Values(
        BadHeader{"old", [](Bytes& k) { k.put(zp::kVersion, uint16_t{0x20B}); }, "2.11 is too old"},
        BadHeader{"narrow", [](Bytes& k) { k.put(zp::kXloadflags, uint16_t{0x3E}); }, "32-bit"},
        BadHeader{"short_header", [](Bytes& k) { k.put(zp::kHeaderLength, uint8_t{0x10}); },
                  "impossible length"},
        BadHeader{"long_header", [](Bytes& k) { k.put(zp::kHeaderLength, uint8_t{0xFF}); },
                  "impossible length"},
        BadHeader{"alignment", [](Bytes& k) { k.put(zp::kKernelAlignment, uint32_t{3}); },
                  "power of two"},
        BadHeader{"no_alignment", [](Bytes& k) { k.put(zp::kKernelAlignment, uint32_t{0}); },
                  "power of two"},
        BadHeader{"syssize", [](Bytes& k) { k.put(zp::kSyssize, uint32_t{0xFFFFFFFF}); },
                  "truncated"},
        BadHeader{"no_code", [](Bytes& k) { k.put(zp::kSyssize, uint32_t{0}); }, "truncated"},
        BadHeader{"huge", [](Bytes& k) { k.put(zp::kInitSize, uint32_t{0xFFFFFFFF}); },
                  "needs 4096M"},
        BadHeader{"fixed",
                  [](Bytes& k) {
                      k.put(zp::kRelocatable, uint8_t{0}).put(zp::kPrefAddress, uint64_t{1} << 33);
                  },
                  "memory to start"}),
    [](const auto& instance) { return instance.param.name; });

TEST(BzImage, RefusesALongCommandLine) {
    SmallGuest guest(32 * kMiB);
    const std::string text = refusal(guest.load(good_kernel(), std::string(2048, 'x')));
    EXPECT_NE(text.find("at most 2047 bytes, not 2048"), std::string::npos) << text;
    EXPECT_TRUE(guest.load(good_kernel(), std::string(2047, 'x')));
}

TEST(BzImage, SaysHowMuchAnInitrdNeeds) {
    SmallGuest guest(32 * kMiB);
    const Bytes initrd(15 * kMiB + 1);
    const std::string text =
        refusal(guest.load(good_kernel(), {}, {module_file(initrd, "big.cpio")}));
    EXPECT_NE(text.find("initrd 'big.cpio': 16M do not fit"), std::string::npos) << text;
    EXPECT_NE(text.find("--memory"), std::string::npos) << text;
}

TEST(BzImage, RefusesAnEmptyInitrd) {
    SmallGuest guest(32 * kMiB);
    EXPECT_NE(refusal(guest.load(good_kernel(), {}, {module_file(Bytes(), "none")})).find("empty"),
              std::string::npos);
}

TEST(FirmwareState, MakesMemoryWriteBack) {
    x86::RegisterState state = x86::power_on_state(false, 0);
    apply_firmware_state(state);
    EXPECT_EQ(state.msr.mtrr_def_type, 0x806U);
}

}  // namespace
}  // namespace banyan::loader
