#include "manager/store/vm_store.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fmt/format.h>
#include <thread>
#include <utility>

#include "host/linux/data_directory.hpp"
#include "host/linux/run_directory.hpp"
#include "host/posix/host_error.hpp"
#include "manager/store/store_schema.hpp"

namespace banyan {

namespace {

constexpr const char* kFile = "store.db";
constexpr size_t kLongestVmName = 64;
constexpr std::string_view kColumns =
    "id, name, directory, options, restart, autostart, wanted, created, started, pid, "
    "process_start, boot, ended, status, reason, message, starts";
constexpr std::array<std::pair<RestartPolicy, std::string_view>, 3> kPolicies{
    {{RestartPolicy::no, "no"},
     {RestartPolicy::on_failure, "on-failure"},
     {RestartPolicy::always, "always"}}};

tl::unexpected<Error> no_such_vm(std::string_view command, std::string_view name) {
    return fail(ErrorCode::not_found,
                fmt::format("{} {}: there is no VM of this name; banyan list -a shows those that "
                            "are kept",
                            command, quote_name(name)));
}

tl::unexpected<Error> it_runs(std::string_view command, const StoredVm& vm) {
    return fail(ErrorCode::busy,
                fmt::format("{} {}: it runs already, as process {}; end it by banyan stop first",
                            command, quote_name(vm.definition.name), vm.process->pid));
}

Result<void> check_vm_name(std::string_view command, std::string_view name) {
    if (is_vm_name(name)) return {};
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} {}: that is no name; give letters, digits, -, _ and ., up to {} of "
                            "them, not digits alone",
                            command, quote_name(name), kLongestVmName));
}

// In the order of kColumns.
StoredVm vm_of(const DatabaseQuery& row) {
    StoredVm vm;
    vm.id = row.number(0);
    vm.definition = {row.text(1), row.text(2), row.text(3),
                     restart_policy_of(row.text(4)).value_or(RestartPolicy::no),
                     row.number(5) != 0};
    vm.wanted = row.number(6) != 0;
    vm.created = row.number(7);
    vm.started = row.number(8);
    if (!row.is_null(9)) {
        vm.process = VmProcess{static_cast<int>(row.number(9)),
                               static_cast<uint64_t>(row.number(10)), row.text(11)};
    }
    if (!row.is_null(12)) {
        vm.last = StoredEnding{static_cast<int>(row.number(13)), row.text(14), row.text(15),
                               row.number(12)};
    }
    vm.starts = row.number(16);
    return vm;
}

Result<std::vector<StoredVm>> rows_of(DatabaseQuery& query) {
    std::vector<StoredVm> found;
    for (;;) {
        TRY_ASSIGN(more, query.next());
        if (!more) return found;
        found.push_back(vm_of(query));
    }
}

Result<std::vector<StoredVm>> select(const Database& database, std::string_view rest) {
    TRY_ASSIGN(query, database.query(fmt::format("SELECT {} FROM vms {}", kColumns, rest)));
    return rows_of(query);
}

// Nothing: there is none.
Result<std::optional<StoredVm>> select_one(const Database& database, const std::string& name) {
    TRY_ASSIGN(query, database.query(fmt::format("SELECT {} FROM vms WHERE name = ?", kColumns)));
    TRY_ASSIGN(found, rows_of(query.bind(name)));
    if (found.empty()) return std::optional<StoredVm>();
    return std::optional(std::move(found.front()));
}

Result<void> refuse_taken_name(const Database& database, std::string_view command,
                               const std::string& name) {
    TRY_ASSIGN(other, select_one(database, name));
    if (!other) return {};
    return fail(ErrorCode::busy,
                fmt::format("{} {}: there is a VM of this name; give another one, or remove that "
                            "one by banyan remove",
                            command, quote_name(name)));
}

// Changes a row.
Result<void> finish(DatabaseQuery& query) {
    TRY(query.next());
    return {};
}

std::optional<int64_t> id_of(const std::filesystem::path& directory) {
    const std::string name = directory.filename();
    int64_t id = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
    const bool is_number = error == std::errc{} && end == name.data() + name.size();
    return is_number ? std::optional(id) : std::nullopt;
}

}  // namespace

