#include "host/sandbox/thread_starter.hpp"

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <pthread.h>

#include "host/posix/threads.hpp"

namespace banyan::thread_starter {

namespace {

using Task = std::packaged_task<std::thread()>;

struct Starter {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Task> tasks;
};

thread_local bool t_is_starter = false;

// Never destroyed: its thread waits in it when the process ends.
Starter& starter() {
    static auto* const one = new Starter();
    return *one;
}

void serve(std::promise<void> begun) {
    pthread_setname_np(pthread_self(), "starter");
    t_is_starter = true;
    begun.set_value();
    Starter& own = starter();
    std::unique_lock lock(own.mutex);
    for (;;) {
        own.changed.wait(lock, [&] { return !own.tasks.empty(); });
        Task task = std::move(own.tasks.front());
        own.tasks.pop_front();
        lock.unlock();
        task();
        lock.lock();
    }
}

}  // namespace

void begin() {
    const OutsideSignalsBlocked blocked;
    std::promise<void> begun;
    auto has_begun = begun.get_future();
    std::thread(serve, std::move(begun)).detach();
    has_begun.wait();
}

bool is_this() {
    return t_is_starter;
}

std::thread start(std::function<void()> body) {
    Task task([body = std::move(body)] { return std::thread(body); });
    auto started = task.get_future();
    {
        const std::lock_guard lock(starter().mutex);
        starter().tasks.push_back(std::move(task));
    }
    starter().changed.notify_one();
    return started.get();
}

}  // namespace banyan::thread_starter
