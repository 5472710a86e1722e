#include "app/cli/run_options.hpp"

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>

namespace banyan {
namespace {

// What `banyan run` makes of the arguments.
Result<VmConfig> configure(std::vector<std::string> arguments) {
    CLI::App app;
    RunOptions options;
    add_run_options(app, options);
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
    app.parse(std::move(arguments));
    return make_config(options);
}

std::string error_of(std::vector<std::string> arguments) {
    const auto config = configure(std::move(arguments));
    if (config) return "none";
    EXPECT_EQ(config.error().code(), ErrorCode::invalid_argument);
    return std::string(config.error().text());
}

TEST(RunOptions, OnlyAKernelIsNeeded) {
    const auto config = configure({"--kernel", "vmlinuz"});

    ASSERT_TRUE(config) << config.error().text();
    EXPECT_EQ(config->kernel, "vmlinuz");
    EXPECT_EQ(config->cpus, 1U);
    EXPECT_EQ(config->memory, uint64_t{512} << 20);
    EXPECT_EQ(config->console.kind, ConsoleKind::stdio);
    EXPECT_TRUE(config->reboot);
    EXPECT_TRUE(config->name.starts_with("vm-"));
}

TEST(RunOptions, AllOptionsReachTheConfiguration) {
    const auto config = configure({"--name=web",
                                   "--engine=interp",
                                   "--machine=pc",
                                   "--cpus=2",
                                   "--memory=1G",
                                   "--cpu=x86-64-v2",
                                   "--kernel=k",
                                   "--initrd=a,b one two",
                                   "--initrd",
                                   "c",
                                   "--append=-x console=ttyS0",
                                   "--disk=d.img,readonly=on,serial=s1,format=raw,bus=virtio",
                                   "--disk",
                                   "e.img",
                                   "--disk=f,format=qcow2",
                                   "--rng=off",
                                   "--balloon=off",
                                   "--console=file:log",
                                   "--debug-exit=0x501",
                                   "--debugcon=dbg",
                                   "--no-reboot"});

    ASSERT_TRUE(config) << config.error().text();
    EXPECT_EQ(config->name, "web");
    EXPECT_EQ(config->engine, EngineKind::interp);
    EXPECT_EQ(config->machine, MachineKind::pc);
    EXPECT_EQ(config->cpus, 2U);
    EXPECT_EQ(config->memory, uint64_t{1} << 30);
    EXPECT_EQ(config->cpu_model, "x86-64-v2");
    ASSERT_EQ(config->initrds.size(), 3U);
    EXPECT_EQ(config->initrds[1].path, "b");
    EXPECT_EQ(config->initrds[1].arguments, "one two");
    EXPECT_EQ(config->initrds[2].path, "c");
    EXPECT_EQ(config->command_line, "-x console=ttyS0");
    ASSERT_EQ(config->disks.size(), 3U);
    EXPECT_EQ(config->disks[0].path, "d.img");
    EXPECT_TRUE(config->disks[0].read_only);
    EXPECT_EQ(config->disks[0].serial, "s1");
    EXPECT_EQ(config->disks[0].format, ImageFormat::raw);
    EXPECT_FALSE(config->disks[1].read_only);
    EXPECT_FALSE(config->disks[1].format);
    EXPECT_EQ(config->disks[2].format, ImageFormat::qcow2);
    EXPECT_FALSE(config->rng);
    EXPECT_FALSE(config->balloon);
    EXPECT_EQ(config->console.kind, ConsoleKind::file);
    EXPECT_EQ(config->console.path, "log");
    EXPECT_EQ(config->debug_exit_port, 0x501);
    EXPECT_EQ(config->debugcon, "dbg");
    EXPECT_FALSE(config->reboot);
}

TEST(RunOptions, DisksHaveACacheAndLimits) {
    const auto config =
        configure({"--kernel=k", "--disk=d,cache=none,iops=100:500,bps-wr=2M,iops-rd=7"});

    ASSERT_TRUE(config) << config.error().text();
    const DiskFile& disk = config->disks[0];
    EXPECT_EQ(disk.cache, DiskCache::none);
    EXPECT_EQ(disk.limits.requests[DiskLimits::all].per_second, 100U);
    EXPECT_EQ(disk.limits.requests[DiskLimits::all].burst, 500U);
    EXPECT_EQ(disk.limits.requests[DiskLimits::reads].per_second, 7U);
    EXPECT_EQ(disk.limits.bytes[DiskLimits::writes].per_second, 2U << 20);
    EXPECT_FALSE(DiskFile{}.limits.any());
    EXPECT_NE(error_of({"--kernel=k", "--disk=d,cache=all"}).find("writeback, none, unsafe"),
              std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--disk=d,iops=fast"}).find("--disk iops"),
              std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--disk=d,bps=1M:x"}).find("--disk bps"), std::string::npos);
}

TEST(RunOptions, DisksOfOtherMakes) {
    const auto config =
        configure({"--kernel=k", "--machine=pc", "--disk=n.img,bus=nvme", "--floppy=a.img",
                   "--floppy=b.img,readonly=on,format=raw", "--watchdog=poweroff"});
    ASSERT_TRUE(config) << config.error().text();
    EXPECT_EQ(config->disks.at(0).bus, DiskBus::nvme);
    ASSERT_EQ(config->floppies.size(), 2U);
    EXPECT_EQ(config->floppies[0].path, "a.img");
    EXPECT_TRUE(config->floppies[1].read_only);
    EXPECT_EQ(config->watchdog, WatchdogAction::power_off);

    EXPECT_NE(error_of({"--kernel=k", "--floppy=a"}).find("add --machine pc"), std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--machine=pc", "--floppy=a", "--floppy=b", "--floppy=c"})
                  .find("at most two"),
              std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--disk=d,bus=esdi"}).find("one of virtio, nvme"),
              std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--watchdog=bark"}).find("reset, poweroff, none"),
              std::string::npos);
}

TEST(RunOptions, GdbIsAnAddressAndAWish) {
    RunOptions options;
    EXPECT_EQ(*gdb_of(options), std::nullopt);

    options.gdb = "127.0.0.1:1234";
    EXPECT_EQ(**gdb_of(options), (GdbChoice{{"", "127.0.0.1", "1234"}, false}));
    options.gdb = "unix:/run/gdb,wait";
    EXPECT_EQ(**gdb_of(options), (GdbChoice{{"/run/gdb", "", ""}, true}));
    options.gdb = "127.0.0.1:1234,later";
    EXPECT_NE(gdb_of(options).error().text().find("--gdb '127.0.0.1:1234,later'"),
              std::string_view::npos);
}

TEST(RunOptions, WrongValuesAreNamed) {
    EXPECT_NE(error_of({}).find("nothing to boot"), std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--engine=fast"}).find("--engine 'fast'"), std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--machine=q35"}).find("micro, pc"), std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--cpus=0"}).find("--cpus 0"), std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--cpus=1000"}).find("1 to 255"), std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--memory=1K"}).find("--memory 1024 bytes"),
              std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--memory=lots"}).find("not a size"), std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--initrd=a,,b"}).find("a file name is empty"),
              std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--disk=d,size=1G"}).find("'size': not known"),
              std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--disk=d,format=qed"}).find("one of raw, qcow2"),
              std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--disk=d,readonly=maybe"}).find("--disk readonly"),
              std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--console=file:"}).find("--console 'file:'"),
              std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--console=printer"}).find("stdio, pty, none, file:PATH"),
              std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--debug-exit=65536"}).find("0 to 65535"), std::string::npos);
}

