#include "app/cli/run_options.hpp"

#include <CLI/CLI.hpp>
#include <array>
#include <fmt/format.h>
#include <unistd.h>

#include "app/cli/disk_tuning.hpp"
#include "app/cli/net_options.hpp"
#include "app/cli/trace_choice.hpp"
#include "app/cli/values.hpp"

namespace banyan {

namespace {

constexpr std::string_view kExamples = R"(Examples:
  banyan run --kernel vmlinuz --initrd initrd.img --append console=ttyS0
  banyan run --kernel vmlinuz --initrd initrd.img --append 'console=ttyS0 root=/dev/vda' \
      --cpus 2 --memory 1G --disk debian.img,serial=root
  banyan run --kernel vmlinuz --append 'console=ttyS0 root=/dev/vda' --disk overlay.qcow2,format=qcow2
  banyan run debian.qcow2 --memory 1G          a disk; an *.iso file is a CD
  banyan run --firmware uefi --nvram debian.nvram --disk debian.qcow2
  banyan run debian.qcow2 --publish 2222:22    and then: ssh -p 2222 root@127.0.0.1
  banyan run --detach --name debian debian.qcow2
      and then: banyan console debian, banyan logs debian, banyan stop debian
  banyan run --detach --pool web --shares 2000 --limit 150% debian.qcow2
  banyan run --kernel test.elf --console file:log.txt --debug-exit 0x501 --no-reboot
  banyan run --kernel vmlinux --append 'console=ttyS0 nokaslr' --gdb 127.0.0.1:1234,wait
      and in another terminal: gdb vmlinux -ex 'target remote 127.0.0.1:1234'
With --console stdio, Ctrl-] ends the VM. Exit status: 0 power off, 1 failure, 2 wrong usage, 3 guest crash,
4 ended by a signal or Ctrl-], 5 engine defect.)";

// In docs/cli.md, but not in this build: known, so that the message can say so.
constexpr std::array<std::string_view, 1> kUnsupportedFlags{"--ephemeral"};

void add_machine_options(CLI::App& command, RunOptions& o) {
    command
        .add_option("--name", o.name,
                    "name of the VM, which no other that runs may have; default: vm- and a number")
        ->type_name("NAME");
    command.add_option("--engine", o.engine, "auto, kvm, soft or interp; default auto")
        ->type_name("ENGINE");
    command.add_option("--machine", o.machine, "micro or pc; default micro")->type_name("KIND");
    command.add_option("--cpus", o.cpus, "number of CPUs; default 1")->type_name("N");
    command.add_option("--memory", o.memory, "size of the memory, with K, M, G or T; default 512M")
        ->type_name("SIZE");
    command
        .add_option(
            "--cpu", o.cpu,
            "CPU model: host or max (the default: all that the engine and this host have), or "
            "x86-64, x86-64-v2, x86-64-v3")
        ->type_name("MODEL");
    command.add_option("--kernel", o.kernel, "bzImage, ELF with a PVH note, or multiboot image")
        ->type_name("FILE");
    command
        .add_option("--initrd", o.initrds, "initial RAM disk; multiboot modules may have arguments")
        ->type_name("FILE[,FILE...]")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command.add_option("--append", o.append, "the kernel's command line")->type_name("TEXT");
    command
        .add_option("--firmware", o.firmware,
                    "without --kernel: bios (SeaBIOS, the default), uefi (OVMF), or a ROM file")
        ->type_name("bios|uefi|FILE");
    command
        .add_option("--nvram", o.nvram,
                    "file in which a UEFI keeps its variables; made if it is not there. Without it "
                    "they are lost at the end")
        ->type_name("FILE");
    command
        .add_option("--boot", o.boot, "what firmware tries first: disk, cdrom, floppy or network")
        ->type_name("WHAT");
}

