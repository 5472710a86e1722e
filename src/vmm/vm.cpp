#include "vmm/vm.hpp"

#include "arch/x86/register_state.hpp"
#include "host/linux/input_file.hpp"
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

// Opened at each boot, as firmware would read them.
struct BootFiles {
    BootFile kernel;
    std::vector<BootFile> initrds;
    std::vector<loader::ModuleFile> modules;  // point to initrds
};

Result<BootFiles> open_boot_files(const VmConfig& config) {
    TRY_ASSIGN(kernel, InputFile::open(config.kernel, config.memory, "read the kernel"));
    BootFiles files{BootFile(std::move(kernel)), {}, {}};
    for (const InitrdFile& initrd : config.initrds) {
        TRY_ASSIGN(file, InputFile::open(initrd.path, config.memory, "read the initrd"));
        files.initrds.emplace_back(std::move(file));
    }
    for (size_t i = 0; i < files.initrds.size(); ++i)
        files.modules.push_back(
            {config.initrds[i].path, config.initrds[i].arguments, &files.initrds[i]});
    return files;
}

std::optional<MachineEvent> event_of(WatchdogAction action) {
    switch (action) {
        case WatchdogAction::none: break;
        case WatchdogAction::reset: return MachineEvent::reset;
        case WatchdogAction::power_off: return MachineEvent::power_off;
    }
    return std::nullopt;
}

}  // namespace

Result<std::unique_ptr<VmApi>> create_vm(const VmConfig& config, EventLoop& loop) {
    TRY(validate(config));
    TRY_ASSIGN(engine, choose_engine(config.engine));
    return Vm::create(config, engine, loop);
}

Result<std::unique_ptr<Vm>> Vm::create(const VmConfig& config, const EngineChoice& engine,
                                       EventLoop& loop) {
    auto vm = std::unique_ptr<Vm>(new Vm(config));
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
Vm::Vm(const VmConfig& config) : config_(config), clock_(find_host_tsc()), timers_(clock_) {
    clock_.pause();
    timers_.clock_changed();
}

Vm::~Vm() {
    if (lifecycle_ != nullptr) lifecycle_->vcpus().stop();
    if (console_ != nullptr) console_->disconnect();
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
    TRY_ASSIGN(room, DiskRoom::create(loop, {[this] { pause(); }, [this] { resume(); }}));
    disk_room_ = std::move(room);
    for (const DiskFile& disk : config_.disks) {
        TRY_ASSIGN(image, ImageDisk::open({.path = disk.path,
                                           .format = disk.format,
                                           .read_only = disk.read_only,
                                           .cache = disk.cache,
                                           .limits = disk.limits,
                                           .room_listener = disk_room_.get()}));
        disks_.push_back(std::move(image));
    }
    for (const DiskFile& disk : config_.floppies) {
        TRY_ASSIGN(image, ImageDisk::open({disk.path, disk.format, disk.read_only}));
        floppies_.push_back(std::move(image));
    }
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
            {.leave = [this] { stop("Ctrl-] was typed"); },
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
    for (size_t i = 0; i < shares_.size(); ++i)
        board.shares.push_back({shares_[i].get(), config_.shares[i].tag});
    if (config_.rng) board.rng = &entropy_;
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
    return board;
}

Result<void> Vm::create_engine(const EngineChoice& choice, EventLoop& loop) {
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
        [this](unsigned index, const DebugStop& why) { debugger_->on_vcpu_stop(index, why); }};
    TRY_ASSIGN(lifecycle, Lifecycle::create(loop, std::move(life)));
    lifecycle_ = std::move(lifecycle);
    TRY_ASSIGN(board, Board::create(board_config(),
                                    {memory_, clock_, timers_, *lifecycle_, engine_->apics(),
                                     pc_memory(), engine_->doorbells()}));
    board_ = std::move(board);
    return {};
}

Result<void> Vm::create_vcpus() {
    VcpuGroup& vcpus = lifecycle_->vcpus();
    for (unsigned i = 0; i < config_.cpus; ++i) {
        TRY_ASSIGN(vcpu, engine_->create_vcpu(board_->vcpu_wiring(i, vcpus.waker(i))));
        board_->attach_vcpu(i, vcpu->signals());
        vcpus.attach(i, std::move(vcpu));
    }
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

Result<void> Vm::boot_kernel() {
    TRY_ASSIGN(rsdp, board_->prepare_direct_boot());
    TRY_ASSIGN(files, open_boot_files(config_));
    TRY_ASSIGN(entry, loader::load_kernel({.kernel_name = config_.kernel,
                                           .kernel = &files.kernel,
                                           .modules = files.modules,
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
    for (const auto& share : shares_)
        share->drain();
}

VmOutcome Vm::run() {
    if (auto connected = console_->connect(board_->serial_client()); !connected) {
        return {.end = VmEnd::failed, .message = std::string(connected.error().text())};
    }
    if (lifecycle_->vcpus().pauses() == 0) resume_clock();
    VmOutcome outcome = lifecycle_->run();
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

void Vm::pause() {
    lifecycle_->vcpus().pause();
    if (EngineDoorbells* doorbells = engine_->doorbells()) doorbells->deliver();
    clock_.pause();
    timers_.clock_changed();
}

void Vm::resume_clock() {
    clock_.resume();
    timers_.clock_changed();
    engine_->clock_changed();
}

void Vm::resume() {
    VcpuGroup& vcpus = lifecycle_->vcpus();
    if (vcpus.pauses() == 1) resume_clock();
    vcpus.resume();
}

}  // namespace banyan
