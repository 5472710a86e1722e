#include "cpu/kvm/kvm_handle.hpp"

#include <cerrno>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "host/posix/host_error.hpp"

namespace banyan::kvm {

Result<int> KvmHandle::demand(unsigned long request, uint64_t argument,
                              std::string_view what) const {
    const int result = call(request, argument);
    if (result < 0) return host_fail(-result, what, "use a newer kernel or --engine soft");
    return result;
}

int KvmFile::call(unsigned long request, uint64_t argument) const {
    const int result = ::ioctl(fd_.get(), request, argument);
    return result < 0 ? -errno : result;
}

Result<RunPage> RunPage::map(const KvmFile& vcpu, size_t size, size_t offset) {
    void* start = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu.fd(),
                         static_cast<off_t>(offset));
    if (start == MAP_FAILED)
        return host_fail(errno, "share a page with KVM", "raise the limits of this process");
    return RunPage(start, size);
}

RunPage::~RunPage() {
    if (start_ != nullptr) ::munmap(start_, size_);
}

}  // namespace banyan::kvm
