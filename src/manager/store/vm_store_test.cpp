#include "manager/store/vm_store.hpp"

#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace banyan {
namespace {

namespace fs = std::filesystem;

StoredDefinition definition(const std::string& name) {
    return {name, "/tmp", R"({"kernel":"k"})", RestartPolicy::on_failure, true};
}

// A process that lives until it is told.
class Sleeper {
public:
    Sleeper() : pid_(::fork()) {
        if (pid_ == 0) {
            ::pause();
            ::_exit(0);
        }
    }
    ~Sleeper() { end(); }
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;

    VmProcess process() const { return *find_process(pid_); }
    void end() {
        if (pid_ <= 0) return;
        kill_process(process());
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }

private:
    pid_t pid_;
};

class VmStoreTest : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_NE(::mkdtemp(place.data()), nullptr);
        path = place + "/vms";
    }
    void TearDown() override { fs::remove_all(place); }

    std::unique_ptr<VmStore> open() const {
        auto store = VmStore::open_at(path);
        EXPECT_TRUE(store) << (store ? "" : store.error().text());
        return std::move(*store);
    }
    Error error_of_open() const {
        const auto store = VmStore::open_at(path);
        EXPECT_FALSE(store);
        return store.error();
    }
    std::string file() const { return path + "/store.db"; }
    void run_sql(const char* sql) const {
        const auto database = Database::open(file());
        ASSERT_TRUE(database) << database.error().text();
        const auto done = (*database)->run(sql);
        ASSERT_TRUE(done) << done.error().text();
    }

    std::string place = testing::TempDir() + "banyan-store-XXXXXX";
    std::string path;
};

TEST_F(VmStoreTest, KeepsWhatItIsGiven) {
    ASSERT_TRUE(open()->create(definition("debian")));
    const auto vm = open()->find("show", "debian");
    ASSERT_TRUE(vm) << vm.error().text();
    EXPECT_EQ(vm->definition, definition("debian"));
    EXPECT_FALSE(vm->process);
    EXPECT_FALSE(vm->last);
    EXPECT_FALSE(vm->wanted);
    EXPECT_GT(vm->created, 0);
}

TEST_F(VmStoreTest, NamesAreUniqueAndNames) {
    const auto store = open();
    ASSERT_TRUE(store->create(definition("a")));
    EXPECT_EQ(store->create(definition("a")).error().code(), ErrorCode::busy);
    for (const char* const name : {"", "1", "-a", ".a", "a b", "a/b", "a\n"})
        EXPECT_EQ(store->create(definition(name)).error().code(), ErrorCode::invalid_argument);
    EXPECT_FALSE(store->create(definition(std::string(65, 'a'))));
    EXPECT_TRUE(store->create(definition(std::string(64, 'a'))));
    EXPECT_EQ(store->find("show", "b").error().code(), ErrorCode::not_found);
}

TEST_F(VmStoreTest, OneProcessClaimsAVm) {
    const auto store = open();
    ASSERT_TRUE(store->create(definition("a")));
    const Sleeper first;
    const Sleeper second;
    const auto claimed = store->claim("start", "a", first.process());
    ASSERT_TRUE(claimed) << claimed.error().text();
    EXPECT_EQ(open()->claim("start", "a", second.process()).error().code(), ErrorCode::busy);
    EXPECT_EQ(open()->remove("remove", "a").error().code(), ErrorCode::busy);
    EXPECT_EQ(open()->find("show", "a")->process, first.process());
    EXPECT_TRUE(open()->find("show", "a")->wanted);
    EXPECT_EQ(open()->find("show", "a")->starts, 1);
}

