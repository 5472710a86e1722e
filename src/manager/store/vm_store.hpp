// VmStore: the VMs that a user keeps, in an SQLite file. Any number of commands may use it at once;
// each call takes effect as a whole or not at all, also when its process is killed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "manager/store/database.hpp"
#include "manager/store/vm_directory.hpp"
#include "manager/store/vm_process.hpp"

namespace banyan {

// When a VM that has ended is started again by banyan supervise.
enum class RestartPolicy : uint8_t { no, on_failure, always };
std::string_view name_of(RestartPolicy policy);
std::optional<RestartPolicy> restart_policy_of(std::string_view name);

// What its user said of a VM.
struct StoredDefinition {
    std::string name;
    std::string directory;  // absolute: names of its files are relative to it
    std::string options;    // JSON, which whoever starts it understands
    RestartPolicy restart = RestartPolicy::no;
    bool autostart = false;

    bool operator==(const StoredDefinition&) const = default;
};

struct StoredVm {
    int64_t id = 0;  // never given again
    StoredDefinition definition;
    bool wanted = false;               // it was started, and its user has not stopped it since
    std::optional<VmProcess> process;  // it runs, or is about to
    int64_t created = 0;               // seconds since 1970
    int64_t started = 0;               // the last time; 0: never
    int64_t starts = 0;                // how often
    std::optional<StoredEnding> last;  // how it ended the last time
};

// "web-1": letters, digits, -, _ and ., at most 64, no number: commands take process numbers, too.
bool is_vm_name(std::string_view name);

class VmStore {
public:
    // "vms" in the user's data_directory(); made if need be. Fails as Database does, and with
    // ErrorCode::unsupported when a newer version of Banyan has made it.
    static Result<std::unique_ptr<VmStore>> open();
    static Result<std::unique_ptr<VmStore>> open_at(const std::string& path);
    // False: nothing was kept yet, and who only looks need not make a store.
    static bool is_there();

    // In the order of their names. Those whose process has ended are known as ended.
    Result<std::vector<StoredVm>> all() const;
    // ErrorCode::not_found: there is none of that name.
    Result<StoredVm> find(std::string_view command, const std::string& name) const;

    // ErrorCode::busy: there is one of that name; invalid_argument: that is no name.
    Result<void> create(const StoredDefinition& definition) const;
    using Change = std::function<Result<void>(StoredDefinition&)>;
    // `running`: the VM that may be running has been told of it.
    enum class While : uint8_t { stopped, running };
    // ErrorCode::busy: it runs, and `change` is of its name or options.
    Result<void> change(std::string_view command, const std::string& name, const Change& change,
                        While when = While::stopped) const;
    // With its logs. ErrorCode::busy: it runs.
    Result<void> remove(std::string_view command, const std::string& name) const;
    // From now on that process runs it. ErrorCode::busy: another one does.
    Result<StoredVm> claim(std::string_view command, const std::string& name,
                           const VmProcess& process) const;
    Result<void> set_wanted(int64_t id, bool wanted) const;

    // Where a VM's process leaves things.
    std::string directory_of(const StoredVm& vm) const;
    const std::string& path() const { return path_; }

private:
    VmStore(std::unique_ptr<Database> database, std::string path)
        : database_(std::move(database)), path_(std::move(path)) {}

    Result<void> settle() const;
    Result<void> settle(StoredVm& vm) const;
    Result<void> sweep() const;
    Result<StoredVm> find_settled(std::string_view command, const std::string& name) const;
    void wait_for_one_that_ends(const std::string& name) const;

    std::unique_ptr<Database> database_;
    std::string path_;
};

}  // namespace banyan
