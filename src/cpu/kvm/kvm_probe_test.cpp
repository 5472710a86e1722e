#include "cpu/kvm/kvm_probe.hpp"

#include <cerrno>
#include <gtest/gtest.h>

namespace banyan::kvm {
namespace {

bool says(const std::string& text, std::string_view words) {
    return text.find(words) != std::string::npos;
}

TEST(KvmProbe, HardwareIsTheBestChoice) {
    const KvmVerdict amd = judge({.has_svm = true});
    EXPECT_TRUE(amd.usable);
    EXPECT_TRUE(amd.fast);
    EXPECT_EQ(amd.why, "KVM with AMD-V");
    EXPECT_EQ(judge({.has_vmx = true}).why, "KVM with VT-x");
}

TEST(KvmProbe, AParavirtualKvmCanBeUsedAndIsNotPreferred) {
    const KvmVerdict verdict = judge({});

    EXPECT_TRUE(verdict.usable);
    EXPECT_FALSE(verdict.fast);
    EXPECT_TRUE(says(verdict.why, "no hardware behind it"));
}

TEST(KvmProbe, WithoutPermissionTheGroupAndTheCommandAreNamed) {
    const KvmVerdict verdict = judge({.open_error = EACCES, .group = "kvm", .has_svm = true});

    EXPECT_FALSE(verdict.usable);
    EXPECT_TRUE(says(verdict.why, "the group kvm"));
    EXPECT_TRUE(says(verdict.remedy, "usermod -aG kvm $USER"));
}

TEST(KvmProbe, AContainerIsToldTheOptionOfItsRuntime) {
    const auto remedy_in = [](const char* runtime) {
        return judge({.open_error = ENOENT, .has_svm = true, .container = runtime}).remedy;
    };

    EXPECT_TRUE(says(remedy_in("docker"), "docker run --device /dev/kvm"));
    EXPECT_TRUE(says(remedy_in("podman"), "podman run --device /dev/kvm"));
    EXPECT_TRUE(says(remedy_in("lxc"), "incus config device add NAME kvm unix-char"));
    EXPECT_TRUE(says(remedy_in("systemd-nspawn"), "--bind=/dev/kvm"));
}

TEST(KvmProbe, WithoutTheDeviceTheModuleIsNamedWhereItWouldWork) {
    EXPECT_TRUE(says(judge({.open_error = ENOENT, .has_svm = true}).remedy, "modprobe kvm_amd"));
    EXPECT_TRUE(says(judge({.open_error = ENOENT, .has_vmx = true}).remedy, "modprobe kvm_intel"));
    const KvmVerdict none = judge({.open_error = ENOENT});
    EXPECT_TRUE(says(none.why, "neither AMD-V nor VT-x"));
    EXPECT_TRUE(says(none.remedy, "firmware"));
}

TEST(KvmProbe, OtherFailuresAreNamed) {
    EXPECT_TRUE(says(judge({.open_error = EMFILE}).why, "Too many open files"));
    EXPECT_TRUE(says(judge({.is_kvm = false}).why, "does not answer as KVM"));
    EXPECT_FALSE(judge({.is_kvm = false}).usable);
}

TEST(KvmProbe, ARefusalSaysWhatWhyAndWhatToDo) {
    EXPECT_EQ(judge({.open_error = ENOENT, .has_svm = true}).refusal(),
              "use the engine kvm: there is no /dev/kvm; load its module: modprobe kvm_amd");
    EXPECT_TRUE(says(judge({.open_error = EMFILE}).refusal(), "; use --engine auto"));
}

}  // namespace
}  // namespace banyan::kvm
