// Transcripts: what a client says, and what it hears.
#include "control/qmp/server.hpp"

#include <gtest/gtest.h>
#include <memory>

#include "vmm/testing/fake_vm.hpp"

namespace banyan::qmp {
namespace {

constexpr const char* kGreeting =
    R"({"QMP":{"version":{"qemu":{"micro":0,"minor":2,"major":7},"package":"banyan-0.1"},"capabilities":[]}})";
constexpr const char* kReady = R"({"return":{}})";

class QmpTest : public testing::Test {
protected:
    // What it heard since it was last asked, a line each.
    class Client {
    public:
        explicit Client(Server& server)
            : client_(server, [this](std::string_view bytes) { heard_ += bytes; }) {}
        std::string hear() {
            std::string text;
            text.swap(heard_);
            std::string lines;
            for (const char c : text)
                if (c != '\r') lines += c;
            if (lines.ends_with('\n')) lines.pop_back();
            return lines;
        }
        std::string say(std::string_view text) {
            client_.received(text);
            return hear();
        }

    private:
        std::string heard_;
        Server::Client client_;
    };

    std::unique_ptr<Client> ready() {
        auto client = std::make_unique<Client>(server);
        EXPECT_EQ(client->hear(), kGreeting);
        EXPECT_EQ(client->say(R"({"execute":"qmp_capabilities"})"), kReady);
        return client;
    }
    std::string ask(std::string_view command) {
        const std::string text = R"({"execute":")" + std::string(command) + R"("})";
        std::string answer = one->say(text);
        constexpr std::string_view kReturn = R"({"return":)";
        if (!answer.starts_with(kReturn)) return answer;
        return answer.substr(kReturn.size(), answer.size() - kReturn.size() - 1);
    }
    static std::string error(std::string_view text, std::string_view kind = "GenericError") {
        return R"({"error":{"class":")" + std::string(kind) + R"(","desc":")" + std::string(text) +
               R"("}})";
    }

    void SetUp() override {
        vm.settings.name = "debian";
        vm.settings.memory = 1 << 20;
        server.commands().add({.name = "typed",
                               .arguments = {{"text", Type::string},
                                             {"count", Type::integer, true},
                                             {"size", Type::number, true},
                                             {"on", Type::boolean, true},
                                             {"list", Type::list, true},
                                             {"inside", Type::object, true}},
                               .run = [](const Arguments& a) -> Answer {
                                   return Json{{"text", a.string("text")},
                                               {"count", a.integer("count", 7)},
                                               {"size", a.number("size", 0.5)},
                                               {"on", a.boolean("on", true)},
                                               {"list", a.inside("list") != nullptr},
                                               {"inside", a.inside("inside") != nullptr}};
                               }});
        one = ready();
    }

    FakeVm vm;
    Server server{vm, "0.1", [] { return Time(1'700'000'000'000'123); }};
    std::unique_ptr<Client> one;
};

TEST_F(QmpTest, NothingWorksBeforeTheNegotiation) {
    Client client(server);
    EXPECT_EQ(client.hear(), kGreeting);
    EXPECT_EQ(
        client.say(R"({"execute":"stop"})"),
        error("Expecting capabilities negotiation with 'qmp_capabilities'", "CommandNotFound"));
    vm.tell({.kind = VmEvent::Kind::paused});
    EXPECT_EQ(client.hear(), "") << "and no events";
    EXPECT_EQ(client.say(R"({"execute":"qmp_capabilities","arguments":{"enable":["oob"]}})"),
              error("the greeting offers no capabilities"));
    EXPECT_EQ(client.say(R"({"execute":"qmp_capabilities","arguments":{"enable":[]}})"), kReady);
    EXPECT_EQ(
        client.say(R"({"execute":"qmp_capabilities"})"),
        error("Capabilities negotiation is already complete, command ignored", "CommandNotFound"));
    EXPECT_EQ(vm.log, "");
}

TEST_F(QmpTest, AnswersCarryTheirId) {
    EXPECT_EQ(one->say(R"({"execute":"query-name","id":{"a":[1]}})"),
              R"({"return":{"name":"debian"},"id":{"a":[1]}})");
    EXPECT_EQ(
        one->say(R"({"execute":"fly","id":7})"),
        R"({"error":{"class":"CommandNotFound","desc":"The command fly has not been found"},"id":7})");
}

TEST_F(QmpTest, WhatIsNoRequestIsRefused) {
    EXPECT_EQ(one->say("{\"a\" 1}\n"), error("JSON parse error, that is no JSON value"));
    EXPECT_EQ(one->say("fly\n"), error("JSON parse error, that is no JSON value"));
    EXPECT_EQ(one->say("[]\n"), error("QMP input must be a JSON object"));
    EXPECT_EQ(one->say("{}\n"), error("QMP input lacks member 'execute'"));
    EXPECT_EQ(one->say(R"({"execute":1})"), error("QMP input member 'execute' must be a string"));
    EXPECT_EQ(one->say(R"({"execute":"stop","arguments":[]})"),
              error("QMP input member 'arguments' must be an object"));
    EXPECT_EQ(one->say(R"({"execute":"stop","fly":1})"),
              error("QMP input member 'fly' is unexpected"));
    EXPECT_EQ(vm.log, "");
    EXPECT_EQ(ask("query-name"), R"({"name":"debian"})") << "it goes on";
}

TEST_F(QmpTest, ArgumentsAreChecked) {
    const auto call = [&](const std::string& arguments) {
        return one->say(R"({"execute":"typed","arguments":)" + arguments + "}");
    };
    EXPECT_EQ(ask("typed"), error("Parameter 'text' is missing"));
    EXPECT_EQ(call(R"({"text":1})"), error("Invalid parameter type for 'text', expected: string"));
    EXPECT_EQ(call(R"({"text":"a","count":1.5})"),
              error("Invalid parameter type for 'count', expected: integer"));
    EXPECT_EQ(call(R"({"text":"a","count":9223372036854775808})"),
              error("Invalid parameter type for 'count', expected: integer"));
    EXPECT_EQ(call(R"({"text":"a","on":1})"),
              error("Invalid parameter type for 'on', expected: boolean"));
    EXPECT_EQ(call(R"({"text":"a","size":"1"})"),
              error("Invalid parameter type for 'size', expected: number"));
    EXPECT_EQ(call(R"({"text":"a","list":{}})"),
              error("Invalid parameter type for 'list', expected: array"));
    EXPECT_EQ(call(R"({"text":"a","inside":[]})"),
              error("Invalid parameter type for 'inside', expected: object"));
    EXPECT_EQ(call(R"({"text":"a","fly":[]})"), error("Parameter 'fly' is unexpected"));
    EXPECT_EQ(
        call(R"({"text":"a"})"),
        R"({"return":{"text":"a","count":7,"size":0.5,"on":true,"list":false,"inside":false}})");
    EXPECT_EQ(
        call(R"({"text":"a","count":-1,"size":2,"on":false,"list":[],"inside":{}})"),
        R"({"return":{"text":"a","count":-1,"size":2.0,"on":false,"list":true,"inside":true}})");
}

TEST_F(QmpTest, RunsTheVm) {
    const auto second = ready();
    constexpr const char* kStop =
        R"({"timestamp":{"seconds":1700000000,"microseconds":123},"event":"STOP"})";
    EXPECT_EQ(ask("query-status"), R"({"running":true,"singlestep":false,"status":"running"})");
    EXPECT_EQ(ask("stop"), kStop + std::string("\n{\"return\":{}}"));
    EXPECT_EQ(second->hear(), kStop) << "all hear of it";
    EXPECT_EQ(ask("query-status"), R"({"running":false,"singlestep":false,"status":"paused"})");
    EXPECT_NE(second->say(R"({"execute":"cont"})").find("RESUME"), std::string::npos);
    EXPECT_NE(ask("system_powerdown").find("POWERDOWN"), std::string::npos);
    ask("system_reset");
    ask("quit");
    EXPECT_EQ(vm.log, "pause;resume;retry;power;reset;stop: its control socket was told to quit;");
}

TEST_F(QmpTest, TellsFacts) {
    EXPECT_EQ(ask("query-version"),
              R"({"qemu":{"micro":0,"minor":2,"major":7},"package":"banyan-0.1"})");
    EXPECT_EQ(ask("query-uuid"), R"({"UUID":"12345600-0000-0000-0000-000000000000"})");
    EXPECT_EQ(ask("query-kvm"), R"({"enabled":false,"present":true})");
    EXPECT_EQ(ask("query-memory-size-summary"), R"({"base-memory":1048576,"plugged-memory":0})");
    EXPECT_NE(ask("query-cpus-fast").find(R"("cpu-index":1,)"), std::string::npos);
    EXPECT_NE(ask("query-cpus-fast").find(R"("thread-id":102,)"), std::string::npos);
    EXPECT_EQ(ask("query-chardev"),
              R"([{"label":"serial0","filename":"stdio","frontend-open":true}])");
    const std::string names = ask("query-commands");
    for (const char* const name : {"qmp_capabilities", "stop", "query-blockstats", "typed"})
        EXPECT_NE(names.find(R"({"name":")" + std::string(name)), std::string::npos) << name;
}

TEST_F(QmpTest, TellsOfDisks) {
    EXPECT_EQ(ask("query-block"), "[]");
    vm.drives.push_back({.name = "disk0",
                         .file = "/a\xFF.qcow2",
                         .format = "qcow2",
                         .size = 4096,
                         .read_only = true,
                         .counts = {.reads = {3, 1536, 1}, .flushes = {2, 0, 0}}});
    const std::string block = ask("query-block");
    EXPECT_NE(block.find(R"("device":"disk0")"), std::string::npos);
    EXPECT_NE(block.find(R"("ro":true,"drv":"qcow2")"), std::string::npos);
    EXPECT_NE(block.find(R"("virtual-size":4096)"), std::string::npos);
    EXPECT_NE(block.find("/a\xEF\xBF\xBD.qcow2"), std::string::npos) << "JSON is UTF-8";
    const std::string stats = ask("query-blockstats");
    EXPECT_NE(stats.find(R"("rd_bytes":1536,)"), std::string::npos);
    EXPECT_NE(stats.find(R"("rd_operations":3,)"), std::string::npos);
    EXPECT_NE(stats.find(R"("flush_operations":2,)"), std::string::npos);
    EXPECT_NE(stats.find(R"("failed_rd_operations":1,)"), std::string::npos);
}

TEST_F(QmpTest, AsksForMemory) {
    EXPECT_EQ(ask("query-balloon"),
              error("No balloon device has been activated", "DeviceNotFound"));
    const auto set = [this](std::string_view value) {
        return one->say(R"({"execute":"balloon","arguments":{"value":)" + std::string(value) +
                        "}}");
    };
    EXPECT_EQ(set("4096"), error("No balloon device has been activated", "DeviceNotFound"));
    vm.balloon.emplace().actual = 1 << 19;
    EXPECT_EQ(ask("query-balloon"), R"({"actual":524288})");
    EXPECT_EQ(set("4096"), kReady);
    EXPECT_EQ(vm.log, "balloon 4096;");
    for (const char* wrong : {"0", "-1", "1048577"}) {
        EXPECT_EQ(set(wrong), error("Parameter 'value' expects a size up to the VM's memory"))
            << wrong;
    }
}

TEST_F(QmpTest, PublishesPorts) {
    const auto call = [this](std::string_view command, std::string_view port) {
        return one->say(R"({"execute":"__org.banyan_)" + std::string(command) +
                        R"(","arguments":{"port":")" + std::string(port) + R"("}})");
    };
    EXPECT_EQ(call("publish", "2222:22"), kReady);
    EXPECT_EQ(call("publish", "0.0.0.0:53:5353/udp"), kReady);
    EXPECT_EQ(vm.log, "publish 127.0.0.1:2222:22;publish 0.0.0.0:53:5353/udp;");
    EXPECT_EQ(ask("__org.banyan_query-published"),
              R"(["127.0.0.1:2222:22","0.0.0.0:53:5353/udp"])");
    EXPECT_EQ(call("unpublish", "2222:22"), kReady);
    EXPECT_EQ(ask("__org.banyan_query-published"), R"(["0.0.0.0:53:5353/udp"])");
    EXPECT_NE(call("unpublish", "2222:22").find("GenericError"), std::string::npos);
    EXPECT_NE(call("publish", "fly").find("HOSTPORT:GUESTPORT"), std::string::npos);
}

TEST_F(QmpTest, CapturesAndLimitsCards) {
    const auto call = [this](std::string_view command, std::string_view arguments) {
        return one->say(R"({"execute":"__org.banyan_)" + std::string(command) +
                        R"(","arguments":)" + std::string(arguments) + "}");
    };
    EXPECT_EQ(call("capture", R"({"socket":"/s"})"), kReady);
    EXPECT_EQ(call("set-net-rate", R"({"bytes-per-second":5000,"card":0})"), kReady);
    EXPECT_EQ(vm.log, "capture /s;rate 5000;");
    EXPECT_NE(call("capture", R"({"socket":"/s","card":1})").find("no network card 1"),
              std::string::npos);
    for (const char* wrong :
         {R"({"bytes-per-second":999})", R"({"bytes-per-second":-1})",
          R"({"bytes-per-second":5000,"card":-1})", R"({"bytes-per-second":5000,"card":256})"})
        EXPECT_NE(call("set-net-rate", wrong).find("expects"), std::string::npos) << wrong;
}

