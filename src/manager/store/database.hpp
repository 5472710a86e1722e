// Database: an SQLite file, with errors that say what to do. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "manager/store/sqlite_library.hpp"
#include "support/result.hpp"

namespace banyan {

class Database;

// A statement with its values, and the row that it is at.
class DatabaseQuery {
public:
    ~DatabaseQuery();
    DatabaseQuery(DatabaseQuery&& other) noexcept
        : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}
    DatabaseQuery(const DatabaseQuery&) = delete;
    DatabaseQuery& operator=(const DatabaseQuery&) = delete;

    // In the order of the question marks.
    DatabaseQuery& bind(int64_t value);
    DatabaseQuery& bind(std::string_view value);
    // False: there are no more rows. Fails as Database::run() does.
    Result<bool> next();

    // Columns of the row, from 0; what is null is 0 or empty.
    bool is_null(int column) const;
    int64_t number(int column) const;
    std::string text(int column) const;

private:
    friend class Database;
    DatabaseQuery(const Database& database, sqlite3_stmt* statement)
        : database_(database), statement_(statement) {}

    const Database& database_;
    sqlite3_stmt* statement_;
    int bound_ = 0;
};

class Database {
public:
    // Made, with nothing in it, if it is not there. Fails with ErrorCode::unsupported where there
    // is no SQLite, and as run() does.
    static Result<std::unique_ptr<Database>> open(const std::string& path);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    // Statements without values and rows. Fails with ErrorCode::invalid_data when the file is
    // damaged, no_space, permission, busy when somebody keeps it for long, or io.
    Result<void> run(const char* sql) const;
    Result<DatabaseQuery> query(std::string_view sql) const;
    int64_t last_row() const { return sqlite_.last_insert_rowid(handle_); }
    const std::string& path() const { return path_; }

private:
    friend class DatabaseQuery;
    Database(const SqliteLibrary& sqlite, std::string path)
        : sqlite_(sqlite), path_(std::move(path)) {}
    tl::unexpected<Error> failed(int code) const;

    const SqliteLibrary& sqlite_;
    const std::string path_;
    sqlite3* handle_ = nullptr;
};

// All changes until commit() or none: also when the process is killed. Others wait meanwhile, or
// this one for them.
class Transaction {
public:
    static Result<Transaction> begin(const Database& database);
    ~Transaction();
    Transaction(Transaction&& other) noexcept
        : database_(std::exchange(other.database_, nullptr)) {}
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    Result<void> commit();

private:
    explicit Transaction(const Database& database) : database_(&database) {}
    const Database* database_;  // null: it is over
};

}  // namespace banyan
