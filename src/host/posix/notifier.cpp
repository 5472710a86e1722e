#include "host/posix/notifier.hpp"

#include <sys/eventfd.h>

#include "host/posix/host_error.hpp"

namespace banyan {

Result<std::unique_ptr<Notifier>> Notifier::create(Poller& poller, std::function<void()> action) {
    UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!fd.valid())
        return host_fail(errno, "make a notifier", "raise the limit of open files (ulimit -n)");
    auto notifier =
        std::unique_ptr<Notifier>(new Notifier(poller, std::move(fd), std::move(action)));
    TRY(poller.watch(notifier->fd_.get(), {.readable = true}, *notifier));
    return notifier;
}

Notifier::~Notifier() {
    poller_.unwatch(fd_.get());
}

void Notifier::notify() {
    const uint64_t one = 1;
    // It can only fail when the counter is full, and then the reader is awake anyway.
    [[maybe_unused]] const ssize_t written = ::write(fd_.get(), &one, sizeof(one));
}

void Notifier::on_ready(Readiness) {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(fd_.get(), &count, sizeof(count));
    action_();
}

void Notifier::deliver() {
    uint64_t count = 0;
    if (::read(fd_.get(), &count, sizeof(count)) > 0) action_();
}

}  // namespace banyan
