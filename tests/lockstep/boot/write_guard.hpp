// WriteGuard: keeps what a range of memory held before it was written. The first write to a page
// is caught by the host's memory protection, whoever writes: generated code, too.
#pragma once

#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <memory>
#include <span>

namespace banyan::lockstep {

class WriteGuard {
public:
    static constexpr size_t kPageSize = 4096;
    static constexpr size_t kMaxPages = 4096;  // written between two start()

    // Page-aligned. One guard exists at a time.
    explicit WriteGuard(std::span<std::byte> memory);
    ~WriteGuard();
    WriteGuard(const WriteGuard&) = delete;
    WriteGuard& operator=(const WriteGuard&) = delete;

    // From now on writes are noticed, and those before are forgotten.
    void start();
    // Writes cost nothing any more.
    void stop();
    bool on() const { return on_; }

    struct Page {
        std::byte* place = nullptr;
        std::array<std::byte, kPageSize> before{};
    };
    // Written since start(), in the order of their first writes.
    std::span<const Page> written() const { return {pages_.get(), count_.load()}; }
    // More pages were written than can be kept: what is missing is not known.
    bool overflowed() const { return overflowed_; }

private:
    static void on_fault(int number, siginfo_t* info, void* context);
    bool keep(std::byte* address);

    std::span<std::byte> memory_;
    std::unique_ptr<Page[]> pages_;
    std::atomic<size_t> count_{0};
    std::atomic<bool> overflowed_{false};
    std::atomic_flag busy_;
    bool on_ = false;
};

}  // namespace banyan::lockstep
