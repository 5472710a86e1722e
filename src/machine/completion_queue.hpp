// CompletionQueue: what back ends have told and the device has not heard yet. From any thread; its
// lock is a leaf.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "support/mutex.hpp"

namespace banyan {

template <class Completion>
class CompletionQueue {
public:
    // As many as are usually in flight; more of them make it grow.
    explicit CompletionQueue(size_t usual) { completions_.reserve(usual); }

    void put(const Completion& completion) {
        MutexLock guard(mutex_);
        completions_.push_back(completion);
    }
    // The oldest. One at a time, because a device may submit, or drain, when it hears of one.
    std::optional<Completion> take() {
        MutexLock guard(mutex_);
        if (next_ == completions_.size()) {
            completions_.clear();
            next_ = 0;
            return std::nullopt;
        }
        return completions_[next_++];
    }

private:
    Mutex mutex_;
    std::vector<Completion> completions_ GUARDED_BY(mutex_);
    size_t next_ GUARDED_BY(mutex_) = 0;  // the first that was not taken yet
};

}  // namespace banyan
