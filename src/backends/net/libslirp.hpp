// LibSlirp: what is used of the library libslirp, which is loaded when it is needed first: it
// brings glib with it.
#pragma once

#include <slirp/libslirp.h>

namespace banyan {

class LibSlirp {
public:
    // Null: it is not installed, or lacks something.
    static const LibSlirp* get();

    decltype(&::slirp_new) create = nullptr;
    decltype(&::slirp_cleanup) destroy = nullptr;
    decltype(&::slirp_input) input = nullptr;
    decltype(&::slirp_pollfds_fill) pollfds_fill = nullptr;
    decltype(&::slirp_pollfds_poll) pollfds_poll = nullptr;
    decltype(&::slirp_handle_timer) handle_timer = nullptr;
    decltype(&::slirp_add_hostfwd) add_hostfwd = nullptr;
    decltype(&::slirp_remove_hostfwd) remove_hostfwd = nullptr;

private:
    LibSlirp();
    bool load();
    template <class Function>
    bool find(const char* name, Function& function);

    void* handle_ = nullptr;
    bool complete_ = false;
};

}  // namespace banyan
