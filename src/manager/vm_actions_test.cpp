#include "manager/vm_actions.hpp"

#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <map>
#include <thread>
#include <unistd.h>

#include "host/linux/event_loop.hpp"
#include "host/linux/stream_server.hpp"

namespace banyan {
namespace {

using Json = QmpClient::Json;

// A VM of this process that answers as it is told, on a thread of its own.
class ScriptedPeer {
public:
    ScriptedPeer(const std::string& path, std::map<std::string, std::string> answers)
        : answers_(std::move(answers)) {
        loop_ = std::move(*EventLoop::create());
        server_ =
            std::move(*StreamServer::listen(*loop_, {path, "", ""}, [this](SocketConnection& to) {
                return std::make_unique<Talk>(*this, to);
            }));
        thread_ = std::thread([this] { loop_->run(); });
    }
    ~ScriptedPeer() {
        loop_->stop();
        thread_.join();
    }

private:
    class Talk final : public StreamSession {
    public:
        Talk(ScriptedPeer& peer, SocketConnection& to) : peer_(peer), to_(to) {
            to_.send(R"({"QMP":{}})"
                     "\r\n");
        }
        void received(std::string_view bytes) override {
            line_ += bytes;
            if (!line_.ends_with('\n')) return;
            const auto command = Json::parse(line_)["execute"].get<std::string>();
            line_.clear();
            const auto found = peer_.answers_.find(command);
            to_.send(found != peer_.answers_.end() ? found->second : "{\"return\":{}}\r\n");
            if (command == "leave") to_.end();
        }

    private:
        ScriptedPeer& peer_;
        SocketConnection& to_;
        std::string line_;
    };

    const std::map<std::string, std::string> answers_;
    std::unique_ptr<EventLoop> loop_;
    std::unique_ptr<StreamServer> server_;
    std::thread thread_;
};

class VmActionsTest : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_NE(::mkdtemp(place.data()), nullptr);
        publish();
    }
    void TearDown() override { std::filesystem::remove_all(place); }

    void publish() const {
        const RunningVm vm{{"name", "debian"},
                           {"pid", static_cast<unsigned>(::getpid())},
                           {"process_start", *process_start(::getpid())},
                           {"engine", "soft"},
                           {"memory", 1U << 20},
                           {"seconds", 1.5},
                           {"vcpus", RunningVm::array()}};
        ASSERT_TRUE(directory().write(vm_file(::getpid(), kFigures), vm.dump()));
    }
    RunDirectory directory() const { return *RunDirectory::open_at(place); }
    std::string socket() const {
        return fmt::format("{}/{}", place, vm_file(::getpid(), kControl));
    }
    static std::string status(const char* state) {
        return fmt::format(R"({{"return":{{"status":"{}"}}}})"
                           "\r\n",
                           state);
    }
    RunningVm vm() const { return *find_vm(directory(), "test", "debian"); }

    std::string place = testing::TempDir() + "banyan-manager-XXXXXX";
};

TEST_F(VmActionsTest, FindsAVmByItsNameOrNumber) {
    EXPECT_TRUE(find_vm(directory(), "stop", "debian"));
    EXPECT_TRUE(find_vm(directory(), "stop", std::to_string(::getpid())));
    const auto none = find_vm(directory(), "stop", "debia");
    ASSERT_FALSE(none);
    EXPECT_NE(none.error().text().find("stop 'debia': no VM"), std::string::npos)
        << none.error().text();
}

TEST_F(VmActionsTest, WhatAPeerThatDiedHasLeftIsRemoved) {
    ASSERT_TRUE(directory().write("2147483647.qmp", ""));
    (void)running_vms(directory());
    EXPECT_EQ(directory().names(), std::vector<std::string>{vm_file(::getpid(), kFigures)});
}

TEST_F(VmActionsTest, SummariesSayHowItIs) {
    EXPECT_EQ(summary_of(directory(), vm())["state"], "starting");
    const ScriptedPeer peer(socket(), {{"query-status", status("io-error")}});
    const Json summary = summary_of(directory(), vm());
    EXPECT_EQ(summary["state"], "disk-full");
    EXPECT_EQ(summary["memory"], 1U << 20);
    EXPECT_EQ(summary["uptime_seconds"], 1.5);
}

TEST_F(VmActionsTest, FactsOfWhatIsNotThereAreEmpty) {
    const ScriptedPeer peer(
        socket(),
        {{"query-status", status("running")},
         {"query-block", "{\"return\":[{\"device\":\"disk0\",\"inserted\":{\"file\":\"a\"}}]}\r\n"},
         {"query-blockstats",
          "{\"return\":[{\"device\":\"disk0\",\"stats\":{\"rd_bytes\":7}}, 3]}\r\n"}});
    const auto facts = facts_of(directory(), vm());
    ASSERT_TRUE(facts) << facts.error().text();
    EXPECT_EQ((*facts)["disks"][0]["file"], "a");
    EXPECT_EQ((*facts)["disks"][0]["counts"]["rd_bytes"], 7);
    EXPECT_EQ((*facts)["disks"][0]["size"], nullptr);
    EXPECT_EQ((*facts)["uuid"], "");
}

TEST_F(VmActionsTest, WhatItRefusesIsSaidInItsWords) {
    const ScriptedPeer peer(
        socket(), {{"stop", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"not now\"}}\r\n"}});
    const auto paused = pause_vm(directory(), vm());
    ASSERT_FALSE(paused);
    EXPECT_EQ(paused.error().text(), "not now");
    EXPECT_TRUE(reset_vm(directory(), vm()));
}