std::string_view name_of(RestartPolicy policy) {
    return std::ranges::find(kPolicies, policy, &std::pair<RestartPolicy, std::string_view>::first)
        ->second;
}

std::optional<RestartPolicy> restart_policy_of(std::string_view name) {
    for (const auto& [policy, known] : kPolicies) {
        if (known == name) return policy;
    }
    return {};
}

bool is_vm_name(std::string_view name) {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    const auto is_allowed = [&](char c) {
        return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
               c == '_' || c == '.';
    };
    return !name.empty() && name.size() <= kLongestVmName && name.front() != '-' &&
           name.front() != '.' && std::ranges::all_of(name, is_allowed) &&
           !std::ranges::all_of(name, is_digit);
}

Result<std::unique_ptr<VmStore>> VmStore::open() {
    return open_at(data_directory() + "/vms");
}

bool VmStore::is_there() {
    std::error_code error;
    return std::filesystem::exists(fmt::format("{}/vms/{}", data_directory(), kFile), error);
}

Result<std::unique_ptr<VmStore>> VmStore::open_at(const std::string& path) {
    make_directories(path);
    TRY(RunDirectory::open_at(path));  // refuses one that others can reach
    TRY_ASSIGN(database, Database::open(fmt::format("{}/{}", path, kFile)));
    TRY(bring_up_to_date(*database));
    auto store = std::unique_ptr<VmStore>(new VmStore(std::move(database), path));
    TRY(store->sweep());
    return store;
}

// Directories of VMs that were removed by a command that was killed before it could remove them. A
// VM is in the table before its directory is made: so the directories are read first.
Result<void> VmStore::sweep() const {
    std::vector<std::filesystem::path> directories;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(path_, error)) {
        if (id_of(entry.path())) directories.push_back(entry.path());
    }
    if (directories.empty()) return {};
    TRY_ASSIGN(known, select(*database_, ""));
    for (const auto& directory : directories) {
        const bool is_known = std::ranges::any_of(
            known, [&](const StoredVm& vm) { return vm.id == id_of(directory); });
        if (!is_known) std::filesystem::remove_all(directory, error);
    }
    return {};
}

std::string VmStore::directory_of(const StoredVm& vm) const {
    return fmt::format("{}/{}", path_, vm.id);
}

// Within a transaction.
Result<void> VmStore::settle(StoredVm& vm) const {
    if (!vm.process || is_alive(*vm.process)) return {};
    const StoredEnding ending = ending_of_dead(directory_of(vm), *vm.process);
    TRY_ASSIGN(query, database_->query("UPDATE vms SET pid = NULL, process_start = NULL, "
                                       "boot = NULL, ended = ?, status = ?, reason = ?, "
                                       "message = ? WHERE id = ?"));
    query.bind(ending.when).bind(int64_t{ending.status}).bind(ending.reason).bind(ending.message);
    TRY(finish(query.bind(vm.id)));
    vm.process.reset();
    vm.last = ending;
    return {};
}

Result<void> VmStore::settle() const {
    TRY_ASSIGN(transaction, Transaction::begin(*database_));
    TRY_ASSIGN(running, select(*database_, "WHERE pid IS NOT NULL"));
    for (StoredVm& vm : running)
        TRY(settle(vm));
    return transaction.commit();
}

Result<std::vector<StoredVm>> VmStore::all() const {
    TRY_ASSIGN(found, select(*database_, "ORDER BY name"));
    const bool some_died = std::ranges::any_of(
        found, [](const StoredVm& vm) { return vm.process && !is_alive(*vm.process); });
    if (!some_died) return found;
    TRY(settle());
    return select(*database_, "ORDER BY name");
}

Result<StoredVm> VmStore::find(std::string_view command, const std::string& name) const {
    TRY_ASSIGN(found, select_one(*database_, name));
    if (!found) return no_such_vm(command, name);
    if (found->process && !is_alive(*found->process)) {
        TRY(settle());
        TRY_ASSIGN(again, select_one(*database_, name));
        if (!again) return no_such_vm(command, name);
        return std::move(*again);
    }
    return std::move(*found);
}

// Within a transaction.
Result<StoredVm> VmStore::find_settled(std::string_view command, const std::string& name) const {
    TRY_ASSIGN(found, select_one(*database_, name));
    if (!found) return no_such_vm(command, name);
    TRY(settle(*found));
    return std::move(*found);
}