TEST(RunOptions, DisksAndDiscsHaveABus) {
    const auto config =
        configure({"--kernel=k", "--machine=pc", "--disk=a,bus=ahci", "--disk=b,bus=ide",
                   "--disk=c,bus=scsi", "--cdrom=d.iso", "--cdrom=e.iso,bus=ide,serial=s"});
    ASSERT_TRUE(config) << config.error().text();
    ASSERT_EQ(config->disks.size(), 5U);
    EXPECT_EQ(config->disks[0].bus, DiskBus::ahci);
    EXPECT_EQ(config->disks[1].bus, DiskBus::ide);
    EXPECT_EQ(config->disks[2].bus, DiskBus::scsi);
    EXPECT_EQ(config->disks[3].bus, DiskBus::ahci);
    EXPECT_EQ(config->disks[3].medium, DiskMedium::cdrom);
    EXPECT_TRUE(config->disks[3].read_only);
    EXPECT_EQ(config->disks[3].format, ImageFormat::raw);
    EXPECT_EQ(config->disks[4].bus, DiskBus::ide);
    EXPECT_EQ(config->disks[4].serial, "s");
    EXPECT_EQ(configure({"--kernel=k", "--machine=micro", "--cdrom=d.iso"})->disks[0].bus,
              DiskBus::scsi);
    EXPECT_NE(error_of({"--kernel=k", "--machine=micro", "--disk=a,bus=ide"}).find("--machine pc"),
              std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--cdrom=a,bus=virtio"}).find("ahci, ide, scsi"),
              std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--disk=a,bus=usb"}).find("virtio, nvme, ahci, ide, scsi"),
              std::string::npos);
}

