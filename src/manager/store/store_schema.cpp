#include "manager/store/store_schema.hpp"

#include <array>
#include <fmt/format.h>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

// "BaVM", so that file(1) and we know the file for what it is.
constexpr int64_t kApplication = 0x4261564D;

// Each brings a store from the version of its place to the next one; never changed once released.
constexpr std::array<const char*, 1> kMigrations{
    // A VM runs while `pid` is set and that process lives; `ended` and what follows is of the last
    // time that it ran.
    R"(CREATE TABLE vms (
           id INTEGER PRIMARY KEY AUTOINCREMENT,
           name TEXT NOT NULL UNIQUE,
           directory TEXT NOT NULL,
           options TEXT NOT NULL,
           restart TEXT NOT NULL,
           autostart INTEGER NOT NULL,
           wanted INTEGER NOT NULL DEFAULT 0,
           created INTEGER NOT NULL,
           started INTEGER NOT NULL DEFAULT 0,
           starts INTEGER NOT NULL DEFAULT 0,
           pid INTEGER,
           process_start INTEGER,
           boot TEXT,
           ended INTEGER,
           status INTEGER,
           reason TEXT,
           message TEXT) STRICT)",
};

Result<int64_t> pragma(const Database& database, const char* name) {
    TRY_ASSIGN(query, database.query(fmt::format("PRAGMA {}", name)));
    TRY_ASSIGN(there, query.next());
    return there ? query.number(0) : 0;
}

Result<void> set_pragma(const Database& database, const char* name, int64_t value) {
    return database.run(fmt::format("PRAGMA {} = {}", name, value).c_str());
}

Result<void> migrate(const Database& database) {
    TRY_ASSIGN(transaction, Transaction::begin(database));
    // Another command may have been quicker.
    TRY_ASSIGN(version, pragma(database, "user_version"));
    for (auto at = static_cast<size_t>(version); at < kMigrations.size(); ++at)
        TRY(database.run(kMigrations[at]));
    TRY(set_pragma(database, "application_id", kApplication));
    TRY(set_pragma(database, "user_version", kMigrations.size()));
    return transaction.commit();
}

}  // namespace

Result<void> bring_up_to_date(const Database& database) {
    TRY_ASSIGN(application, pragma(database, "application_id"));
    TRY_ASSIGN(version, pragma(database, "user_version"));
    if ((application != 0 && application != kApplication) || version < 0) {
        return fail(ErrorCode::invalid_data,
                    fmt::format("the store {}: it is another program's file; move it away",
                                quote_name(database.path())));
    }
    constexpr auto kVersion = static_cast<int64_t>(kMigrations.size());
    if (version > kVersion) {
        return fail(ErrorCode::unsupported,
                    fmt::format("the store {}: a newer version of Banyan made it (its version is "
                                "{}, this one knows {}); use that one",
                                quote_name(database.path()), version, kVersion));
    }
    if (version == kVersion) return {};
    return migrate(database);
}

}  // namespace banyan
