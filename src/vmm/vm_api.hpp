// The view that the command line, control protocols and the manager have of one VM.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/block/disk_counts.hpp"
#include "support/result.hpp"
#include "vm/balloon_statistics.hpp"
#include "vm/statistics.hpp"
#include "vmm/vm_config.hpp"
#include "vmm/vm_debug.hpp"
#include "vmm/vm_event.hpp"
#include "vmm/vm_outcome.hpp"

namespace banyan {

class DisplaySource;
class EventLoop;
class InputSink;

// A disk, CD or floppy drive of a VM.
struct DiskFacts {
    std::string name;  // "disk0", "cdrom0", "floppy0": of their kind, in the order of the options
    std::string file;
    std::string format;
    uint64_t size = 0;  // bytes, as the guest sees it
    bool read_only = false;
    bool removable = false;
    DiskCache cache = DiskCache::writeback;
    DiskLimits limits = {};
    DiskCounts counts = {};
};

// A disk or network card of a VM.
struct DeviceFacts {
    enum class Kind : uint8_t { disk, net };
    enum class State : uint8_t {
        fixed,    // there from the start: it cannot be removed
        added,    // while the VM runs
        leaving,  // its guest was asked to let go of it
    };
    std::string id;
    Kind kind = Kind::disk;
    State state = State::fixed;
    std::string what;  // a disk's file; "nat", "tap=IFACE" or "switch=NAME"
};

// Of all vCPUs together, since they began to run. Nanoseconds.
struct CpuTimes {
    uint64_t used = 0;    // on the host's CPUs
    uint64_t waited = 0;  // for one of them
    uint64_t held = 0;    // by set_cpu_rate(), of the VM's time
};

class VmApi {
public:
    virtual ~VmApi() = default;

    // What it was made from.
    virtual const VmConfig& config() const = 0;
    // Of the machine, in the order in which it is written.
    virtual std::array<uint8_t, 16> uuid() const = 0;
    // One line: which engine executes the guest, and why that one.
    virtual std::string_view engine_reason() const = 0;
    // The engine's short name.
    virtual std::string_view engine_name() const = 0;
    // What each vCPU has counted, "instructions" first. From any thread.
    virtual std::vector<Statistics> statistics() const = 0;
    // What each network card has moved and dropped. From any thread.
    virtual std::vector<Statistics> net_statistics() const { return {}; }
    // The host's numbers of the threads that run the vCPUs; 0 before they run. From any thread.
    virtual std::vector<int> vcpu_threads() const = 0;
    // On the event loop's thread.
    virtual std::vector<DiskFacts> disks() const = 0;
    // Where the console is, if the user must know ("/dev/pts/3"); else empty.
    virtual std::string_view console_place() const = 0;

    // From the first instruction to the end. Runs the event loop on the calling thread. Once.
    virtual VmOutcome run() = 0;

    // Ends run(). From any thread. `why` completes "the VM was ended: ...".
    virtual void stop(std::string_view why, VmCause cause) = 0;
    // The guest and its time stand still between these two; several may pause at once. On the
    // event loop's thread, during run().
    virtual void pause(PauseReason why) = 0;
    virtual void resume(PauseReason why) = 0;
    // On the event loop's thread.
    virtual VmState state() const = 0;
    // As the buttons of a machine's case. A guest sees the power button when it likes, if at all;
    // the machine is reset soon, by the event loop. On its thread, during run().
    virtual void press_power_button() = 0;
    virtual void reset() = 0;
    // Tries at once to write what the host had no room for; it is tried now and then anyway. On the
    // event loop's thread.
    virtual void retry_disk_writes() = 0;

    // Called until it is removed. On the event loop's thread, or while it does not run.
    virtual void add_observer(VmObserver& observer) = 0;
    virtual void remove_observer(VmObserver& observer) = 0;

    // The guest's screen; null if it has none. Both live as long as the VM; from any thread.
    virtual DisplaySource* display() = 0;
    // Its keyboard and mouse; null if it has none.
    virtual InputSink* input() = 0;

    // How much of its memory the guest is asked to get along with, in bytes. It may take its time,
    // or not follow. Fails where there is no balloon. From any thread.
    virtual Result<void> set_balloon_target(uint64_t bytes);
    // As the guest told last; each call asks it for news. Nothing where there is no balloon. From
    // any thread.
    virtual std::optional<BalloonStatistics> balloon_statistics() { return std::nullopt; }

    // Ports of the host that lead to the guest, by the first card that can: --publish. Fails where
    // there is none. From any thread.
    virtual Result<void> publish(const PublishedPort& port);
    virtual Result<void> unpublish(const PublishedPort& port);
    virtual std::vector<PublishedPort> published() const { return {}; }

    // Frames of the card of that number from now on, as FrameRecords (backends/net), for who
    // listens at that Unix socket, until he goes. From any thread.
    virtual Result<void> capture_frames(size_t card, const std::string& socket);
    // What passes to and from the card, each, in bytes a second; 0: no limit. From any thread.
    virtual Result<void> set_net_rate(size_t card, uint64_t bytes_per_second);
    virtual std::vector<uint64_t> net_rates() const { return {}; }

    // Devices come and go while the VM runs. All on the event loop's thread.
    //
    // An empty id: the next of its kind, "disk1" or "net1". Gives the id. Fails on an id that is
    // taken or no id, on what cannot be opened, and with ErrorCode::busy when there is no room.
    virtual Result<std::string> add_disk(const std::string& id, const DiskFile& disk);
    virtual Result<std::string> add_net(const std::string& id, const NetChoice& net);
    // Asks the guest to let go of it. VmEvent::Kind::removed tells when it has, which may be never.
    virtual Result<void> remove_device(const std::string& id);
    virtual std::vector<DeviceFacts> devices() const { return {}; }
    // Makes the disk of this name larger, and tells the guest.
    virtual Result<void> resize_disk(const std::string& name, uint64_t bytes);

    // From any thread.
    virtual CpuTimes cpu_times() const { return {}; }
    // The vCPUs together get no more CPU time than this, in microseconds a second, from now on:
    // they are held for some milliseconds at a time. Nothing: as much as the host has. By one
    // thread.
    virtual void set_cpu_rate(std::optional<uint64_t>) {}

    // For a debugger; lives as long as the VM.
    virtual VmDebug& debug() = 0;
};

// The loop must outlive the VM.
Result<std::unique_ptr<VmApi>> create_vm(const VmConfig& config, EventLoop& loop);

}  // namespace banyan
