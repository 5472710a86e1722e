// Board: the virtual main board. It makes the chips of a machine kind, wires them, and is what
// vCPUs, the loader and the VM's life cycle see of them.
//
// Order of use: MemoryMap and GuestMemory with its RAM; the engine; Board::create; the engine's
// vCPUs with vcpu_wiring(), each attach_vcpu()ed. Then a pc with firmware starts at its reset
// vector; for a kernel without firmware prepare_direct_boot(), and load_kernel() with
// memory_map().e820() and the RSDP.
//
// Threads: cpu_io(), cpu_interrupts(), the char clients, display(), input(), press_power_button()
// and those of the balloon from any thread.
// What comes and goes says itself. Everything else only while no vCPU runs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "machine/boards/disk_bus.hpp"
#include "machine/boards/net_model.hpp"
#include "machine/memory_map.hpp"
#include "support/result.hpp"
#include "vm/backend.hpp"
#include "vm/balloon_statistics.hpp"
#include "vm/clock.hpp"
#include "vm/display.hpp"
#include "vm/engine.hpp"
#include "vm/file_share.hpp"
#include "vm/guest_memory.hpp"
#include "vm/input.hpp"
#include "vm/machine_control.hpp"
#include "vm/memory_reclaimer.hpp"
#include "vm/net_statistics.hpp"
#include "vm/network.hpp"
#include "vm/vsock.hpp"

namespace banyan {

// pc: all legacy chips. micro: for direct boot of a kernel that finds its hardware by ACPI; see
// boards/README.md.
enum class BoardKind : uint8_t { pc, micro };

struct DiskConfig {
    BlockBackend* backend = nullptr;
    std::string serial;
    DiskBus bus = DiskBus::virtio;
    DiskMedium medium = DiskMedium::disk;
};

struct NetConfig {
    NetBackend* backend = nullptr;
    std::array<uint8_t, 6> mac{};
    NetModel model = NetModel::virtio;
    // Of a virtio card.
    uint16_t mtu = kEthernetMtu;
    unsigned queue_pairs = 1;
};

// A directory of the host, by virtio-fs. The guest mounts it by its tag, of 1 to 36 bytes.
struct ShareConfig {
    FsBackend* backend = nullptr;
    std::string tag;
};

struct CharPortConfig {
    CharBackend* out = nullptr;    // null: written bytes are dropped
    CharSource* source = nullptr;  // null: no input
};

// A standard VGA. Both outlive the board.
struct VgaConfig {
    static constexpr uint64_t kMemorySize = uint64_t{16} << 20;

    std::span<std::byte> memory;     // zeroes, page-aligned; a power of two, usually kMemorySize
    std::span<const std::byte> rom;  // the VGA BIOS; empty: none
};

enum class BootKind : uint8_t { disk, cdrom, floppy, network };

// What firmware is told.
struct FirmwareConfig {
    std::array<uint8_t, 16> uuid{};  // of the machine
    bool on_serial = false;          // SeaBIOS' screen and keyboard are COM1
    BootKind boot_first = BootKind::disk;
};

// Differs whenever the guest's execution was repeated or copied from a saved state.
using GenerationId = std::array<uint8_t, 16>;

// A socket device.
struct VsockPort {
    uint64_t cid = 0;  // the guest's: 3 to 2^32 - 2
    VsockBackend* backend = nullptr;
};

struct BoardConfig {
    BoardKind kind = BoardKind::micro;
    unsigned cpu_count = 1;
    uint64_t ram_size = 0;
    CharPortConfig serial;  // COM1
    std::vector<DiskConfig> disks;
    std::vector<NetConfig> nets;
    std::vector<ShareConfig> shares;
    EntropySource* rng = nullptr;        // virtio-rng, if given
    MemoryReclaimer* balloon = nullptr;  // virtio-balloon, if given
    std::optional<CharPortConfig> virtio_console;
    std::optional<VsockPort> vsock;  // virtio-vsock, if given
    std::optional<uint16_t> debug_exit_port;
    FirmwareConfig firmware;               // of a pc that starts with firmware
    CharBackend* debugcon = nullptr;       // port 0xE9, if given
    std::vector<BlockBackend*> floppies;   // pc only: drives A and B
    std::optional<MachineEvent> watchdog;  // what its time-out asks for; none: no watchdog
    std::optional<GenerationId> generation_id;
    std::optional<VgaConfig> vga;
    unsigned hotplug_places = 0;  // for devices that come while the guest runs
};

// Host memory that the pc board shows in parts, at places that its guest chooses. Page-aligned, and
// valid for as long as the GuestMemory. Its contents stay when the board is reset.
struct PcMemory {
    std::span<std::byte> shadow;  // MemoryMap::kShadow
    std::span<std::byte> rom;     // firmware, of 4 KiB to 16 MiB; empty: none
    std::span<std::byte> flash;   // its variables, right below `rom`; empty: none
};

// Told that the guest has let go of a device that came while it ran: Board::remove_ejected() may
// follow. From any thread, with locks of devices held: it may only pass that on.
class EjectListener {
public:
    virtual void on_device_ejected() = 0;

protected:
    ~EjectListener() = default;
};

struct BoardServices {
    GuestMemory& memory;
    const Clock& clock;
    TimerService& timers;
    MachineControl& control;
    EngineApics* engine_apics = nullptr;   // null: the board makes the local APICs
    PcMemory pc_memory = {};               // of a pc
    EngineDoorbells* doorbells = nullptr;  // null: all accesses come from vCPUs
    EjectListener* ejected = nullptr;      // null: nobody wants to know
};

class Board {
public:
    static constexpr unsigned kMaxCpus = 255;  // xAPIC ids 0..254

