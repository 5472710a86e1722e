#include "vmm/vm.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "arch/x86/register_state.hpp"
#include "cpu/interp/native_thunk.hpp"
#include "host/linux/input_file.hpp"
#include "host/linux/thread_times.hpp"
#include "loader/loader.hpp"
#include "machine/memory_map.hpp"
#include "support/log.hpp"
#include "vmm/machine_uuid.hpp"

namespace banyan {

namespace {

constexpr const char* kVgaBios = "/usr/share/seabios/vgabios-stdvga.bin";
constexpr uint64_t kLargestVgaBios = uint64_t{1} << 20;

// A file of the host's, as the loader wants it.
class BootFile final : public loader::ImageFile {
public:
    explicit BootFile(InputFile file) : file_(std::move(file)) {}

    uint64_t size() const override { return file_.size(); }
    Result<void> read(uint64_t offset, std::span<std::byte> to) const override {
        return file_.read(offset, to);
    }

private:
    InputFile file_;
};

std::optional<MachineEvent> event_of(WatchdogAction action) {
    switch (action) {
        case WatchdogAction::none: break;
        case WatchdogAction::reset: return MachineEvent::reset;
        case WatchdogAction::power_off: return MachineEvent::power_off;
    }
    return std::nullopt;
}

// Of its kind, counted from 0.
std::string name_of_disk(const VmConfig& config, size_t index) {
    const DiskMedium medium = config.disks[index].medium;
    const auto before =
        std::count_if(config.disks.begin(), config.disks.begin() + static_cast<ptrdiff_t>(index),
                      [&](const DiskFile& disk) { return disk.medium == medium; });
    return fmt::format("{}{}", medium == DiskMedium::cdrom ? "cdrom" : "disk", before);
}

DiskFacts facts_of(const DiskFile& file, const ImageDisk& disk, std::string name) {
    return {.name = std::move(name),
            .file = file.path,
            .format = std::string(name_of(disk.format())),
            .size = disk.size_bytes(),
            .read_only = disk.read_only(),
            .removable = file.medium == DiskMedium::cdrom,
            .cache = file.cache,
            .limits = file.limits,
            .counts = disk.counts()};
}

}  // namespace

// Opened once, and read at each boot, as firmware would: a VM that runs opens no files.
struct Vm::BootFiles {
    BootFile kernel;
    std::vector<BootFile> initrds;
    std::vector<loader::ModuleFile> modules;  // point to initrds
};

Result<std::unique_ptr<VmApi>> create_vm(const VmConfig& config, EventLoop& loop) {
    TRY(validate(config));
    TRY_ASSIGN(engine, choose_engine(config.engine));
    return Vm::create(config, engine, loop);
}

Result<void> VmApi::set_balloon_target(uint64_t) {
    return fail(ErrorCode::unsupported,
                "set the memory target: the VM has no balloon; start it with --balloon on");
}

namespace {

tl::unexpected<Error> no_publisher(std::string_view action, const PublishedPort& port) {
    return fail(ErrorCode::unsupported,
                fmt::format("{} {}: the VM has no network where ports are published; start it "
                            "with --net nat",
                            action, to_text(port)));
}

tl::unexpected<Error> no_card(std::string_view action, size_t card) {
    return fail(ErrorCode::not_found,
                fmt::format("{}: the VM has no network card {}; the first is 0", action, card));
}

}  // namespace

Result<void> VmApi::publish(const PublishedPort& port) {
    return no_publisher("publish", port);
}

Result<void> VmApi::unpublish(const PublishedPort& port) {
    return no_publisher("unpublish", port);
}

Result<void> VmApi::capture_frames(size_t card, const std::string&) {
    return no_card("capture", card);
}

Result<void> VmApi::set_net_rate(size_t card, uint64_t) {
    return no_card("limit the rate", card);
}

Result<std::unique_ptr<Vm>> Vm::create(const VmConfig& config, const EngineChoice& engine,
                                       EventLoop& loop) {
    auto vm = std::unique_ptr<Vm>(new Vm(config, loop));
    vm->engine_reason_ = engine.reason;
    TRY(vm->create_memory());
    if (has_vga(config)) TRY(vm->create_vga_memory());
    TRY(vm->create_back_ends(loop));
    TRY(vm->create_engine(engine, loop));
    TRY(vm->create_board(loop));
    TRY(vm->create_vcpus());
    TRY(vm->create_debugger(loop));
    TRY(vm->boot());
    return vm;
}

// Time stands still until run().
Vm::Vm(const VmConfig& config, EventLoop& loop)
    : config_(config), loop_(loop), clock_(find_host_tsc()), timers_(clock_) {
    clock_.pause();
    timers_.clock_changed();
}

Vm::~Vm() {
    if (lifecycle_ != nullptr) lifecycle_->vcpus().stop();
    if (console_ != nullptr) console_->disconnect();
    if (vsock_ != nullptr) vsock_->disconnect();
    drain_back_ends();
}

Result<void> Vm::create_memory() {
    TRY_ASSIGN(map, MemoryMap::create(config_.memory, Board::memory_layout(board_kind())));
    uint64_t size = 0;
    for (const GpaRange& range : map.ram())
        size = GuestRam::place_for(range.start, size) + range.length;
    TRY_ASSIGN(ram, GuestRam::create(size));
    ram_ = std::move(ram);
    uint64_t end = 0;
    for (const GpaRange& range : map.ram()) {
        const uint64_t offset = GuestRam::place_for(range.start, end);
        end = offset + range.length;
        TRY(memory_.add_region(range.start, ram_->bytes().subspan(offset, range.length),
                               MemoryKind::ram));
    }
    if (config_.balloon) reclaimer_ = std::make_unique<RamReclaimer>(memory_, *ram_);
    return board_kind() == BoardKind::pc ? create_pc_memory() : Result<void>();
}

Result<void> Vm::create_pc_memory() {
    TRY_ASSIGN(shadow, GuestRam::create(MemoryMap::kShadow.length));
    shadow_ = std::move(shadow);
    if (!config_.kernel.empty()) return {};
    TRY_ASSIGN(firmware, FirmwareImage::load(config_.firmware));
    firmware_ = std::move(firmware);
    return {};
}

// Debian's package seabios has the VGA BIOS. Without it firmware has no screen, and a kernel's text
// no characters before it loads its own.
Result<void> Vm::create_vga_memory() {
    TRY_ASSIGN(memory, GuestRam::create(VgaConfig::kMemorySize, GuestRam::Pages::small));
    vga_memory_ = std::move(memory);
    const auto rom = InputFile::open(kVgaBios, kLargestVgaBios, "read the VGA BIOS");
    if (!rom) {
        LOG_INFO("vm", "the VGA has no BIOS: %s", std::string(rom.error().text()).c_str());
        return {};
    }
    vga_rom_.resize(rom->size());
    return rom->read(0, vga_rom_);
}

BoardKind Vm::board_kind() const {
    return config_.machine == MachineKind::pc ? BoardKind::pc : BoardKind::micro;
}

PcMemory Vm::pc_memory() const {
    PcMemory memory;
    if (shadow_ != nullptr) memory.shadow = shadow_->bytes();
    if (firmware_ != nullptr) {
        memory.rom = firmware_->rom();
        memory.flash = firmware_->flash();
    }
    return memory;
}

Result<void> Vm::create_back_ends(EventLoop& loop) {
    TRY_ASSIGN(room,
               DiskRoom::create(loop, {[this](const std::string& disk, const std::string& why) {
                                           pause_for_disk(disk, why);
                                       },
                                       [this] { resume(PauseReason::disk_full); }}));
    disk_room_ = std::move(room);
    for (const DiskFile& disk : config_.disks) {
        TRY_ASSIGN(image, ImageDisk::open({.path = disk.path,
                                           .format = disk.format,
                                           .read_only = disk.read_only,
                                           .cache = disk.cache,
                                           .limits = disk.limits,
                                           .room_listener = &disk_room_->listener(
                                               name_of_disk(config_, disks_.size()))}));
        disks_.push_back(std::move(image));
    }
    for (const DiskFile& disk : config_.floppies) {
        TRY_ASSIGN(image, ImageDisk::open({disk.path, disk.format, disk.read_only}));
        floppies_.push_back(std::move(image));
    }
    if (config_.vsock) {
        TRY_ASSIGN(sockets, VsockSockets::create(loop, config_.vsock->path));
        vsock_ = std::move(sockets);
    }
    for (size_t i = 0; i < config_.nets.size(); ++i) {
        const auto mac = mac_address(config_.name, config_.nets[i], name_of_card(i));
        TRY_ASSIGN(network, open_network(config_.name, config_.nets[i], mac, loop));
        networks_.push_back(std::move(network));
    }
    TRY(create_hot_devices(loop));
    TRY(create_shares());
    entropy_.fill(std::as_writable_bytes(std::span(generation_id_)));
    if (!config_.debugcon.empty()) {
        TRY_ASSIGN(file, CharFile::create(config_.debugcon, "write the debug console to"));
        debugcon_ = std::move(file);
    }
    TRY_ASSIGN(
        console,
        Console::create(
            config_.console, loop,
            {.leave = [this] { stop("Ctrl-] was typed", VmCause::host_ui); },
             .output_lost = [this](const std::string& why) { lifecycle_->lose_console(why); }}));
    console_ = std::move(console);
    return {};
}

Result<void> Vm::create_shares() {
    if (config_.shares.empty()) return {};
    const DescriptorShare descriptors = descriptors_for_share(config_.shares.size());
    for (const SharedDirectory& share : config_.shares) {
        FuseServerConfig server{
            .directory = share.path, .read_only = share.read_only, .cache = share.cache};
        server.inodes.open_paths = descriptors.open_paths;
        server.inodes.kept_paths = descriptors.kept_paths;
        server.handles = descriptors.handles;
        TRY_ASSIGN(directory, DirectoryShare::open(server));
        shares_.push_back(std::move(directory));
    }
    return {};
}

BoardConfig Vm::board_config() {
    BoardConfig board;
    board.kind = board_kind();
    board.cpu_count = config_.cpus;
    board.ram_size = config_.memory;
    board.serial = console_->port();
    for (size_t i = 0; i < disks_.size(); ++i) {
        const DiskFile& disk = config_.disks[i];
        board.disks.push_back({disks_[i].get(), disk.serial, disk.bus, disk.medium});
    }
    for (size_t i = 0; i < networks_.size(); ++i) {
        board.nets.push_back({.backend = networks_[i].backend.get(),
                              .mac = mac_address(config_.name, config_.nets[i], name_of_card(i)),
                              .model = config_.nets[i].model,
                              .mtu = networks_[i].mtu,
                              .queue_pairs = config_.nets[i].queue_pairs});
    }
    for (size_t i = 0; i < shares_.size(); ++i)
        board.shares.push_back({shares_[i].get(), config_.shares[i].tag});
    if (config_.rng) board.rng = &entropy_;
    board.balloon = reclaimer_.get();
    if (vsock_ != nullptr) board.vsock = VsockPort{config_.vsock->cid, vsock_.get()};
    board.debug_exit_port = config_.debug_exit_port;
    board.debugcon = debugcon_.get();
    if (vga_memory_ != nullptr) board.vga = VgaConfig{vga_memory_->bytes(), vga_rom_};
    board.firmware = {.uuid = machine_uuid(config_.name),
                      .on_serial = config_.console.kind != ConsoleKind::none,
                      .boot_first = config_.boot_first};
    for (const auto& floppy : floppies_)
        board.floppies.push_back(floppy.get());
    board.watchdog = event_of(config_.watchdog);
    board.generation_id = generation_id_;
    board.hotplug_places = config_.hotplug_places;
    return board;
}

Result<void> Vm::create_engine(const EngineChoice& choice, EventLoop& loop) {
    (void)interp::ThunkCache::instance();  // a VM that runs makes no memory executable
    if (config_.perf_map) {
        TRY_ASSIGN(map, PerfMap::create());
        perf_map_ = std::move(map);
    }
    TRY_ASSIGN(engine, choice.create({&memory_, &clock_, config_.cpus, perf_map_.get(), &loop},
                                     config_.cpu_model));
    engine_ = std::move(engine);
    return {};
}

Result<void> Vm::create_board(EventLoop& loop) {
    LifecycleConfig life{
        config_.cpus, config_.reboot, [this] { return restart(); },
        [this](unsigned index, const DebugStop& why) { debugger_->on_vcpu_stop(index, why); },
        [this](const VmEvent& event) { tell(event); }};
    TRY_ASSIGN(lifecycle, Lifecycle::create(loop, std::move(life)));
    lifecycle_ = std::move(lifecycle);
    TRY_ASSIGN(board,
               Board::create(board_config(),
                             {memory_, clock_, timers_, *lifecycle_, engine_->apics(), pc_memory(),
                              engine_->doorbells(), &hot_devices_->eject_listener()}));
    board_ = std::move(board);
    hot_devices_->connect(*board_);
    if (vsock_ != nullptr) vsock_->connect_client(*board_->vsock_client());
    if (config_.balloon_target != 0) TRY(set_balloon_target(config_.balloon_target));
    return {};
}

Result<void> Vm::create_vcpus() {
    VcpuGroup& vcpus = lifecycle_->vcpus();
    for (unsigned i = 0; i < config_.cpus; ++i) {
        TRY_ASSIGN(vcpu, engine_->create_vcpu(board_->vcpu_wiring(i, vcpus.waker(i))));
        board_->attach_vcpu(i, vcpu->signals());
        vcpus.attach(i, std::move(vcpu));
    }
    throttle_ = std::make_unique<CpuThrottle>(vcpus);
    return {};
}

Result<void> Vm::create_debugger(EventLoop& loop) {
    TRY_ASSIGN(debugger, VmDebugger::create(loop, {*this, *lifecycle_, memory_}));
    debugger_ = std::move(debugger);
    return {};
}

Result<void> Vm::boot() {
    return config_.kernel.empty() ? boot_firmware() : boot_kernel();
}

// The boot processor begins at its reset vector, the others wait for it.
Result<void> Vm::boot_firmware() {
    VcpuGroup& vcpus = lifecycle_->vcpus();
    for (unsigned i = 0; i < vcpus.size(); ++i)
        vcpus.vcpu(i).reset();
    return {};
}

Result<void> Vm::open_boot_files() {
    TRY_ASSIGN(kernel, InputFile::open(config_.kernel, config_.memory, "read the kernel"));
    auto files = std::make_unique<BootFiles>(BootFiles{BootFile(std::move(kernel)), {}, {}});
    for (const InitrdFile& initrd : config_.initrds) {
        TRY_ASSIGN(file, InputFile::open(initrd.path, config_.memory, "read the initrd"));
        files->initrds.emplace_back(std::move(file));
    }
    for (size_t i = 0; i < files->initrds.size(); ++i)
        files->modules.push_back(
            {config_.initrds[i].path, config_.initrds[i].arguments, &files->initrds[i]});
    boot_files_ = std::move(files);
    return {};
}

Result<void> Vm::boot_kernel() {
    TRY_ASSIGN(rsdp, board_->prepare_direct_boot());
    if (boot_files_ == nullptr) TRY(open_boot_files());
    TRY_ASSIGN(entry, loader::load_kernel({.kernel_name = config_.kernel,
                                           .kernel = &boot_files_->kernel,
                                           .modules = boot_files_->modules,
                                           .command_line = config_.command_line,
                                           .memory_map = board_->memory_map().e820(),
                                           .rsdp = rsdp,
                                           .vga_text = vga_memory_ != nullptr},
                                          memory_));
    VcpuGroup& vcpus = lifecycle_->vcpus();
    for (unsigned i = 0; i < vcpus.size(); ++i) {
        x86::RegisterState state;
        vcpus.vcpu(i).get_state(state);
        loader::apply_firmware_state(state);
        if (i == 0) loader::apply(entry, state);
        TRY(vcpus.vcpu(i).set_state(state));
    }
    return {};
}

Result<void> Vm::restart() {
    drain_back_ends();
    debugger_->forget_memory();
    board_->reset();
    VcpuGroup& vcpus = lifecycle_->vcpus();
    for (unsigned i = 0; i < vcpus.size(); ++i)
        vcpus.vcpu(i).reset();
    return boot();
}

void Vm::drain_back_ends() {
    for (const auto& disk : disks_)
        disk->drain();
    for (const auto& floppy : floppies_)
        floppy->drain();
    if (hot_devices_ != nullptr) {
        for (const HotDevices::Disk& disk : hot_devices_->disks())
            disk.image.drain();
    }
    for (const auto& share : shares_)
        share->drain();
}

VmOutcome Vm::run() {
    if (auto connected = console_->connect(board_->serial_client()); !connected) {
        return {.end = VmEnd::failed,
                .message = std::string(connected.error().text()),
                .cause = VmCause::host_error};
    }
    progress_ = Progress::begun;
    if (lifecycle_->vcpus().pauses() == 0) resume_clock();
    VmOutcome outcome = lifecycle_->run();
    progress_ = Progress::ended;
    clock_.pause();
    console_->disconnect();
    drain_back_ends();
    return outcome;
}

std::vector<Statistics> Vm::statistics() const {
    std::vector<Statistics> all;
    VcpuGroup& vcpus = lifecycle_->vcpus();
    for (unsigned i = 0; i < vcpus.size(); ++i) {
        const Vcpu& vcpu = vcpus.vcpu(i);
        all.push_back(vcpu.statistics());
        all.back().insert(all.back().begin(), {"instructions", vcpu.instructions()});
    }
    return all;
}

Result<void> Vm::set_balloon_target(uint64_t bytes) {
    return board_->set_balloon_target(bytes) ? Result<void>() : VmApi::set_balloon_target(bytes);
}

PortPublisher* Vm::port_publisher() const {
    const auto found = std::find_if(networks_.begin(), networks_.end(),
                                    [](const Network& one) { return one.ports != nullptr; });
    return found != networks_.end() ? found->ports : nullptr;
}

Result<void> Vm::publish(const PublishedPort& port) {
    PortPublisher* const ports = port_publisher();
    return ports != nullptr ? ports->publish(port) : VmApi::publish(port);
}

Result<void> Vm::unpublish(const PublishedPort& port) {
    PortPublisher* const ports = port_publisher();
    return ports != nullptr ? ports->unpublish(port) : VmApi::unpublish(port);
}

std::vector<PublishedPort> Vm::published() const {
    const PortPublisher* const ports = port_publisher();
    return ports != nullptr ? ports->published() : std::vector<PublishedPort>();
}

Result<void> Vm::capture_frames(size_t card, const std::string& socket) {
    if (card >= networks_.size()) return VmApi::capture_frames(card, socket);
    return networks_[card].capture->stream_to(loop_, socket);
}

Result<void> Vm::set_net_rate(size_t card, uint64_t bytes_per_second) {
    if (card >= networks_.size()) return VmApi::set_net_rate(card, bytes_per_second);
    networks_[card].limit->set_rate(bytes_per_second);
    return {};
}

std::vector<uint64_t> Vm::net_rates() const {
    std::vector<uint64_t> rates;
    for (const Network& network : networks_)
        rates.push_back(network.limit->rate());
    return rates;
}

std::vector<Statistics> Vm::net_statistics() const {
    std::vector<Statistics> all;
    for (const NetStatistics* card : board_->net_statistics()) {
        Statistics& counted = all.emplace_back();
        for_each_counter(*card, [&](std::string_view name, uint64_t value) {
            counted.push_back({name, value});
        });
    }
    return all;
}

std::vector<int> Vm::vcpu_threads() const {
    std::vector<int> threads;
    const VcpuGroup& vcpus = lifecycle_->vcpus();
    for (unsigned i = 0; i < vcpus.size(); ++i)
        threads.push_back(vcpus.thread_id(i));
    return threads;
}

CpuTimes Vm::cpu_times() const {
    CpuTimes times{.held = throttle_->held()};
    for (const int thread : vcpu_threads()) {
        const ThreadTimes one = thread_times(thread);
        times.used += one.used;
        times.waited += one.waited;
    }
    return times;
}

std::vector<DiskFacts> Vm::disks() const {
    std::vector<DiskFacts> all;
    for (size_t i = 0; i < disks_.size(); ++i)
        all.push_back(facts_of(config_.disks[i], *disks_[i], name_of_disk(config_, i)));
    for (size_t i = 0; i < floppies_.size(); ++i) {
        all.push_back(facts_of(config_.floppies[i], *floppies_[i], fmt::format("floppy{}", i)));
        all.back().removable = true;
    }
    for (const HotDevices::Disk& disk : hot_devices_->disks())
        all.push_back(facts_of(disk.file, disk.image, disk.id));
    return all;
}

std::array<uint8_t, 16> Vm::uuid() const {
    return machine_uuid(config_.name);
}

VmState Vm::state() const {
    if (progress_ == Progress::created) return VmState::created;
    if (progress_ == Progress::ended) return VmState::ended;
    if (pauses(PauseReason::disk_full) != 0) return VmState::disk_full;
    if (pauses(PauseReason::debugger) != 0) return VmState::debugged;
    const bool paused = pauses(PauseReason::user) + pauses(PauseReason::host) != 0;
    return paused ? VmState::paused : VmState::running;
}

void Vm::press_power_button() {
    board_->press_power_button();
    tell({.kind = VmEvent::Kind::power_button});
}

void Vm::retry_disk_writes() {
    for (const auto& disk : disks_)
        disk->retry_held();
    for (const HotDevices::Disk& disk : hot_devices_->disks())
        disk.image.retry_held();
}

void Vm::tell(const VmEvent& event) const {
    for (VmObserver* observer : observers_)
        observer->on_vm_event(event);
}

void Vm::pause_for_disk(const std::string& disk, const std::string& why) {
    tell({.kind = VmEvent::Kind::disk_full, .disk = disk, .text = why});
    pause(PauseReason::disk_full);
}

void Vm::pause(PauseReason why) {
    if (why == PauseReason::user && pauses(why) != 0) return;
    ++pauses(why);
    lifecycle_->vcpus().pause();
    if (EngineDoorbells* doorbells = engine_->doorbells()) doorbells->deliver();
    board_->hold_networks(true);
    clock_.pause();
    timers_.clock_changed();
    if (lifecycle_->vcpus().pauses() == 1) tell({.kind = VmEvent::Kind::paused});
}

void Vm::resume_clock() {
    clock_.resume();
    timers_.clock_changed();
    engine_->clock_changed();
}

void Vm::resume(PauseReason why) {
    if (pauses(why) == 0) return;
    --pauses(why);
    VcpuGroup& vcpus = lifecycle_->vcpus();
    const bool last = vcpus.pauses() == 1;
    if (last) {
        tell({.kind = VmEvent::Kind::resumed});
        resume_clock();
        board_->hold_networks(false);
    }
    vcpus.resume();
}

}  // namespace banyan
