#include "backends/net/libslirp.hpp"

#include <dlfcn.h>

#include "support/log.hpp"

namespace banyan {

namespace {

using GlibLogHandler = void (*)(const char* domain, int level, const char* text, void* data);
using SetGlibLogHandler = GlibLogHandler (*)(GlibLogHandler handler, void* data);

// Guests can make the library speak.
void log_of_glib(const char* /*domain*/, int /*level*/, const char* text, void* /*data*/) {
    LOG_LIMITED(LogLevel::info, "net", "libslirp: %s", text != nullptr ? text : "");
}

}  // namespace

const LibSlirp* LibSlirp::get() {
    static const LibSlirp library;
    return library.complete_ ? &library : nullptr;
}

// Never unloaded: glib cannot be.
LibSlirp::LibSlirp() : handle_(::dlopen("libslirp.so.0", RTLD_NOW | RTLD_LOCAL)) {
    complete_ = handle_ != nullptr && load();
}

bool LibSlirp::load() {
    SetGlibLogHandler set_log_handler = nullptr;
    if (find("g_log_set_default_handler", set_log_handler)) set_log_handler(&log_of_glib, nullptr);
    return find("slirp_new", create) && find("slirp_cleanup", destroy) &&
           find("slirp_input", input) && find("slirp_pollfds_fill", pollfds_fill) &&
           find("slirp_pollfds_poll", pollfds_poll) && find("slirp_handle_timer", handle_timer) &&
           find("slirp_add_hostfwd", add_hostfwd) && find("slirp_remove_hostfwd", remove_hostfwd);
}

template <class Function>
bool LibSlirp::find(const char* name, Function& function) {
    // SAFETY: libslirp.h, which comes with the library, says that the symbol is of this type.
    function = reinterpret_cast<Function>(::dlsym(handle_, name));
    return function != nullptr;
}

}  // namespace banyan
