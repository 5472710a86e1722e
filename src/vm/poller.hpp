// Poller: who tells a back end that its stream can be read or written.
#pragma once

#include <cstdint>

#include "support/result.hpp"

namespace banyan {

struct Readiness {
    bool readable = false;  // also at the end of the stream, and when the peer has gone
    bool writable = false;
};

class PollClient {
public:
    // On the poller's thread. Only what was asked for comes, but it may come although it is no
    // longer true.
    virtual void on_ready(Readiness ready) = 0;

protected:
    ~PollClient() = default;
};

// `handle` is a stream as the host names it: on Linux a file descriptor.
class Poller {
public:
    // A handle is watched once. From any thread, also from within on_ready().
    virtual Result<void> watch(int handle, Readiness interest, PollClient& client) = 0;
    virtual void set_interest(int handle, Readiness interest) = 0;
    // When it returns, on_ready() is not running and will not come again; on the poller's own
    // thread, when the caller's on_ready() has returned. To be called without locks that on_ready()
    // takes.
    virtual void unwatch(int handle) = 0;

protected:
    ~Poller() = default;
};

}  // namespace banyan