void add_device_options(CLI::App& command, RunOptions& o) {
    command
        .add_option(
            "--disk", o.disks,
            "a disk image, raw or qcow2, or block device; repeatable. Without a format, "
            "what the file holds decides; a raw disk then cannot be made to look like "
            "qcow2 by its guest, and a qcow2 image that stands on other files must be named "
            "*.qcow2. Images named *.vmdk, *.vdi, *.vhd and *.vhdx, and nbd://HOST/EXPORT, are "
            "only read (readonly=on)")
        ->type_name(
            "FILE[,format=raw|qcow2|vmdk|vdi|vhd|vhdx][,readonly=on][,bus=virtio|nvme|ahci|ide|"
            "scsi][,serial="
            "TEXT]"
            "[,cache=writeback|none|unsafe][,iops=N[:BURST]][,bps=SIZE[:BURST]]")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command
        .add_option("--cdrom", o.cdroms,
                    "an ISO file in a CD-ROM drive; repeatable. The bus is ahci, of the machine "
                    "micro scsi, or ide")
        ->type_name("FILE[,bus=ahci|ide|scsi][,serial=TEXT]")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command
        .add_option("--floppy", o.floppies,
                    "an image of 360K, 720K, 1200K, 1440K or 2880K in drive A, a second one in "
                    "drive B; for --machine pc")
        ->type_name("FILE[,format=raw|qcow2][,readonly=on]")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command
        .add_option("--net", o.nets,
                    "a network card, and what it is connected to; repeatable. nat, the default: "
                    "the guest reaches what this host reaches, but not the host's own 127.0.0.1 "
                    "(with host-loopback=on it does, as 10.0.2.2), and nobody reaches the guest. "
                    "passt: the same by the program passt. rate limits what passes, each way. "
                    "capture writes its frames to a pcap file")
        ->type_name(
            "none|nat|passt|switch=NAME|tap=IFACE[,rate=RATE][,queues=N][,model=virtio|e1000e][,"
            "mac=ADDRESS][,capture=FILE][,"
            "host-loopback=on]")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command
        .add_option("--publish", o.published,
                    "a port of the host that leads to one of the guest's, by the NAT; repeatable. "
                    "Without ADDR only this host reaches it")
        ->type_name("[ADDR:]HOSTPORT:GUESTPORT[/udp]")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command
        .add_option("--share", o.shares,
                    "a directory of this host in the guest, as mount -t virtiofs TAG PLACE; "
                    "repeatable. With cache=writeback it is faster, and nobody else may change "
                    "its files")
        ->type_name("DIR:TAG[,readonly=on][,cache=auto|writeback]")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command
        .add_option("--watchdog", o.watchdog,
                    "a timer that acts when its guest hangs: reset, poweroff or none; default none")
        ->type_name("ACTION");
    command.add_option("--rng", o.rng, "a source of random numbers: on or off; default on")
        ->type_name("SWITCH");
    command
        .add_option("--balloon", o.balloon,
                    "memory that the guest frees goes back to the host: on or off; or on, and the "
                    "guest is asked to get along with so much of its memory; default on")
        ->type_name("on|off|SIZE");
    command
        .add_option("--vsock", o.vsock,
                    "sockets between guest and host: the guest's number, from 3 on. Port P of the "
                    "host is the Unix socket PATH_P; who says CONNECT P at PATH reaches port P of "
                    "the guest. PATH is NAME.vsock here, unless given")
        ->type_name("CID[,path=PATH]");
    command
        .add_option("--console", o.console,
                    "stdio, pty, none, file:PATH or unix:PATH (a socket for several clients); "
                    "default stdio")
        ->type_name("WHERE");
    command
        .add_option("--display", o.display,
                    "who sees the screen of a VGA: none, or VNC clients at an address (default "
                    "127.0.0.1:5900, or the next port that is free); default none")
        ->type_name("none|vnc[=ADDR:PORT][,password=FILE]");
    command.add_option("--vga", o.vga, "a VGA: on or off; default on for pc, off for micro")
        ->type_name("SWITCH");
    command
        .add_option("--debug-exit", o.debug_exit,
                    "a write to this port ends the run with (value << 1) | 1")
        ->type_name("PORT");
    command.add_option("--debugcon", o.debugcon, "file for what the guest writes to port 0xE9")
        ->type_name("FILE");
    command
        .add_option("--gdb", o.gdb,
                    "where gdb finds the guest: ADDR:PORT, PORT or unix:PATH; with wait, the guest "
                    "does not begin before gdb lets it")
        ->type_name("ADDRESS[,wait]");
    command
        .add_option("--control", o.control,
                    "a QMP socket at this path, besides the one in the run directory")
        ->type_name("PATH");
    command
        .add_option("--sandbox", o.sandbox,
                    "what the VM's process gives up before the guest runs: on, off, or log, which "
                    "refuses nothing and has the kernel's log say what on would; default off")
        ->type_name("on|off|log");
    command
        .add_option("--allow-write", o.writable,
                    "a directory in which clients of the control socket may have files made "
                    "(screendump), although there is a sandbox; repeatable")
        ->type_name("DIR")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command.add_flag("-d,--detach", o.detach,
                     "go to the background once the guest runs, and print the VM's name; see "
                     "banyan console, logs, stop");
    command.add_flag("--rm", o.rm, "keep nothing of the VM when it has ended; always so for now");
    command.add_flag("--no-reboot", o.no_reboot, "a guest that reboots ends the run with 0");
    command
        .add_option("--trace", o.traces,
                    "what to show of the VM's inside: jit, jit-map; help tells more")
        ->type_name("WORD[,WORD...]")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command
        .add_option("--log-level", o.log_level, "error, warning, info or debug; default warning")
        ->type_name("LEVEL");
}