TEST_F(VmActionsTest, PoweringOffTellsHowItEnded) {
    const std::string events =
        "{\"return\":{}}\r\n{\"event\":\"POWERDOWN\"}\r\n"
        "{\"event\":\"SHUTDOWN\",\"data\":{\"reason\":\"guest-shutdown\",\"__org.banyan_status\":"
        "0}}\r\n";
    const ScriptedPeer peer(socket(),
                            {{"query-status", status("running")}, {"system_powerdown", events}});
    const RunningVm found = vm();
    std::thread gone([this] { directory().remove(vm_file(::getpid(), kFigures)); });
    const auto ending = power_off_vm(directory(), found, std::chrono::seconds(20));
    gone.join();
    ASSERT_TRUE(ending) << ending.error().text();
    EXPECT_EQ(ending->status, 0);
    EXPECT_EQ(ending->reason, "guest-shutdown");
}

TEST_F(VmActionsTest, AGuestThatIgnoresItsPowerButtonRunsOn) {
    const ScriptedPeer peer(socket(), {{"query-status", status("running")}});
    const auto ending = power_off_vm(directory(), vm(), std::chrono::seconds(0));
    ASSERT_FALSE(ending);
    EXPECT_EQ(ending.error().code(), ErrorCode::busy);
}

TEST_F(VmActionsTest, APausedVmSeesNoPowerButton) {
    const ScriptedPeer peer(socket(), {{"query-status", status("paused")}});
    const auto ending = power_off_vm(directory(), vm(), std::chrono::seconds(20));
    ASSERT_FALSE(ending);
    EXPECT_NE(ending.error().text().find("it is paused"), std::string::npos);
}

TEST_F(VmActionsTest, ResumingSaysWhatItWaitsFor) {
    const ScriptedPeer peer(socket(), {{"query-status", status("io-error")}});
    const auto resumed = resume_vm(directory(), vm());
    ASSERT_FALSE(resumed);
    EXPECT_EQ(resumed.error().code(), ErrorCode::no_space);
}

TEST_F(VmActionsTest, AnAnswerThatIsNoneIsAnError) {
    const ScriptedPeer peer(socket(), {{"a", "what?\r\n"}, {"b", "{}\r\n"}, {"c", "[]\r\n"}});
    for (const char* const command : {"a", "b", "c"}) {
        auto client = QmpClient::connect(socket());
        ASSERT_TRUE(client);
        const auto answer = client->ask(command);
        ASSERT_FALSE(answer);
        EXPECT_EQ(answer.error().code(), ErrorCode::invalid_data) << command;
    }
}

TEST_F(VmActionsTest, EventsThatComeBeforeAnAnswerAreKept) {
    const ScriptedPeer peer(socket(), {{"a", "{\"event\":\"STOP\"}\r\n{\"return\":7}\r\n"}});
    auto client = QmpClient::connect(socket());
    ASSERT_TRUE(client);
    EXPECT_EQ(client->ask("a").value(), 7);
    EXPECT_EQ((**client->next_event(QmpClient::Patience(0)))["event"], "STOP");
    EXPECT_FALSE(*client->next_event(QmpClient::Patience(0)));
}

TEST_F(VmActionsTest, APeerThatLeavesIsAnError) {
    const ScriptedPeer peer(socket(), {});
    auto client = QmpClient::connect(socket());
    ASSERT_TRUE(client);
    (void)client->ask("leave");
    EXPECT_EQ(client->next_event(QmpClient::Patience(5'000)).error().code(), ErrorCode::io);
}

std::string running_status() {
    return R"({"return":{"status":"running","running":true}})"
           "\r\n";
}

TEST_F(VmActionsTest, ADeviceHasGoneWhenTheVmSaysSo) {
    const ScriptedPeer peer(socket(), {{"query-status", running_status()},
                                       {"device_del",
                                        "{\"return\":{}}\r\n"
                                        R"({"event":"DEVICE_DELETED","data":{"device":"other"}})"
                                        "\r\n"
                                        R"({"event":"DEVICE_DELETED","data":{"device":"disk1"}})"
                                        "\r\n"}});
    EXPECT_TRUE(remove_device(directory(), vm(), "disk1", std::chrono::seconds(60)));
}

TEST_F(VmActionsTest, AGuestMayKeepADevice) {
    const ScriptedPeer peer(socket(), {{"query-status", running_status()}});
    const auto removed = remove_device(directory(), vm(), "disk1", std::chrono::seconds(0));
    ASSERT_FALSE(removed);
    EXPECT_NE(removed.error().text().find("has not let go of disk1 within 0 s"), std::string::npos);
}

TEST_F(VmActionsTest, AGuestThatStandsStillIsNotAsked) {
    const ScriptedPeer peer(socket(), {{"query-status", status("paused")}});
    const auto removed = remove_device(directory(), vm(), "disk1", std::chrono::seconds(60));
    ASSERT_FALSE(removed);
    EXPECT_NE(removed.error().text().find("stands still"), std::string::npos);
}

TEST_F(VmActionsTest, ADeviceThatIsAddedHasAnId) {
    const ScriptedPeer peer(socket(), {{"__org.banyan_device-add", R"({"return":{"id":"disk1"}})"
                                                                   "\r\n"}});
    const auto added = add_device(directory(), vm(), {{"disk", "/disk.img"}});
    ASSERT_TRUE(added) << added.error().text();
    EXPECT_EQ(*added, "disk1");
}

}  // namespace
}  // namespace banyan