TEST_F(QmpTest, AddsADiskThatWasNamedBefore) {
    const auto say = [this](std::string_view command, std::string_view arguments) {
        return one->say(R"({"execute":")" + std::string(command) + R"(","arguments":{)" +
                        std::string(arguments) + "}}");
    };
    constexpr const char* kNode =
        R"("driver":"raw","node-name":"node","file":{"driver":"file","filename":"/disk.img"})";
    EXPECT_EQ(say("device_add", R"("driver":"virtio-blk-pci","drive":"node")"),
              error("Property 'virtio-blk-device.drive' can't find value 'node'"));
    EXPECT_EQ(say("blockdev-add", kNode), kReady);
    EXPECT_EQ(say("blockdev-add", kNode), error("Duplicate nodes with node-name='node'"));
    EXPECT_EQ(
        say("device_add", R"("driver":"virtio-blk-pci","drive":"node","id":"hot","serial":"s")"),
        kReady);
    EXPECT_EQ(vm.log, "add_disk hot /disk.img s;");
    EXPECT_EQ(say("device_add", R"("driver":"virtio-blk-pci","drive":"node","id":"two")"),
              error("Drive 'node' is already in use by another block device"));
    EXPECT_EQ(say("blockdev-del", R"("node-name":"node")"), error("Node 'node' is in use"));
    EXPECT_EQ(say("block_resize", R"("node-name":"node","size":1048576)"), kReady);
    EXPECT_EQ(say("device_del", R"("id":"hot")"), kReady);
    vm.there.clear();
    vm.tell({.kind = VmEvent::Kind::removed, .device = "hot"});
    EXPECT_NE(one->hear().find(R"("event":"DEVICE_DELETED","data":{"device":"hot",)"
                               R"("path":"/machine/peripheral/hot"})"),
              std::string::npos);
    EXPECT_EQ(say("blockdev-del", R"("node-name":"node")"), kReady);
    EXPECT_EQ(say("blockdev-del", R"("node-name":"node")"),
              error("Failed to find node with node-name='node'"));
    EXPECT_EQ(vm.log, "add_disk hot /disk.img s;resize hot 1048576;remove hot;");
}