void add_unsupported(CLI::App& command, RunOptions& o) {
    for (const std::string_view name : kUnsupportedFlags) {
        command
            .add_flag_callback(std::string(name), [&o, name] { o.unsupported.emplace_back(name); })
            ->group("");
    }
    command.allow_extras();  // told apart by cli.cpp
}

tl::unexpected<Error> not_yet(std::string_view what) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("{}: it is not supported yet; leave it out, see banyan run --help", what));
}

Result<std::vector<InitrdFile>> parse_initrds(const std::vector<std::string>& texts) {
    std::vector<InitrdFile> files;
    for (const std::string& text : texts) {
        for (size_t start = 0; start <= text.size();) {
            const size_t end = std::min(text.find(',', start), text.size());
            const std::string one = text.substr(start, end - start);
            const size_t space = std::min(one.find(' '), one.size());
            InitrdFile file{one.substr(0, space), one.substr(std::min(space + 1, one.size()))};
            if (file.path.empty()) {
                return fail(ErrorCode::invalid_argument,
                            "--initrd: a file name is empty; give FILE[,FILE...]");
            }
            files.push_back(std::move(file));
            start = end + 1;
        }
    }
    return files;
}

Result<DiskFile> parse_floppy(const std::string& text) {
    TRY_ASSIGN(parts, parse_settings("--floppy", text));
    DiskFile disk;
    disk.path = parts.file;
    for (const auto& [key, value] : parts.settings) {
        const std::string option = "--floppy " + key;
        if (key == "format") {
            TRY_ASSIGN(format, parse_format(option, value));
            disk.format = format;
        } else if (key == "readonly") {
            TRY_ASSIGN(read_only, parse_switch(option, value));
            disk.read_only = read_only;
        } else {
            return not_one_of("--floppy", key, {"format", "readonly"});
        }
    }
    return disk;
}

// An ISO file is what it is: raw, and only read.
Result<DiskFile> parse_cdrom(const std::string& text, MachineKind machine) {
    TRY_ASSIGN(parts, parse_settings("--cdrom", text));
    DiskFile disc;
    disc.path = parts.file;
    disc.read_only = true;
    disc.format = ImageFormat::raw;
    disc.medium = DiskMedium::cdrom;
    disc.bus = machine == MachineKind::pc ? DiskBus::ahci : DiskBus::scsi;
    for (const auto& [key, value] : parts.settings) {
        if (key == "bus") {
            TRY_ASSIGN(bus, parse_choice<DiskBus>("--cdrom bus", value,
                                                  {{"ahci", DiskBus::ahci},
                                                   {"ide", DiskBus::ide},
                                                   {"scsi", DiskBus::scsi}}));
            disc.bus = bus;
        } else if (key == "serial") {
            disc.serial = value;
        } else {
            return not_one_of("--cdrom", key, {"bus", "serial"});
        }
    }
    return disc;
}

