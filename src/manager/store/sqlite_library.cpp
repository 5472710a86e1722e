#include "manager/store/sqlite_library.hpp"

#include <dlfcn.h>

namespace banyan {

namespace {

template <class Function>
bool find_in_sqlite(void* library, const char* name, Function& function) {
    // SAFETY: sqlite3.h, which comes with the library, says that the symbol is of this type.
    function = reinterpret_cast<Function>(::dlsym(library, name));
    return function != nullptr;
}

}  // namespace

const SqliteLibrary* SqliteLibrary::get() {
    static const SqliteLibrary library;
    return library.complete_ ? &library : nullptr;
}

// Never unloaded: databases may live as long as the process.
SqliteLibrary::SqliteLibrary() {
    void* const library = ::dlopen("libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);
    complete_ = library != nullptr && find_in_sqlite(library, "sqlite3_open_v2", open) &&
                find_in_sqlite(library, "sqlite3_close_v2", close) &&
                find_in_sqlite(library, "sqlite3_busy_timeout", busy_timeout) &&
                find_in_sqlite(library, "sqlite3_exec", exec) &&
                find_in_sqlite(library, "sqlite3_errmsg", errmsg) &&
                find_in_sqlite(library, "sqlite3_prepare_v2", prepare) &&
                find_in_sqlite(library, "sqlite3_finalize", finalize) &&
                find_in_sqlite(library, "sqlite3_step", step) &&
                find_in_sqlite(library, "sqlite3_bind_int64", bind_int64) &&
                find_in_sqlite(library, "sqlite3_bind_text", bind_text) &&
                find_in_sqlite(library, "sqlite3_column_type", column_type) &&
                find_in_sqlite(library, "sqlite3_column_int64", column_int64) &&
                find_in_sqlite(library, "sqlite3_column_text", column_text) &&
                find_in_sqlite(library, "sqlite3_column_bytes", column_bytes) &&
                find_in_sqlite(library, "sqlite3_last_insert_rowid", last_insert_rowid);
}

}  // namespace banyan
