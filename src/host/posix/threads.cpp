#include "host/posix/threads.hpp"

#include <atomic>

namespace banyan {

namespace {

std::atomic<const ThreadRules*> g_rules{nullptr};
thread_local ThreadKind t_kind = ThreadKind::loop;

}  // namespace

void set_thread_rules(const ThreadRules& rules) {
    g_rules.store(&rules, std::memory_order_release);
}

ThreadKind this_thread_kind() {
    return t_kind;
}

std::thread start_thread(ThreadKind kind, const std::string& name, std::function<void()> body) {
    const ThreadRules* const rules = g_rules.load(std::memory_order_acquire);
    auto begin = [kind, rules, name = name.substr(0, 15), body = std::move(body)] {
        pthread_setname_np(pthread_self(), name.c_str());
        t_kind = kind;
        if (rules != nullptr) rules->begun(kind);
        body();
    };
    const OutsideSignalsBlocked blocked;
    return rules != nullptr ? rules->start(std::move(begin)) : std::thread(std::move(begin));
}

}  // namespace banyan