    static Result<std::unique_ptr<Board>> create(const BoardConfig& config,
                                                 const BoardServices& services);
    ~Board();
    Board(const Board&) = delete;
    Board& operator=(const Board&) = delete;

    static MemoryLayout memory_layout(BoardKind kind) {
        return kind == BoardKind::pc ? MemoryLayout::pc : MemoryLayout::compact;
    }
    const MemoryMap& memory_map() const;

    // What an engine's vCPU is made with.
    VcpuWiring vcpu_wiring(unsigned index, VcpuWaker& waker);
    CpuIo& cpu_io(unsigned index);
    CpuInterrupts& cpu_interrupts(unsigned index);  // not with the engine's own local APICs
    void attach_vcpu(unsigned index, VcpuSignals& signals);

    // What the back ends call. console_client() is null without a virtio console.
    CharClient& serial_client();
    CharClient* console_client();
    VsockClient* vsock_client();  // null without a socket device

    // Of each network card, in the order of the configuration; from any thread.
    std::span<const NetStatistics* const> net_statistics() const;

    // While they are held, nothing comes from the networks and sockets. On the thread that built
    // the board.
    void hold_networks(bool held);

    // Null without a VGA, or without a keyboard controller. From any thread.
    DisplaySource* display();
    InputSink* input();

    // What firmware would have done before a kernel starts: ACPI tables, PCI BARs. After create()
    // and each reset(). Gives the address of the RSDP.
    Result<Gpa> prepare_direct_boot();

    void press_power_button();
    // How much of its RAM the guest is asked to get along with, in bytes; false without a balloon.
    bool set_balloon_target(uint64_t bytes);
    // As the guest told last, and it is asked for news. Nothing without a balloon.
    std::optional<BalloonStatistics> balloon_statistics();
    // Of a board that has one: the guest is told. From any thread.
    void set_generation_id(const GenerationId& id);

    // Devices on the bus virtio that come and go, on the thread that built the board, while vCPUs
    // run or not. plug_*() gives the device's number on the PCI bus; fails with ErrorCode::busy
    // when no place is free. Saved states have what is plugged, and load where the same is plugged.
    Result<unsigned> plug_disk(const DiskConfig& disk);
    Result<unsigned> plug_net(const NetConfig& net);
    // The guest is asked to let go of it; it may take its time, or never do so. A reset ends it.
    void request_unplug(unsigned device);
    // Whether the guest has let go of it: then it is destroyed, and its back end is free.
    bool remove_ejected(unsigned device);
    unsigned hotplug_places() const;
    // On the same thread: calls `resize` while nothing of the guest's is in flight to the disk,
    // which is one of the board's, and tells the guest how large it is then. Fails with
    // ErrorCode::unsupported for one that is not on the bus virtio.
    Result<void> resize_disk(const BlockBackend& disk, const std::function<Result<void>()>& resize);

    void reset();
    void save(StateWriter& writer) const;
    // On an error the board is as after reset().
    Result<void> restore(StateReader& reader);

    struct Parts;  // boards/board_parts.hpp

private:
    explicit Board(std::unique_ptr<Parts> parts);
    void reset_chips();
    Result<void> restore_chips(StateReader& reader);

    std::unique_ptr<Parts> parts_;
};

}  // namespace banyan