Result<void> VmStore::create(const StoredDefinition& definition) const {
    TRY(check_vm_name("create", definition.name));
    TRY_ASSIGN(transaction, Transaction::begin(*database_));
    TRY(refuse_taken_name(*database_, "create", definition.name));
    TRY_ASSIGN(query, database_->query("INSERT INTO vms (name, directory, options, restart, "
                                       "autostart, created) VALUES (?, ?, ?, ?, ?, ?)"));
    query.bind(definition.name).bind(definition.directory).bind(definition.options);
    query.bind(name_of(definition.restart)).bind(int64_t{definition.autostart});
    TRY(finish(query.bind(seconds_since_1970())));
    return transaction.commit();
}

Result<void> VmStore::change(std::string_view command, const std::string& name,
                             const Change& change, While when) const {
    TRY_ASSIGN(transaction, Transaction::begin(*database_));
    TRY_ASSIGN(vm, find_settled(command, name));
    StoredDefinition now = vm.definition;
    TRY(change(now));
    const bool needs_stop = now.name != vm.definition.name ||
                            now.directory != vm.definition.directory ||
                            now.options != vm.definition.options;
    if (needs_stop && vm.process && when == While::stopped) return it_runs(command, vm);
    if (now.name != vm.definition.name) {
        TRY(check_vm_name(command, now.name));
        TRY(refuse_taken_name(*database_, command, now.name));
    }
    TRY_ASSIGN(query, database_->query("UPDATE vms SET name = ?, directory = ?, options = ?, "
                                       "restart = ?, autostart = ? WHERE id = ?"));
    query.bind(now.name).bind(now.directory).bind(now.options);
    query.bind(name_of(now.restart)).bind(int64_t{now.autostart});
    TRY(finish(query.bind(vm.id)));
    return transaction.commit();
}

Result<void> VmStore::remove(std::string_view command, const std::string& name) const {
    wait_for_one_that_ends(name);
    TRY_ASSIGN(transaction, Transaction::begin(*database_));
    TRY_ASSIGN(vm, find_settled(command, name));
    if (vm.process) return it_runs(command, vm);
    TRY_ASSIGN(query, database_->query("DELETE FROM vms WHERE id = ?"));
    TRY(finish(query.bind(vm.id)));
    TRY(transaction.commit());
    std::error_code error;
    std::filesystem::remove_all(directory_of(vm), error);
    return {};
}

Result<StoredVm> VmStore::claim(std::string_view command, const std::string& name,
                                const VmProcess& process) const {
    wait_for_one_that_ends(name);
    TRY_ASSIGN(transaction, Transaction::begin(*database_));
    TRY_ASSIGN(vm, find_settled(command, name));
    if (vm.process) return it_runs(command, vm);
    vm.process = process;
    vm.started = seconds_since_1970();
    vm.wanted = true;
    ++vm.starts;
    TRY_ASSIGN(query,
               database_->query("UPDATE vms SET pid = ?, process_start = ?, boot = ?, "
                                "started = ?, wanted = 1, starts = starts + 1 WHERE id = ?"));
    query.bind(int64_t{process.pid}).bind(static_cast<int64_t>(process.start)).bind(process.boot);
    TRY(finish(query.bind(vm.started).bind(vm.id)));
    TRY(transaction.commit());
    return vm;
}

Result<void> VmStore::set_wanted(int64_t id, bool wanted) const {
    TRY_ASSIGN(query, database_->query("UPDATE vms SET wanted = ? WHERE id = ?"));
    return finish(query.bind(int64_t{wanted}).bind(id));
}

// A VM that has said how it ended still has to give back its memory: that is no reason to refuse.
void VmStore::wait_for_one_that_ends(const std::string& name) const {
    constexpr int kAttempts = 1000;
    constexpr std::chrono::milliseconds kPause{10};
    const auto vm = find("", name);
    if (!vm || !vm->process || !read_ending(directory_of(*vm), *vm->process)) return;
    for (int attempt = 0; attempt < kAttempts && is_alive(*vm->process); ++attempt)
        std::this_thread::sleep_for(kPause);
}

}  // namespace banyan