TEST(RunOptions, AGuestHasANumberAndAPathForSockets) {
    EXPECT_FALSE(configure({"--kernel=k"})->vsock);
    const auto config = configure({"--kernel=k", "--vsock=42", "--name=web"});
    ASSERT_TRUE(config);
    EXPECT_EQ(config->vsock->cid, 42U);
    EXPECT_EQ(config->vsock->path, "web.vsock");
    EXPECT_EQ(configure({"--kernel=k", "--vsock=3,path=/run/a"})->vsock->path, "/run/a");
    for (const char* wrong : {"--vsock=2", "--vsock=4294967295"})
        EXPECT_NE(error_of({"--kernel=k", wrong}).find("3 to 4294967294"), std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--vsock=3,port=1"}).find("path"), std::string::npos);
}

TEST(RunOptions, ABalloonMayHaveATarget) {
    EXPECT_TRUE(configure({"--kernel=k"})->balloon);
    EXPECT_EQ(configure({"--kernel=k"})->balloon_target, 0U);
    const auto config = configure({"--kernel=k", "--balloon=300M"});
    ASSERT_TRUE(config);
    EXPECT_TRUE(config->balloon);
    EXPECT_EQ(config->balloon_target, uint64_t{300} << 20);
    EXPECT_NE(error_of({"--kernel=k", "--balloon=1G"}).find("give less"), std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--balloon=yes"}).find("on, off"), std::string::npos);
}

TEST(RunOptions, Shares) {
    const auto config = configure({"--kernel=k", "--share=/a:b:tag", "--share", "d:t,readonly=on",
                                   "--share=e:u,cache=writeback,readonly=off"});
    ASSERT_TRUE(config);
    ASSERT_EQ(config->shares.size(), 3U);
    EXPECT_EQ(config->shares[0].path, "/a:b");
    EXPECT_EQ(config->shares[0].tag, "tag");
    EXPECT_FALSE(config->shares[0].read_only);
    EXPECT_EQ(config->shares[0].cache, ShareCache::automatic);
    EXPECT_TRUE(config->shares[1].read_only);
    EXPECT_EQ(config->shares[2].cache, ShareCache::writeback);
    for (const char* text : {"--share=d", "--share=:t", "--share=d:", "--share=d:t,readonly=maybe",
                             "--share=d:t,cache=none", "--share=d:t,size=1"}) {
        EXPECT_NE(error_of({"--kernel=k", text}).find("--share"), std::string::npos) << text;
    }
    EXPECT_NE(error_of({"--kernel=k", "--share=a:t", "--share=b:t"}).find("two directories"),
              std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--share=d:" + std::string(37, 't')}).find("36 characters"),
              std::string::npos);
}

TEST(RunOptions, WhatDoesNotWorkYetIsRefusedByName) {
    const std::vector<std::vector<std::string>> cases{
        {"--ephemeral"},
    };
    for (auto arguments : cases) {
        const std::string name = arguments.front();
        arguments.insert(arguments.begin(), "--kernel=k");
        EXPECT_NE(error_of(arguments).find("not supported yet"), std::string::npos) << name;
    }
}

TEST(RunOptions, InTheBackgroundThereIsNoTerminal) {
    EXPECT_TRUE(configure({"--kernel=k", "--detach", "--rm"}));
    EXPECT_NE(error_of({"--kernel=k", "--detach", "--console=stdio"}).find("banyan console"),
              std::string::npos);
    const auto config = configure({"--kernel=k", "--console=unix:/tmp/c"});
    ASSERT_TRUE(config);
    EXPECT_EQ(config->console.kind, ConsoleKind::socket);
    EXPECT_EQ(config->console.path, "/tmp/c");
}

TEST(RunOptions, FirmwareStartsWhatHasNoKernel) {
    const auto bios = configure({"--disk=d"});
    ASSERT_TRUE(bios);
    EXPECT_EQ(bios->machine, MachineKind::pc);
    EXPECT_EQ(bios->firmware.kind, FirmwareKind::bios);

    const auto uefi = configure({"--firmware=uefi", "--nvram=v", "--boot=network"});
    ASSERT_TRUE(uefi);
    EXPECT_EQ(uefi->firmware.kind, FirmwareKind::uefi);
    EXPECT_EQ(uefi->firmware.variables, "v");
    EXPECT_EQ(uefi->boot_first, BootKind::network);

    EXPECT_EQ(configure({"--firmware=u-boot.rom"})->firmware.path, "u-boot.rom");
    EXPECT_NE(error_of({"--firmware=coreboot"}).find("one of bios, uefi"), std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--firmware=bios"}).find("leave out --firmware"),
              std::string::npos);
    EXPECT_NE(error_of({"--disk=d", "--nvram=v"}).find("add --firmware uefi"), std::string::npos);
    EXPECT_NE(error_of({"--disk=d", "--boot=tape"}).find("--boot 'tape'"), std::string::npos);
}

TEST(RunOptions, ANetworkIsTheDefault) {
    const auto usual = configure({"--kernel=k"});
    ASSERT_TRUE(usual);
    ASSERT_EQ(usual->nets.size(), 1U);
    EXPECT_EQ(usual->nets[0].kind, NetKind::nat);
    EXPECT_FALSE(usual->nets[0].host_loopback);
    EXPECT_TRUE(configure({"--kernel=k", "--net=none"})->nets.empty());
    EXPECT_NE(error_of({"--kernel=k", "--net=none", "--net=nat"}).find("leave it or them out"),
              std::string::npos);
}

TEST(RunOptions, Networks) {
    const auto config =
        configure({"--kernel=k", "--net=switch=lan,mac=02:00:00:00:0a:FF",
                   "--net=nat,host-loopback=on,capture=f.pcap", "--net", "tap=tap0"});
    ASSERT_TRUE(config) << config.error().text();
    ASSERT_EQ(config->nets.size(), 3U);
    EXPECT_EQ(config->nets[0].kind, NetKind::network_switch);
    EXPECT_EQ(config->nets[0].name, "lan");
    EXPECT_EQ(config->nets[0].mac, (std::array<uint8_t, 6>{2, 0, 0, 0, 10, 255}));
    EXPECT_TRUE(config->nets[1].host_loopback);
    EXPECT_EQ(config->nets[1].capture, "f.pcap");
    EXPECT_EQ(config->nets[2].name, "tap0");

    EXPECT_NE(error_of({"--kernel=k", "--net=bridge"}).find("one of none, nat"), std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--net=nat,mac=2:0:0:0:0:1"}).find("give one as 02:"),
              std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--net=nat,mac=01:00:00:00:00:01"}).find("is even"),
              std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--net=tap=t,host-loopback=on"}).find("of nat"),
              std::string::npos);
    for (const auto& [text, bytes] : {std::pair{"10M", uint64_t{10} << 20},
                                      {"100mbit", uint64_t{12'500'000}},
                                      {"8kbit", uint64_t{1000}}})
        EXPECT_EQ(configure({"--kernel=k", "--net=nat,rate=" + std::string(text)})
                      ->nets[0]
                      .bytes_per_second,
                  bytes);
    for (const std::string wrong : {"0", "999", "7kbit", "2000T", "99999999999gbit", "x", "mbit"})
        EXPECT_NE(error_of({"--kernel=k", "--net=nat,rate=" + wrong}).find("--net rate"),
                  std::string::npos)
            << wrong;
    EXPECT_EQ(configure({"--kernel=k", "--net=nat,queues=4"})->nets[0].queue_pairs, 4U);
    for (const std::string wrong : {"queues=0", "queues=9", "queues=2,model=e1000e"})
        EXPECT_NE(error_of({"--kernel=k", "--net=nat," + wrong}).find("--net queues"),
                  std::string::npos)
            << wrong;
    const auto passt = configure({"--kernel=k", "--net=passt,host-loopback=on", "--publish=1:2"});
    ASSERT_TRUE(passt) << passt.error().text();
    EXPECT_EQ(passt->nets[0].kind, NetKind::passt);
    EXPECT_EQ(passt->nets[0].published.size(), 1U);
    std::vector<std::string> many(9, "--net=nat");
    many.insert(many.begin(), "--kernel=k");
    EXPECT_NE(error_of(many).find("give fewer"), std::string::npos);
}

TEST(RunOptions, PublishedPorts) {
    const auto config =
        configure({"--kernel=k", "--publish=2222:22", "--publish=0.0.0.0:53:5353/udp"});
    ASSERT_TRUE(config) << config.error().text();
    const std::vector<PublishedPort> expected{{0x7F000001, 2222, 22, false}, {0, 53, 5353, true}};
    EXPECT_EQ(config->nets[0].published, expected);

    for (const std::string bad : {"22", "x:22", "0:22", "2222:", "1.2.3:1:2", "1:70000"})
        EXPECT_NE(error_of({"--kernel=k", "--publish=" + bad}).find("--publish"), std::string::npos)
            << bad;
    EXPECT_NE(error_of({"--kernel=k", "--net=none", "--publish=1:2"}).find("add --net nat"),
              std::string::npos);
}

TEST(RunOptions, TracesTheEngine) {
    EXPECT_FALSE(configure({"--kernel=k", "--trace=jit"})->perf_map);
    EXPECT_TRUE(configure({"--kernel=k", "--trace=jit", "--trace=jit-map"})->perf_map);
    EXPECT_NE(error_of({"--kernel=k", "--trace=jit,exits"}).find("--trace 'exits'"),
              std::string::npos);
    EXPECT_NE(error_of({"--kernel=k", "--trace=jit-map", "--engine=interp"}).find("--engine soft"),
              std::string::npos);
}

TEST(RunOptions, MissingAndRepeatedValuesAreErrorsOfTheParser) {
    EXPECT_THROW(configure({"--kernel"}), CLI::ParseError);
    EXPECT_THROW(configure({"--kernel=k", "--kernel=l"}), CLI::ParseError);
}

TEST(RunOptions, LogLevels) {
    RunOptions options;
    EXPECT_EQ(log_level_of(options), LogLevel::warning);
    options.log_level = "debug";
    EXPECT_EQ(log_level_of(options), LogLevel::debug);
    options.log_level = "loud";
    EXPECT_FALSE(log_level_of(options));
}

}  // namespace
}  // namespace banyan