Result<VsockChoice> parse_vsock(const std::string& text, const std::string& name) {
    TRY_ASSIGN(parts, parse_settings("--vsock", text));
    TRY_ASSIGN(cid, parse_number("--vsock", parts.file, UINT32_MAX));
    VsockChoice vsock{cid, name + ".vsock"};
    for (const auto& [key, value] : parts.settings) {
        if (key != "path") return not_one_of("--vsock", key, {"path"});
        vsock.path = value;
    }
    return vsock;
}

// The tag stands behind the last colon: a directory's name may have others.
Result<SharedDirectory> parse_share(const std::string& text) {
    TRY_ASSIGN(parts, parse_settings("--share", text));
    const size_t colon = parts.file.rfind(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == parts.file.size()) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("--share {}: there is no tag for the guest to mount; give DIR:TAG",
                                parts.file));
    }
    SharedDirectory share{.path = parts.file.substr(0, colon), .tag = parts.file.substr(colon + 1)};
    for (const auto& [key, value] : parts.settings) {
        if (key == "readonly") {
            TRY_ASSIGN(read_only, parse_switch("--share readonly", value));
            share.read_only = read_only;
        } else if (key == "cache") {
            TRY_ASSIGN(cache, parse_choice<ShareCache>("--share cache", value,
                                                       {{"auto", ShareCache::automatic},
                                                        {"writeback", ShareCache::writeback}}));
            share.cache = cache;
        } else {
            return not_one_of("--share", key, {"readonly", "cache"});
        }
    }
    return share;
}

Result<ConsoleChoice> parse_console(const std::string& text) {
    constexpr std::string_view kFile = "file:";
    constexpr std::string_view kSocket = "unix:";
    if (text.starts_with(kSocket) && text.size() > kSocket.size())
        return ConsoleChoice{ConsoleKind::socket, text.substr(kSocket.size())};
    if (text.starts_with(kFile) && text.size() > kFile.size()) {
        return ConsoleChoice{ConsoleKind::file, text.substr(kFile.size())};
    }
    if (text == "stdio") return ConsoleChoice{ConsoleKind::stdio, ""};
    if (text == "pty") return ConsoleChoice{ConsoleKind::pty, ""};
    if (text == "none") return ConsoleChoice{ConsoleKind::none, ""};
    return not_one_of("--console", text, {"stdio", "pty", "none", "file:PATH", "unix:PATH"});
}

Result<void> set_machine(const RunOptions& o, VmConfig& config) {
    if (!o.engine.empty()) {
        TRY_ASSIGN(engine, parse_choice<EngineKind>("--engine", o.engine,
                                                    {{"auto", EngineKind::automatic},
                                                     {"kvm", EngineKind::kvm},
                                                     {"soft", EngineKind::soft},
                                                     {"interp", EngineKind::interp}}));
        config.engine = engine;
    }
    config.machine = o.kernel.empty() ? MachineKind::pc : MachineKind::micro;
    if (!o.machine.empty()) {
        TRY_ASSIGN(machine, parse_choice<MachineKind>(
                                "--machine", o.machine,
                                {{"micro", MachineKind::micro}, {"pc", MachineKind::pc}}));
        config.machine = machine;
    }
    if (!o.cpus.empty()) {
        TRY_ASSIGN(cpus, parse_number("--cpus", o.cpus, 1'000'000));
        config.cpus = static_cast<unsigned>(cpus);
    }
    if (!o.memory.empty()) {
        TRY_ASSIGN(memory, parse_size("--memory", o.memory));
        config.memory = memory;
    }
    if (!o.cpu.empty()) config.cpu_model = o.cpu;
    return {};
}

