#include "vmm/vm_config.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

VmConfig usable() {
    VmConfig config;
    config.kernel = "vmlinuz";
    return config;
}

std::string why_not(const VmConfig& config) {
    const auto valid = validate(config);
    if (valid) return "nothing";
    EXPECT_EQ(valid.error().code(), ErrorCode::invalid_argument);
    return std::string(valid.error().text());
}

TEST(VmConfig, DefaultsNeedAKernelOrFirmware) {
    EXPECT_EQ(why_not(usable()), "nothing");
    EXPECT_NE(why_not(VmConfig{}).find("--machine micro: it has no firmware"), std::string::npos);
    VmConfig pc;
    pc.machine = MachineKind::pc;
    EXPECT_EQ(why_not(pc), "nothing");
}

TEST(VmConfig, CpusHaveARange) {
    VmConfig config = usable();

    config.cpus = 0;
    EXPECT_NE(why_not(config).find("--cpus 0: a machine has 1 to 255"), std::string::npos);
    config.cpus = 256;
    EXPECT_NE(why_not(config).find("--cpus 256"), std::string::npos);
    config.cpus = 255;
    EXPECT_EQ(why_not(config), "nothing");
}

TEST(VmConfig, MemoryHasARangeAndAGrain) {
    VmConfig config = usable();

    config.memory = uint64_t{1} << 20;
    EXPECT_NE(why_not(config).find("--memory 1 MiB"), std::string::npos);
    config.memory = uint64_t{513} << 30;
    EXPECT_NE(why_not(config).find("--memory 513 GiB"), std::string::npos);
    config.memory = (uint64_t{64} << 20) + 4096;
    EXPECT_NE(why_not(config).find("not a multiple of 1 MiB"), std::string::npos);
    config.memory = uint64_t{512} << 30;
    EXPECT_EQ(why_not(config), "nothing");
}

TEST(VmConfig, SerialsOfDisksAreShortPlainText) {
    VmConfig config = usable();

    config.disks.push_back({"disk.img", false, std::string(20, 's')});
    EXPECT_EQ(why_not(config), "nothing");
    config.disks[0].serial += "s";
    EXPECT_NE(why_not(config).find("--disk serial"), std::string::npos);
    config.disks[0].serial = "a\n";
    EXPECT_NE(why_not(config).find("--disk serial"), std::string::npos);
    config.disks.assign(17, {"disk.img", false, ""});
    EXPECT_NE(why_not(config).find("17 disks"), std::string::npos);
}

TEST(VmConfig, NamesArePlainText) {
    VmConfig config = usable();

    config.name = "";
    EXPECT_NE(why_not(config).find("--name"), std::string::npos);
    config.name = "web\n1";
    EXPECT_NE(why_not(config).find("--name"), std::string::npos);
    config.name = "web 1";
    EXPECT_EQ(why_not(config), "nothing");
}

}  // namespace
}  // namespace banyan