TEST_F(VmStoreTest, ChangesOfOneThatRunsAreOfItsLifeAlone) {
    const auto store = open();
    ASSERT_TRUE(store->create(definition("a")));
    ASSERT_TRUE(store->create(definition("b")));
    const Sleeper sleeper;
    ASSERT_TRUE(store->claim("start", "a", sleeper.process()));
    const auto rename = [](StoredDefinition& d) -> Result<void> {
        d.name = "c";
        return {};
    };
    const auto restart = [](StoredDefinition& d) -> Result<void> {
        d.restart = RestartPolicy::always;
        return {};
    };
    EXPECT_EQ(store->change("rename", "a", rename).error().code(), ErrorCode::busy);
    EXPECT_TRUE(store->change("set", "a", restart));
    EXPECT_TRUE(store->change("rename", "b", rename));
    EXPECT_EQ(store->find("show", "c")->definition.name, "c");
    EXPECT_EQ(store
                  ->change("rename", "c",
                           [](StoredDefinition& d) -> Result<void> {
                               d.name = "a";
                               return {};
                           })
                  .error()
                  .code(),
              ErrorCode::busy);
}

TEST_F(VmStoreTest, AKilledProcessIsSeenAsSuch) {
    const auto store = open();
    ASSERT_TRUE(store->create(definition("a")));
    Sleeper sleeper;
    ASSERT_TRUE(store->claim("start", "a", sleeper.process()));
    sleeper.end();
    const auto all = store->all();
    ASSERT_TRUE(all);
    EXPECT_FALSE((*all)[0].process);
    EXPECT_EQ((*all)[0].last->reason, kProcessKilled);
    EXPECT_EQ((*all)[0].last->status, kKilledStatus);
}

TEST_F(VmStoreTest, AProcessOfAnEarlierBootIsGone) {
    const auto store = open();
    ASSERT_TRUE(store->create(definition("a")));
    const Sleeper sleeper;
    VmProcess process = sleeper.process();
    process.boot = "another";
    ASSERT_TRUE(store->claim("start", "a", process));
    EXPECT_EQ(store->find("show", "a")->last->reason, kHostRestarted);
}