// Files are told from names by a slash or a dot: --firmware ./bios is a file.
Result<void> set_firmware(const RunOptions& o, VmConfig& config) {
    if (!o.kernel.empty()) {
        for (const auto& [name, value] :
             {std::pair{"--firmware", &o.firmware}, std::pair{"--nvram", &o.nvram},
              std::pair{"--boot", &o.boot}}) {
            if (value->empty()) continue;
            return fail(ErrorCode::invalid_argument,
                        fmt::format("{}: a kernel is started without firmware; leave out {} or "
                                    "--kernel",
                                    name, name));
        }
    }
    if (o.firmware == "uefi") {
        config.firmware.kind = FirmwareKind::uefi;
    } else if (o.firmware.find_first_of("/.") != std::string::npos) {
        config.firmware = {FirmwareKind::file, o.firmware, {}};
    } else if (!o.firmware.empty() && o.firmware != "bios") {
        return not_one_of("--firmware", o.firmware,
                          {"bios", "uefi", "FILE with a path or a suffix"});
    }
    if (!o.nvram.empty() && config.firmware.kind != FirmwareKind::uefi) {
        return fail(ErrorCode::invalid_argument,
                    "--nvram: only a UEFI has variables to keep; add --firmware uefi");
    }
    config.firmware.variables = o.nvram;
    if (o.boot.empty()) return {};
    TRY_ASSIGN(first, parse_choice<BootKind>("--boot", o.boot,
                                             {{"disk", BootKind::disk},
                                              {"cdrom", BootKind::cdrom},
                                              {"floppy", BootKind::floppy},
                                              {"network", BootKind::network}}));
    config.boot_first = first;
    return {};
}

Result<void> set_devices(const RunOptions& o, VmConfig& config) {
    for (const std::string& text : o.disks) {
        TRY_ASSIGN(disk, parse_disk(text));
        config.disks.push_back(std::move(disk));
    }
    for (const std::string& text : o.cdroms) {
        TRY_ASSIGN(disc, parse_cdrom(text, config.machine));
        config.disks.push_back(std::move(disc));
    }
    for (const std::string& text : o.floppies) {
        TRY_ASSIGN(floppy, parse_floppy(text));
        config.floppies.push_back(std::move(floppy));
    }
    TRY_ASSIGN(nets, parse_nets(o.nets, o.published));
    config.nets = std::move(nets);
    for (const std::string& text : o.shares) {
        TRY_ASSIGN(share, parse_share(text));
        config.shares.push_back(std::move(share));
    }
    if (!o.watchdog.empty()) {
        TRY_ASSIGN(action, parse_choice<WatchdogAction>("--watchdog", o.watchdog,
                                                        {{"reset", WatchdogAction::reset},
                                                         {"poweroff", WatchdogAction::power_off},
                                                         {"none", WatchdogAction::none}}));
        config.watchdog = action;
    }
    if (!o.rng.empty()) {
        TRY_ASSIGN(rng, parse_switch("--rng", o.rng));
        config.rng = rng;
    }
    if (o.balloon.find_first_of("0123456789") == 0) {
        TRY_ASSIGN(target, parse_size("--balloon", o.balloon));
        config.balloon_target = target;
    } else if (!o.balloon.empty()) {
        TRY_ASSIGN(balloon, parse_switch("--balloon", o.balloon));
        config.balloon = balloon;
    }
    if (!o.vsock.empty()) {
        TRY_ASSIGN(vsock, parse_vsock(o.vsock, config.name));
        config.vsock = std::move(vsock);
    }
    if (!o.console.empty()) {
        TRY_ASSIGN(console, parse_console(o.console));
        config.console = std::move(console);
    }
    if (!o.vga.empty()) {
        TRY_ASSIGN(vga, parse_switch("--vga", o.vga));
        config.vga = vga;
    }
    if (!o.debug_exit.empty()) {
        TRY_ASSIGN(port, parse_number("--debug-exit", o.debug_exit, 0xFFFF));
        config.debug_exit_port = static_cast<uint16_t>(port);
    }
    config.debugcon = o.debugcon;
    config.reboot = !o.no_reboot;
    return {};
}

Result<void> set_trace(const RunOptions& o, VmConfig& config) {
    TRY_ASSIGN(trace, parse_traces(o.traces));
    if (trace.jit_map && config.engine == EngineKind::interp) {
        return fail(ErrorCode::invalid_argument,
                    "--trace jit-map: the engine interp translates nothing; use --engine soft");
    }
    config.perf_map = trace.jit_map;
    return {};
}