TEST_F(QmpTest, AddsACardThatWasNamedBefore) {
    const auto say = [this](std::string_view command, std::string_view arguments) {
        return one->say(R"({"execute":")" + std::string(command) + R"(","arguments":{)" +
                        std::string(arguments) + "}}");
    };
    EXPECT_EQ(say("netdev_add", R"("type":"tap","id":"back")"),
              error("Parameter 'ifname' is missing"));
    EXPECT_EQ(say("netdev_add", R"("type":"socket","id":"back")"),
              error("Parameter 'type' does not accept value 'socket'"));
    EXPECT_EQ(say("netdev_add", R"("type":"tap","id":"back","ifname":"tap0")"), kReady);
    for (const char* wrong :
         {"nonsense", "02:00:00:00:00:0g", "02-00-00-00-00-01", "02:00:00:00:00"}) {
        EXPECT_EQ(
            say("device_add", R"("driver":"virtio-net-pci","netdev":"back","id":"card","mac":")" +
                                  std::string(wrong) + R"(")"),
            error("Property 'virtio-net-device.mac' doesn't take value '" + std::string(wrong) +
                  "'"));
    }
    EXPECT_EQ(
        say("device_add",
            R"("driver":"virtio-net-pci","netdev":"back","id":"card","mac":"02:00:00:00:00:01")"),
        kReady);
    EXPECT_EQ(vm.log, "add_net card tap0;");
    EXPECT_EQ(say("netdev_del", R"("id":"back")"), error("Device 'back' is in use"));
    EXPECT_EQ(say("device_add", R"("driver":"e1000")"),
              error("'e1000' is not a valid device model name"));
}