TEST_F(VmStoreTest, WhatAProcessLeavesIsKept) {
    const auto store = open();
    ASSERT_TRUE(store->create(definition("a")));
    Sleeper sleeper;
    const auto vm = store->claim("start", "a", sleeper.process());
    ASSERT_TRUE(vm);
    const StoredEnding ending{3, "guest-panic", "the guest crashed\n\xff", 1'700'000'000};
    ASSERT_TRUE(write_ending(store->directory_of(*vm), sleeper.process(), ending));
    sleeper.end();
    const auto ended = store->find("show", "a");
    EXPECT_EQ(ended->last->status, 3);
    EXPECT_EQ(ended->last->reason, "guest-panic");
    EXPECT_EQ(ended->last->when, 1'700'000'000);
}

TEST_F(VmStoreTest, AnEndingIsOfItsOwnProcess) {
    const auto store = open();
    ASSERT_TRUE(store->create(definition("a")));
    Sleeper sleeper;
    const auto vm = store->claim("start", "a", sleeper.process());
    const VmProcess process = sleeper.process();
    VmProcess other = process;
    ++other.start;
    ASSERT_TRUE(write_ending(store->directory_of(*vm), other, {0, "guest-shutdown", "", 1}));
    EXPECT_FALSE(read_ending(store->directory_of(*vm), process));
    std::ofstream(store->directory_of(*vm) + "/ending.json") << R"({"pid": "x")";
    EXPECT_FALSE(read_ending(store->directory_of(*vm), process));
}

TEST_F(VmStoreTest, RemovingTakesTheDirectoryAlong) {
    const auto store = open();
    ASSERT_TRUE(store->create(definition("a")));
    const auto vm = store->find("show", "a");
    const std::string directory = store->directory_of(*vm);
    fs::create_directory(directory);
    ASSERT_TRUE(store->remove("remove", "a"));
    EXPECT_FALSE(fs::exists(directory));
    ASSERT_TRUE(store->create(definition("a")));
    EXPECT_NE(store->find("show", "a")->id, vm->id);
}

TEST_F(VmStoreTest, DirectoriesOfNobodyAreSwept) {
    ASSERT_TRUE(open()->create(definition("a")));
    const std::string own = open()->directory_of(*open()->find("show", "a"));
    fs::create_directory(own);
    fs::create_directory(path + "/77");
    fs::create_directory(path + "/other");
    (void)open();
    EXPECT_TRUE(fs::exists(own));
    EXPECT_FALSE(fs::exists(path + "/77"));
    EXPECT_TRUE(fs::exists(path + "/other"));
}

TEST_F(VmStoreTest, ANewerVersionIsNotTouched) {
    ASSERT_TRUE(open()->create(definition("a")));
    run_sql("PRAGMA user_version = 99");
    const Error error = error_of_open();
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_NE(error.text().find("a newer version of Banyan made it"), std::string::npos);
    run_sql("PRAGMA user_version = 1");
    EXPECT_TRUE(open()->find("show", "a"));
}

TEST_F(VmStoreTest, OtherFilesAreRefused) {
    fs::create_directory(path);
    fs::permissions(path, fs::perms::owner_all);
    std::ofstream(file()) << std::string(8192, 'x');
    EXPECT_EQ(error_of_open().code(), ErrorCode::invalid_data);
    fs::remove(file());
    run_sql("PRAGMA application_id = 7");
    EXPECT_EQ(error_of_open().code(), ErrorCode::invalid_data);
}

TEST_F(VmStoreTest, ADamagedStoreSaysSo) {
    for (int i = 0; i < 40; ++i)
        ASSERT_TRUE(open()->create(definition(fmt::format("vm{}", i))));
    std::fstream bytes(file(), std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(4096);
    bytes << std::string(4096, '\x5a');
    bytes.close();
    const auto store = VmStore::open_at(path);
    const auto all = store ? (*store)->all() : tl::unexpected(store.error());
    ASSERT_FALSE(all);
    EXPECT_EQ(all.error().code(), ErrorCode::invalid_data);
    EXPECT_NE(all.error().text().find("put back a copy"), std::string::npos) << all.error().text();
}

TEST_F(VmStoreTest, AFullDiskSaysSo) {
    ASSERT_TRUE(open());
    const auto database = Database::open(file());
    ASSERT_TRUE(database);
    ASSERT_TRUE((*database)->run("PRAGMA max_page_count = 4"));
    const auto done = (*database)->run(
        "INSERT INTO vms (name, directory, options, restart, autostart, created) "
        "VALUES ('a', '/', hex(zeroblob(1 << 20)), 'no', 0, 0)");
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code(), ErrorCode::no_space);
    EXPECT_NE(done.error().text().find("free space on its disk"), std::string::npos);
}

TEST_F(VmStoreTest, ADirectoryThatOthersReachIsRefused) {
    fs::create_directory(path);
    ::chmod(path.c_str(), 0755);
    EXPECT_EQ(error_of_open().code(), ErrorCode::permission);
}

TEST_F(VmStoreTest, AKilledChangeHasNotHappened) {
    ASSERT_TRUE(open()->create(definition("a")));
    const pid_t child = ::fork();
    if (child == 0) {
        const auto store = VmStore::open_at(path);
        (void)(*store)->change("set", "a", [](StoredDefinition&) -> Result<void> {
            ::raise(SIGKILL);
            return {};
        });
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(open()->find("show", "a")->definition, definition("a"));
    EXPECT_TRUE(open()->remove("remove", "a"));
}

TEST_F(VmStoreTest, ManyChangeItAtOnce) {
    ASSERT_TRUE(open()->create(definition("count")));
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int step = 0; step < 10; ++step) {
                EXPECT_TRUE(open()->change("set", "count", [](StoredDefinition& d) -> Result<void> {
                    d.options += "x";
                    return {};
                }));
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(open()->find("show", "count")->definition.options,
              definition("count").options + std::string(40, 'x'));
}

TEST(RestartPolicies, HaveNames) {
    for (const auto policy : {RestartPolicy::no, RestartPolicy::on_failure, RestartPolicy::always})
        EXPECT_EQ(restart_policy_of(name_of(policy)), policy);
    EXPECT_FALSE(restart_policy_of("sometimes"));
}

}  // namespace
}  // namespace banyan
