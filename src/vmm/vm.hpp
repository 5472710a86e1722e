// Vm: one virtual machine: memory, board, engine and back ends, made from a VmConfig.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/block/image_disk.hpp"
#include "backends/char/char_file.hpp"
#include "backends/fs/directory_share.hpp"
#include "backends/vsock/vsock_sockets.hpp"
#include "host/linux/entropy.hpp"
#include "host/linux/guest_ram.hpp"
#include "host/linux/host_clock.hpp"
#include "host/linux/host_timers.hpp"
#include "host/linux/perf_map.hpp"
#include "host/linux/ram_reclaimer.hpp"
#include "machine/boards/board.hpp"
#include "vm/guest_memory.hpp"
#include "vmm/console.hpp"
#include "vmm/cpu_throttle.hpp"
#include "vmm/disk_room.hpp"
#include "vmm/engine_choice.hpp"
#include "vmm/firmware_image.hpp"
#include "vmm/hot_devices.hpp"
#include "vmm/lifecycle.hpp"
#include "vmm/networks.hpp"
#include "vmm/vm_api.hpp"
#include "vmm/vm_debugger.hpp"

namespace banyan {

class Vm final : public VmApi {
public:
    // `config` is valid. The guest is ready to execute its first instruction.
    static Result<std::unique_ptr<Vm>> create(const VmConfig& config, const EngineChoice& engine,
                                              EventLoop& loop);
    ~Vm() override;

    const VmConfig& config() const override { return config_; }
    std::array<uint8_t, 16> uuid() const override;
    std::string_view engine_reason() const override { return engine_reason_; }
    std::string_view engine_name() const override { return engine_->name(); }
    std::vector<Statistics> statistics() const override;
    std::vector<Statistics> net_statistics() const override;
    std::vector<int> vcpu_threads() const override;
    std::vector<DiskFacts> disks() const override;
    std::string_view console_place() const override { return console_->place(); }
    VmOutcome run() override;
    void stop(std::string_view why, VmCause cause) override { lifecycle_->stop(why, cause); }
    void pause(PauseReason why) override;
    void resume(PauseReason why) override;
    VmState state() const override;
    void press_power_button() override;
    void reset() override { lifecycle_->reset(); }
    void retry_disk_writes() override;
    void add_observer(VmObserver& observer) override { observers_.push_back(&observer); }
    void remove_observer(VmObserver& observer) override { std::erase(observers_, &observer); }
    DisplaySource* display() override { return board_->display(); }
    InputSink* input() override { return board_->input(); }
    Result<void> set_balloon_target(uint64_t bytes) override;
    std::optional<BalloonStatistics> balloon_statistics() override {
        return board_->balloon_statistics();
    }
    Result<void> publish(const PublishedPort& port) override;
    Result<void> unpublish(const PublishedPort& port) override;
    std::vector<PublishedPort> published() const override;
    Result<void> capture_frames(size_t card, const std::string& socket) override;
    Result<void> set_net_rate(size_t card, uint64_t bytes_per_second) override;
    std::vector<uint64_t> net_rates() const override;
    Result<std::string> add_disk(const std::string& id, const DiskFile& disk) override;
    Result<std::string> add_net(const std::string& id, const NetChoice& net) override;
    Result<void> remove_device(const std::string& id) override;
    std::vector<DeviceFacts> devices() const override;
    Result<void> resize_disk(const std::string& name, uint64_t bytes) override;
    CpuTimes cpu_times() const override;
    void set_cpu_rate(std::optional<uint64_t> rate) override { throttle_->set_rate(rate); }
    VmDebug& debug() override { return *debugger_; }

private:
    Vm(const VmConfig& config, EventLoop& loop);

    Result<void> create_memory();
    Result<void> create_vga_memory();
    Result<void> create_pc_memory();
    BoardKind board_kind() const;
    PcMemory pc_memory() const;
    Result<void> create_back_ends(EventLoop& loop);
    PortPublisher* port_publisher() const;
    Result<void> create_hot_devices(EventLoop& loop);
    Result<void> create_shares();
    Result<void> create_engine(const EngineChoice& choice, EventLoop& loop);
    Result<void> create_board(EventLoop& loop);
    Result<void> create_vcpus();
    Result<void> create_debugger(EventLoop& loop);
    BoardConfig board_config();
    Result<void> boot();
    Result<void> boot_firmware();
    Result<void> open_boot_files();
    Result<void> boot_kernel();
    Result<void> restart();
    void resume_clock();
    void drain_back_ends();
    Result<std::string> choose_id(const std::string& wanted, std::string_view kind) const;
    void pause_for_disk(const std::string& disk, const std::string& why);
    void tell(const VmEvent& event) const;
    unsigned& pauses(PauseReason why) { return pauses_[static_cast<size_t>(why)]; }
    unsigned pauses(PauseReason why) const { return pauses_[static_cast<size_t>(why)]; }

    // Destroyed from the last to the first: timers and back ends call into the board, the board
    // into the vCPUs.
    struct BootFiles;
    const VmConfig config_;
    EventLoop& loop_;
    std::unique_ptr<BootFiles> boot_files_;  // null: firmware boots
    std::string engine_reason_;
    std::vector<VmObserver*> observers_;
    std::array<unsigned, kPauseReasons> pauses_{};
    enum class Progress : uint8_t { created, begun, ended };
    Progress progress_ = Progress::created;
    HostClock clock_;
    HostTimers timers_;
    HostEntropy entropy_;
    std::unique_ptr<GuestRam> ram_;
    std::unique_ptr<GuestRam> vga_memory_;  // null: there is no VGA
    std::vector<std::byte> vga_rom_;
    std::unique_ptr<GuestRam> shadow_;         // of a pc
    std::unique_ptr<FirmwareImage> firmware_;  // null: a kernel is started
    GuestMemory memory_;
    std::unique_ptr<RamReclaimer> reclaimer_;  // null: there is no balloon
    std::unique_ptr<Console> console_;
    std::unique_ptr<CharFile> debugcon_;
    std::unique_ptr<VsockSockets> vsock_;  // null: there is no socket device
    std::unique_ptr<DiskRoom> disk_room_;
    std::vector<std::unique_ptr<ImageDisk>> disks_;
    std::vector<std::unique_ptr<ImageDisk>> floppies_;
    std::vector<Network> networks_;
    std::unique_ptr<HotDevices> hot_devices_;
    std::vector<std::unique_ptr<DirectoryShare>> shares_;
    GenerationId generation_id_{};       // a reboot keeps it
    std::unique_ptr<PerfMap> perf_map_;  // null: not wanted
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<Lifecycle> lifecycle_;
    std::unique_ptr<Board> board_;
    std::unique_ptr<VmDebugger> debugger_;
    std::unique_ptr<CpuThrottle> throttle_;
};

}  // namespace banyan