Result<void> set_sandbox(const RunOptions& o, VmConfig& config) {
    config.writable = o.writable;
    if (o.sandbox.empty()) return {};
    TRY_ASSIGN(
        mode, parse_choice<SandboxMode>(
                  "--sandbox", o.sandbox,
                  {{"on", SandboxMode::on}, {"off", SandboxMode::off}, {"log", SandboxMode::log}}));
    config.sandbox = mode;
    return {};
}

}  // namespace

void add_run_options(CLI::App& command, RunOptions& options) {
    add_machine_options(command, options);
    add_device_options(command, options);
    add_pool_option(command, options.resources);
    add_term_options(command, options.resources);
    add_cpu_control_option(command, options.resources);
    add_unsupported(command, options);
    command.footer(std::string(kExamples));
}

Result<DiskFile> parse_disk(const std::string& text) {
    TRY_ASSIGN(parts, parse_settings("--disk", text));
    DiskFile disk;
    disk.path = parts.file;
    for (const auto& [key, value] : parts.settings) {
        const std::string option = "--disk " + key;
        if (key == "format") {
            TRY_ASSIGN(format, parse_format(option, value));
            disk.format = format;
            continue;
        }
        if (key == "bus") {
            TRY_ASSIGN(bus, parse_choice<DiskBus>(option, value,
                                                  {{"virtio", DiskBus::virtio},
                                                   {"nvme", DiskBus::nvme},
                                                   {"ahci", DiskBus::ahci},
                                                   {"ide", DiskBus::ide},
                                                   {"scsi", DiskBus::scsi}}));
            disk.bus = bus;
            continue;
        }
        if (key == "readonly") {
            TRY_ASSIGN(read_only, parse_switch(option, value));
            disk.read_only = read_only;
        } else if (key == "serial") {
            disk.serial = value;
        } else {
            TRY_ASSIGN(known, parse_disk_tuning(key, value, disk));
            if (known) continue;
            return not_one_of("--disk", key,
                              {"format", "readonly", "bus", "serial", "cache", "iops", "bps"});
        }
    }
    return disk;
}

Result<VmConfig> make_config(const RunOptions& options) {
    if (!options.unsupported.empty()) return not_yet(options.unsupported.front());
    if (options.kernel.empty() && options.firmware.empty() && options.disks.empty() &&
        options.floppies.empty() && options.cdroms.empty()) {
        return fail(ErrorCode::invalid_argument,
                    "nothing to boot: give --kernel FILE, or --disk or --cdrom FILE that firmware "
                    "can start; "
                    "see banyan run --help");
    }
    VmConfig config;
    config.name = options.name.empty() ? fmt::format("vm-{}", ::getpid()) : options.name;
    TRY(set_machine(options, config));
    config.kernel = options.kernel;
    TRY_ASSIGN(initrds, parse_initrds(options.initrds));
    config.initrds = std::move(initrds);
    config.command_line = options.append;
    TRY(set_firmware(options, config));
    TRY(set_devices(options, config));
    TRY(set_trace(options, config));
    TRY(set_sandbox(options, config));
    if (options.detach && options.console == "stdio") {
        return fail(ErrorCode::invalid_argument,
                    "--console stdio: a VM in the background has no terminal; leave it out, and "
                    "use banyan console");
    }
    TRY(validate(config));
    return config;
}

Result<std::optional<GdbChoice>> gdb_of(const RunOptions& options) {
    if (options.gdb.empty()) return std::optional<GdbChoice>();
    TRY_ASSIGN(choice, parse_gdb(options.gdb));
    return std::optional(std::move(choice));
}

Result<std::optional<VncChoice>> vnc_of(const RunOptions& options) {
    if (options.display.empty() || options.display == "none") return std::optional<VncChoice>();
    TRY_ASSIGN(choice, parse_vnc(options.display));
    return std::optional(std::move(choice));
}

Result<LogLevel> log_level_of(const RunOptions& options) {
    if (options.log_level.empty()) return LogLevel::warning;
    return parse_choice<LogLevel>("--log-level", options.log_level,
                                  {{"error", LogLevel::error},
                                   {"warning", LogLevel::warning},
                                   {"info", LogLevel::info},
                                   {"debug", LogLevel::debug}});
}

}  // namespace banyan