TEST_F(QmpTest, RefusesADiskThatItCannotRead) {
    const auto add = [this](std::string_view rest) {
        return one->say(R"({"execute":"blockdev-add","arguments":{"node-name":"n",)" +
                        std::string(rest) + "}}");
    };
    EXPECT_EQ(add(R"("driver":"vmdk","file":{"driver":"file","filename":"/x"})"),
              error("Parameter 'driver' does not accept value 'vmdk'"));
    for (const char* file : {"{}", R"({"driver":"file"})", R"({"driver":"nbd","filename":"/x"})",
                             R"({"driver":"file","filename":7})",
                             R"({"driver":"file","filename":"/x","locking":"off"})"}) {
        EXPECT_NE(add(R"("driver":"raw","file":)" + std::string(file)).find("expected: an object"),
                  std::string::npos)
            << file;
    }
}

TEST_F(QmpTest, TellsHowItEnds) {
    const VmOutcome outcome{.end = VmEnd::guest_panic, .message = "the guest crashed"};
    vm.tell({.kind = VmEvent::Kind::guest_panic});
    EXPECT_NE(one->hear().find(R"("event":"GUEST_PANICKED","data":{"action":"poweroff"})"),
              std::string::npos);
    vm.tell({.kind = VmEvent::Kind::ended, .cause = VmCause::guest_panic, .outcome = &outcome});
    EXPECT_NE(
        one->hear().find(
            R"("event":"SHUTDOWN","data":{"guest":true,"reason":"guest-panic","__org.banyan_status":3,"__org.banyan_message":"the guest crashed"})"),
        std::string::npos);
}

TEST_F(QmpTest, TellsOfResetsWatchdogsAndFullDisks) {
    vm.tell({.kind = VmEvent::Kind::reset, .cause = VmCause::host_reset});
    EXPECT_NE(one->hear().find(
                  R"("event":"RESET","data":{"guest":false,"reason":"host-qmp-system-reset"})"),
              std::string::npos);
    vm.settings.watchdog = WatchdogAction::power_off;
    vm.tell({.kind = VmEvent::Kind::watchdog});
    EXPECT_NE(one->hear().find(R"("event":"WATCHDOG","data":{"action":"poweroff"})"),
              std::string::npos);
    vm.tell({.kind = VmEvent::Kind::disk_full, .disk = "disk1", .text = "No space"});
    EXPECT_NE(
        one->hear().find(
            R"("data":{"device":"disk1","operation":"write","action":"stop","nospace":true,"reason":"No space"})"),
        std::string::npos);
}

}  // namespace
}  // namespace banyan::qmp
