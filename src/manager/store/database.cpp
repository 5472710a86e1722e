#include "manager/store/database.hpp"

#include <fmt/format.h>
#include <utility>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

constexpr int kPatienceMs = 20'000;  // commands keep the file for milliseconds

struct StoreTrouble {
    ErrorCode code;
    const char* remedy;
};

// The primary codes of https://www.sqlite.org/rescode.html; extended ones have them in the low
// byte.
StoreTrouble trouble_of(int code) {
    switch (code & 0xFF) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return {ErrorCode::busy, "another command keeps it; try again, or end that one"};
        case SQLITE_FULL: return {ErrorCode::no_space, "free space on its disk"};
        case SQLITE_CANTOPEN:
        case SQLITE_PERM:
        case SQLITE_READONLY:
        case SQLITE_AUTH: return {ErrorCode::permission, "check who owns it and its directory"};
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return {ErrorCode::invalid_data,
                    "put back a copy, or move it away and create the VMs again; disks are not in "
                    "it"};
        case SQLITE_NOMEM: return {ErrorCode::out_of_memory, "free some memory"};
        default: return {ErrorCode::io, "see the host's log for its disk"};
    }
}

}  // namespace

Result<std::unique_ptr<Database>> Database::open(const std::string& path) {
    const SqliteLibrary* const sqlite = SqliteLibrary::get();
    if (sqlite == nullptr) {
        return fail(ErrorCode::unsupported,
                    "the store of VMs: there is no SQLite here; install the package libsqlite3-0");
    }
    auto database = std::unique_ptr<Database>(new Database(*sqlite, path));
    constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                           SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
    const int code = sqlite->open(path.c_str(), &database->handle_, kFlags, nullptr);
    if (code != SQLITE_OK) return database->failed(code);
    sqlite->busy_timeout(database->handle_, kPatienceMs);
    // https://www.sqlite.org/security.html, for a file that others may have written.
    TRY(
        database->run("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
                      "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL"));
    return database;
}

Database::~Database() {
    sqlite_.close(handle_);
}

tl::unexpected<Error> Database::failed(int code) const {
    const StoreTrouble trouble = trouble_of(code);
    const char* const why =
        handle_ != nullptr ? sqlite_.errmsg(handle_) : "there is no memory for it";
    return fail(trouble.code,
                fmt::format("the store {}: {}; {}", quote_name(path_), why, trouble.remedy));
}

Result<void> Database::run(const char* sql) const {
    const int code = sqlite_.exec(handle_, sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return failed(code);
    return {};
}

Result<DatabaseQuery> Database::query(std::string_view sql) const {
    sqlite3_stmt* statement = nullptr;
    const int code =
        sqlite_.prepare(handle_, sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
    if (code != SQLITE_OK) return failed(code);
    return DatabaseQuery(*this, statement);
}

DatabaseQuery::~DatabaseQuery() {
    database_.sqlite_.finalize(statement_);
}

DatabaseQuery& DatabaseQuery::bind(int64_t value) {
    database_.sqlite_.bind_int64(statement_, ++bound_, value);
    return *this;
}

DatabaseQuery& DatabaseQuery::bind(std::string_view value) {
    // SAFETY: SQLITE_TRANSIENT is this cast: SQLite copies the text.
    const auto copied = reinterpret_cast<sqlite3_destructor_type>(intptr_t{-1});
    const char* const text = value.empty() ? "" : value.data();
    database_.sqlite_.bind_text(statement_, ++bound_, text, static_cast<int>(value.size()), copied);
    return *this;
}

Result<bool> DatabaseQuery::next() {
    const int code = database_.sqlite_.step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return database_.failed(code);
}

bool DatabaseQuery::is_null(int column) const {
    return database_.sqlite_.column_type(statement_, column) == SQLITE_NULL;
}

int64_t DatabaseQuery::number(int column) const {
    return database_.sqlite_.column_int64(statement_, column);
}

std::string DatabaseQuery::text(int column) const {
    // SAFETY: the text is bytes, which may be seen as char.
    const auto* const text =
        reinterpret_cast<const char*>(database_.sqlite_.column_text(statement_, column));
    if (text == nullptr) return {};
    return {text, static_cast<size_t>(database_.sqlite_.column_bytes(statement_, column))};
}

Result<Transaction> Transaction::begin(const Database& database) {
    TRY(database.run("BEGIN IMMEDIATE"));
    return Transaction(database);
}

Transaction::~Transaction() {
    if (database_ != nullptr) (void)database_->run("ROLLBACK");
}

Result<void> Transaction::commit() {
    TRY(database_->run("COMMIT"));
    database_ = nullptr;
    return {};
}

}  // namespace banyan
