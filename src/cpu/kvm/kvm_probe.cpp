#include "cpu/kvm/kvm_probe.hpp"

#include <cerrno>
#include <cpuid.h>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <grp.h>
#include <sys/stat.h>
#include <vector>

#include "cpu/kvm/kvm_handle.hpp"
#include "cpu/kvm/kvm_uapi.hpp"
#include "host/posix/host_error.hpp"

namespace banyan::kvm {

namespace {

bool has_vmx() {
    constexpr uint32_t kVmx = 1U << 5;  // Intel SDM vol. 3 section 24.6
    uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & kVmx) != 0;
}

bool has_svm() {
    constexpr uint32_t kSvm = 1U << 2;  // AMD APM vol. 2 section 15.4
    uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
    return __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) != 0 && (ecx & kSvm) != 0;
}

std::string group_of_device() {
    struct stat info {};
    if (::stat(kDevice, &info) != 0) return {};
    std::vector<char> buffer(4096);
    group entry{};
    group* found = nullptr;
    if (::getgrgid_r(info.st_gid, &entry, buffer.data(), buffer.size(), &found) == 0 &&
        found != nullptr)
        return found->gr_name;
    return std::to_string(info.st_gid);
}

bool exists(const char* path) {
    struct stat info {};
    return ::stat(path, &info) == 0;
}

// By the marks that runtimes leave: Docker's and Podman's files; what init was told by LXC, Incus
// and systemd-nspawn (systemd's "Container Interface").
std::string container() {
    if (exists("/run/.containerenv")) return "podman";
    if (exists("/.dockerenv")) return "docker";
    std::string name;
    std::ifstream("/run/systemd/container") >> name;
    if (!name.empty()) return name;
    const char* told = std::getenv("container");
    return told == nullptr ? std::string() : std::string(told);
}

std::string option_of(std::string_view runtime) {
    if (runtime == "lxc" || runtime == "incus")
        return "on its host: incus config device add NAME kvm unix-char path=/dev/kvm";
    if (runtime == "systemd-nspawn")
        return "start it with --bind=/dev/kvm and DeviceAllow=/dev/kvm";
    return fmt::format("start it with {} run --device /dev/kvm", runtime);
}

KvmVerdict no_device(const KvmHost& host) {
    KvmVerdict verdict{.why = fmt::format("there is no {}", kDevice)};
    if (!host.container.empty()) {
        verdict.why += " in this container";
        verdict.remedy = option_of(host.container);
    } else if (host.has_svm || host.has_vmx) {
        verdict.remedy =
            fmt::format("load its module: modprobe {}", host.has_svm ? "kvm_amd" : "kvm_intel");
    } else {
        verdict.why += ", and the processor shows neither AMD-V nor VT-x";
        verdict.remedy = "switch it on in the firmware, or nesting on where this is a VM";
    }
    return verdict;
}

KvmVerdict no_permission(const KvmHost& host) {
    return {
        .why = fmt::format("this user may not open {}, which belongs to the group {}", kDevice,
                           host.group),
        .remedy = fmt::format("join it: sudo usermod -aG {} $USER, and log in again", host.group)};
}

}  // namespace

KvmHost look_at_host() {
    KvmHost host{.has_svm = has_svm(), .has_vmx = has_vmx(), .container = container()};
    UniqueFd fd(::open(kDevice, O_RDWR | O_CLOEXEC));
    if (!fd.valid()) {
        host.open_error = errno;
        host.group = group_of_device();
        return host;
    }
    host.is_kvm = KvmFile(std::move(fd)).call(KVM_GET_API_VERSION, 0) == KVM_API_VERSION;
    return host;
}

KvmVerdict judge(const KvmHost& host) {
    switch (host.open_error) {
        case 0: break;
        case ENOENT:
        case ENXIO:
        case ENODEV: return no_device(host);
        case EACCES:
        case EPERM: return no_permission(host);
        default:
            return {.why = fmt::format("{} cannot be opened ({})", kDevice,
                                       errno_text(host.open_error))};
    }
    if (!host.is_kvm) return {.why = fmt::format("what is at {} does not answer as KVM", kDevice)};
    if (!host.has_svm && !host.has_vmx) {
        // Such a KVM runs kernels that know it; of others it emulates each instruction.
        return {.usable = true,
                .why =
                    "KVM here has no hardware behind it (the processor shows neither AMD-V nor "
                    "VT-x): stock kernels would run many times slower than by soft"};
    }
    return {.usable = true,
            .fast = true,
            .why = fmt::format("KVM with {}", host.has_svm ? "AMD-V" : "VT-x")};
}

std::string KvmVerdict::refusal() const {
    return fmt::format("use the engine kvm: {}; {}", why,
                       remedy.empty() ? "use --engine auto" : remedy);
}

}  // namespace banyan::kvm
