// What a user asks for in one VM: plain values, independent of the command line.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backends/block/disk_cache.hpp"
#include "backends/block/disk_throttle.hpp"
#include "backends/block/image_format.hpp"
#include "backends/fs/share_cache.hpp"
#include "backends/net/published_port.hpp"
#include "host/sandbox/sandbox_mode.hpp"
#include "machine/boards/board.hpp"
#include "support/result.hpp"

namespace banyan {

enum class EngineKind : uint8_t { automatic, kvm, soft, interp };
enum class MachineKind : uint8_t { micro, pc };
enum class FirmwareKind : uint8_t { bios, uefi, file };
enum class WatchdogAction : uint8_t { none, reset, power_off };
enum class ConsoleKind : uint8_t { none, stdio, pty, file, socket };

struct InitrdFile {
    std::string path;
    std::string arguments;  // of a multiboot module
};

struct DiskFile {
    std::string path;
    bool read_only = false;
    std::string serial;
    std::optional<ImageFormat> format = {};  // none: by what the file holds
    DiskBus bus = DiskBus::virtio;
    DiskMedium medium = DiskMedium::disk;
    DiskCache cache = DiskCache::writeback;
    DiskLimits limits = {};
};

struct SharedDirectory {
    std::string path;
    std::string tag;  // what the guest mounts
    bool read_only = false;
    ShareCache cache = ShareCache::automatic;
};

struct FirmwareChoice {
    FirmwareKind kind = FirmwareKind::bios;
    std::string path;  // of a file
    // Where a UEFI keeps its variables; made if it is not there. Empty: they are lost at the end.
    std::string variables;
};

struct ConsoleChoice {
    ConsoleKind kind = ConsoleKind::stdio;
    std::string path;      // of a file or socket
    std::string log = {};  // of a socket: a file for the output besides; empty: none
};

struct VsockChoice {
    uint64_t cid = 0;
    std::string path;  // of the host's socket
};

// Of a network card's limit, in bytes a second.
inline constexpr uint64_t kLeastNetRate = 1000;
inline constexpr uint64_t kMostNetRate = uint64_t{1} << 40;

inline constexpr unsigned kMostNetQueues = 8;

enum class NetKind : uint8_t { nat, passt, network_switch, tap };

// A network card, and what it is connected to.
struct NetChoice {
    NetKind kind = NetKind::nat;
    std::string name;         // of the switch, or of the tap interface
    std::string socket = {};  // of the switch: filled in by who starts the VM
    NetModel model = NetModel::virtio;
    std::optional<std::array<uint8_t, 6>> mac = {};  // none: made from the name of the VM
    bool host_loopback = false;  // nat, passt: the guest reaches the host's 127.0.0.1
    std::vector<PublishedPort> published = {};  // nat, passt
    std::string capture = {};                   // a file for its frames; empty: none
    uint64_t bytes_per_second = 0;              // each way; 0: no limit
    unsigned queue_pairs = 1;                   // of a virtio card: 1 to kMostNetQueues
};

struct VmConfig {
    std::string name = "vm";
    EngineKind engine = EngineKind::automatic;
    MachineKind machine = MachineKind::micro;
    unsigned cpus = 1;
    uint64_t memory = uint64_t{512} << 20;
    std::string cpu_model = "max";
    std::string kernel;  // empty: firmware starts the guest
    FirmwareChoice firmware;
    BootKind boot_first = BootKind::disk;
    std::vector<InitrdFile> initrds;
    std::string command_line;
    std::vector<DiskFile> disks;
    std::vector<DiskFile> floppies;  // drives A and B of a pc
    std::vector<NetChoice> nets;
    std::vector<SharedDirectory> shares;
    bool rng = true;
    bool balloon = true;
    uint64_t balloon_target = 0;       // of a balloon, from the start: bytes; 0: all of the memory
    std::optional<VsockChoice> vsock;  // none: no socket device
    unsigned hotplug_places = 8;       // for devices that come while the VM runs
    WatchdogAction watchdog = WatchdogAction::none;
    ConsoleChoice console;
    std::optional<uint16_t> debug_exit_port;
    std::optional<bool> vga;                 // none: what the machine usually has
    std::string debugcon;                    // a file; empty: none
    bool reboot = true;                      // false: a guest's reset ends the run
    bool perf_map = false;                   // names translated code for perf
    SandboxMode sandbox = SandboxMode::off;  // of the process, once the VM runs
    std::vector<std::string> writable = {};  // directories where clients may have files made
};

bool has_vga(const VmConfig& config);

// Fails with ErrorCode::invalid_argument on values that no host could serve.
Result<void> validate(const VmConfig& config);
// The same of what is to be added to a running VM.
Result<void> validate_added(const DiskFile& disk);
Result<void> validate_added(const NetChoice& net);

}  // namespace banyan
