#include "lockstep/boot/write_guard.hpp"

#include <cstring>
#include <sys/mman.h>

#include "support/assert.hpp"

namespace banyan::lockstep {

namespace {

std::atomic<WriteGuard*> the_guard{nullptr};

void allow(std::span<std::byte> range, bool writes) {
    const int rights = writes ? PROT_READ | PROT_WRITE : PROT_READ;
    BANYAN_ASSERT(::mprotect(range.data(), range.size(), rights) == 0);
}

}  // namespace

WriteGuard::WriteGuard(std::span<std::byte> memory)
    : memory_(memory), pages_(std::make_unique<Page[]>(kMaxPages)) {
    BANYAN_ASSERT(the_guard.exchange(this) == nullptr);
    struct sigaction action {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    BANYAN_ASSERT(::sigaction(SIGSEGV, &action, nullptr) == 0);
}

WriteGuard::~WriteGuard() {
    if (on_) stop();
    ::signal(SIGSEGV, SIG_DFL);
    the_guard = nullptr;
}

void WriteGuard::start() {
    if (!on_ || overflowed_) {
        allow(memory_, false);
    } else {
        for (const Page& page : written())
            allow({page.place, kPageSize}, false);
    }
    count_ = 0;
    overflowed_ = false;
    on_ = true;
}

void WriteGuard::stop() {
    allow(memory_, true);
    count_ = 0;
    on_ = false;
}

// A real fault of this program: without the handler it happens again, and ends it.
void WriteGuard::on_fault(int, siginfo_t* info, void*) {
    WriteGuard* const guard = the_guard;
    if (guard == nullptr || !guard->keep(static_cast<std::byte*>(info->si_addr)))
        ::signal(SIGSEGV, SIG_DFL);
}

bool WriteGuard::keep(std::byte* address) {
    if (address < memory_.data() || address >= memory_.data() + memory_.size()) return false;
    while (busy_.test_and_set(std::memory_order_acquire)) {
    }
    const auto offset = static_cast<size_t>(address - memory_.data());
    std::byte* const place = memory_.data() + (offset & ~(kPageSize - 1));
    if (count_ == kMaxPages) {
        overflowed_ = true;
        allow(memory_, true);
    } else {
        Page& page = pages_[count_];
        page.place = place;
        std::memcpy(page.before.data(), place, kPageSize);
        allow({place, kPageSize}, true);
        ++count_;
    }
    busy_.clear(std::memory_order_release);
    return true;
}

}  // namespace banyan::lockstep
