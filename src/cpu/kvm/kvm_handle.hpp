// KvmHandle: one of KVM's file descriptors (system, VM, vCPU), as its ioctls see it: the seam at
// which tests stand in for the kernel.
//
// "KVM API" here and in the other files of this folder is Linux, Documentation/virt/kvm/api.rst, by
// its sections.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "cpu/kvm/kvm_uapi.hpp"
#include "host/posix/unique_fd.hpp"
#include "support/result.hpp"

namespace banyan::kvm {

class KvmHandle {
public:
    virtual ~KvmHandle() = default;

    // What ioctl(2) returns, or minus errno. From any thread; calls of a vCPU wait for each other.
    virtual int call(unsigned long request, uint64_t argument) const = 0;

    // With a structure that the kernel reads, writes or both.
    template <class T>
    int call_with(unsigned long request, T& argument) const {
        return call(request, reinterpret_cast<uintptr_t>(&argument));
    }

    // For calls that a working host does not refuse: an error "what: why; what to do" otherwise.
    Result<int> demand(unsigned long request, uint64_t argument, std::string_view what) const;
    template <class T>
    Result<int> demand_with(unsigned long request, T& argument, std::string_view what) const {
        return demand(request, reinterpret_cast<uintptr_t>(&argument), what);
    }

    // KVM_CHECK_EXTENSION: 0 where the kernel does not know it (KVM API 4.4).
    int capability(int number) const {
        return call(KVM_CHECK_EXTENSION, static_cast<uint64_t>(number));
    }
};

class KvmFile final : public KvmHandle {
public:
    explicit KvmFile(UniqueFd fd) : fd_(std::move(fd)) {}
    int call(unsigned long request, uint64_t argument) const override;
    int fd() const { return fd_.get(); }

private:
    UniqueFd fd_;
};

// A vCPU's, with the page that it shares with the kernel (KVM API 5), which data of port accesses
// follows.
class KvmVcpuHandle : public KvmHandle {
public:
    virtual kvm_run& run_page() const = 0;
};

// Memory that a vCPU shares with the kernel.
class RunPage {
public:
    static Result<RunPage> map(const KvmFile& vcpu, size_t size, size_t offset = 0);
    ~RunPage();
    RunPage(RunPage&& other) noexcept
        : start_(std::exchange(other.start_, nullptr)), size_(other.size_) {}
    RunPage(const RunPage&) = delete;
    RunPage& operator=(const RunPage&) = delete;

    kvm_run& operator*() const { return *static_cast<kvm_run*>(start_); }
    // What is there in place of that page, at another offset.
    template <class T>
    std::span<T> entries() const {
        return {static_cast<T*>(start_), size_ / sizeof(T)};
    }

private:
    RunPage(void* start, size_t size) : start_(start), size_(size) {}
    void* start_;
    size_t size_;
};

class KvmVcpuFile final : public KvmVcpuHandle {
public:
    KvmVcpuFile(KvmFile file, RunPage page) : file_(std::move(file)), page_(std::move(page)) {}
    int call(unsigned long request, uint64_t argument) const override {
        return file_.call(request, argument);
    }
    kvm_run& run_page() const override { return *page_; }

private:
    KvmFile file_;
    RunPage page_;
};

}  // namespace banyan::kvm
