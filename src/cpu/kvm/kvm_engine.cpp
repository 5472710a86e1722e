#include "cpu/kvm/kvm_engine.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <optional>

#include "cpu/interp/cpu_model.hpp"
#include "cpu/kvm/kvm_apics.hpp"
#include "cpu/kvm/kvm_cpuid.hpp"
#include "cpu/kvm/kvm_doorbells.hpp"
#include "cpu/kvm/kvm_memory.hpp"
#include "cpu/kvm/kvm_probe.hpp"
#include "cpu/kvm/kvm_vcpu.hpp"

namespace banyan::kvm {

namespace {

constexpr uint64_t kHzPerKhz = 1000;

// Four pages that KVM needs for itself on Intel's processors (KVM API 4.36, 4.40): between the
// IO-APIC's and the firmware's, where the board has nothing.
constexpr uint64_t kIdentityMap = 0xFEFFC000;
constexpr uint64_t kTaskState = 0xFEFFD000;

struct Needed {
    int capability;
    std::string_view name;
};
constexpr Needed kNeeded[] = {{KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
                              {KVM_CAP_SPLIT_IRQCHIP, "KVM_CAP_SPLIT_IRQCHIP"},
                              {KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI"},
                              {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
                              {KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS"},
                              {KVM_CAP_XSAVE, "KVM_CAP_XSAVE"}};

Result<void> check_capabilities(const KvmHandle& system) {
    if (const int version = system.call(KVM_GET_API_VERSION, 0); version != KVM_API_VERSION) {
        return fail(ErrorCode::unsupported,
                    fmt::format("use the engine kvm: {} has version {} of its interface, not {}; "
                                "use --engine soft",
                                kDevice, version, KVM_API_VERSION));
    }
    for (const Needed& needed : kNeeded) {
        if (system.capability(needed.capability) > 0) continue;
        return fail(ErrorCode::unsupported,
                    fmt::format("use the engine kvm: the host's KVM lacks {}; use a newer kernel "
                                "or --engine soft",
                                needed.name));
    }
    return {};
}

Result<KvmFile> open_system() {
    UniqueFd fd(::open(kDevice, O_RDWR | O_CLOEXEC));
    if (!fd.valid()) return fail(ErrorCode::not_found, judge(look_at_host()).refusal());
    return KvmFile(std::move(fd));
}

Result<KvmFile> create_vm(const KvmHandle& system) {
    int fd = -EINTR;
    while (fd == -EINTR)  // by a signal while the kernel waits for others
        fd = system.call(KVM_CREATE_VM, 0);
    if (fd < 0) TRY(system.demand(KVM_CREATE_VM, 0, "create a virtual machine with KVM"));
    return KvmFile(UniqueFd(fd));
}

class KvmEngine final : public Engine {
public:
    KvmEngine(const EngineConfig& config, KvmFile system, KvmFile vm)
        : config_(config),
          system_(std::move(system)),
          vm_(std::move(vm)),
          memory_(vm_, *config.memory),
          apics_(vm_) {}

    // Once, before anything else.
    Result<void> prepare(std::string_view cpu_model) {
        uint64_t identity_map = kIdentityMap;
        TRY(vm_.demand_with(KVM_SET_IDENTITY_MAP_ADDR, identity_map, "prepare the machine in KVM"));
        TRY(vm_.demand(KVM_SET_TSS_ADDR, kTaskState, "prepare the machine in KVM"));
        TRY(apics_.create());
        with_rings_ = memory_.enable_rings(system_);
        TRY(memory_.map());
        if (config_.poller != nullptr && KvmDoorbells::offered(system_))
            doorbells_.emplace(vm_, *config_.poller);
        TRY_ASSIGN(run_size, system_.demand(KVM_GET_VCPU_MMAP_SIZE, 0, "ask KVM for a size"));
        run_size_ = static_cast<size_t>(run_size);
        TRY_ASSIGN(supported, supported_cpuid(system_));
        supported_ = std::move(supported);
        TRY_ASSIGN(model, interp::CpuModel::create(cpu_model, config_.cpu_count, tsc_hz()));
        model_ = model;
        machine_.reset(new KvmMachine{*config_.memory, *config_.clock, XsaveLayout(supported_),
                                      model_.signature(), &memory_,
                                      KvmFinisher::Settings{config_, std::string(cpu_model)}});
        return {};
    }

    std::string_view name() const override { return "kvm"; }
    EngineApics* apics() override { return &apics_; }
    EngineDoorbells* doorbells() override { return doorbells_ ? &*doorbells_ : nullptr; }
    void drop_write_mappings() override { memory_.start_log(); }
    void collect_dirty() override { memory_.collect(); }

    Result<std::unique_ptr<Vcpu>> create_vcpu(const VcpuWiring& wiring) override {
        TRY_ASSIGN(fd, vm_.demand(KVM_CREATE_VCPU, wiring.index, "create a vCPU with KVM"));
        KvmFile file{UniqueFd(fd)};
        TRY_ASSIGN(page, RunPage::map(file, run_size_));
        if (with_rings_) TRY(add_ring(file));
        TRY(set_cpuid(file, wiring.index));
        auto vcpu = std::make_unique<KvmVcpu>(
            std::make_unique<KvmVcpuFile>(std::move(file), std::move(page)), wiring, *machine_,
            apics_);
        apics_.add_vcpu(vcpu->handle());
        return vcpu;
    }

    // KVM's own clock of the machine, which its paravirtual clock shows (KVM API 4.30).
    void clock_changed() override {
        kvm_clock_data clock{};
        clock.clock = config_.clock->now_ns();
        (void)vm_.call_with(KVM_SET_CLOCK, clock);
        machine_->clock_changes.fetch_add(1, std::memory_order_release);
    }

private:
    Result<void> add_ring(const KvmFile& vcpu) {
        TRY_ASSIGN(pages,
                   RunPage::map(vcpu, KvmDirtyRing::kBytes, KVM_DIRTY_LOG_PAGE_OFFSET * kPageSize));
        ring_pages_.push_back(std::move(pages));
        memory_.add_ring(ring_pages_.back().entries<kvm_dirty_gfn>());
        return {};
    }

    // What the guest's counter will run at.
    uint64_t tsc_hz() const {
        const int khz = vm_.call(KVM_GET_TSC_KHZ, 0);
        return khz > 0 ? static_cast<uint64_t>(khz) * kHzPerKhz : config_.clock->tsc_hz();
    }

    Result<void> set_cpuid(const KvmHandle& vcpu, unsigned index) const {
        const CpuidExtras extras{.tsc_deadline = system_.capability(KVM_CAP_TSC_DEADLINE_TIMER) > 0,
                                 .wide_msi_targets = apics_.wide_targets()};
        return kvm::set_cpuid(vcpu, build_cpuid(model_, supported_, extras, index));
    }

    const EngineConfig config_;
    const KvmFile system_;
    const KvmFile vm_;
    std::vector<RunPage> ring_pages_;
    bool with_rings_ = false;
    KvmMemory memory_;
    KvmApics apics_;
    std::optional<KvmDoorbells> doorbells_;
    size_t run_size_ = 0;
    std::vector<kvm_cpuid_entry2> supported_;
    interp::CpuModel model_;
    std::unique_ptr<KvmMachine> machine_;
};

}  // namespace

Result<std::unique_ptr<Engine>> create_engine(const EngineConfig& config,
                                              std::string_view cpu_model) {
    TRY_ASSIGN(system, open_system());
    TRY(check_capabilities(system));
    TRY_ASSIGN(vm, create_vm(system));
    auto engine = std::make_unique<KvmEngine>(config, std::move(system), std::move(vm));
    TRY(engine->prepare(cpu_model));
    return engine;
}

}  // namespace banyan::kvm
