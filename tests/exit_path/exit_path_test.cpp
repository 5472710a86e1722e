// The path of a guest's access from Vcpu::run() through the board to a chip: it allocates nothing,
// and takes no lock that vCPUs share but that of the device which is accessed (docs/locking.md,
// rule 5).
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <mutex>
#include <vector>

#include "arch/x86/register_state.hpp"
#include "cpu/interp/interp_engine.hpp"
#include "cpu/jit/jit_engine.hpp"
#include "cpu/kvm/kvm_apics.hpp"
#include "cpu/kvm/kvm_testing.hpp"
#include "cpu/kvm/kvm_vcpu.hpp"
#include "exit_path/recorder.hpp"
#include "machine/boards/board_testing.hpp"

namespace banyan::exit_path {
namespace {

constexpr unsigned kRounds = 1000;
constexpr unsigned kCpus = 2;

struct GuestAccess {
    bool memory = false;
    bool write = false;
    uint64_t address = 0;
    unsigned size = 4;  // a port may also have 1
    friend bool operator==(const GuestAccess&, const GuestAccess&) = default;
};
using Accesses = std::vector<GuestAccess>;

// Registers that drive no wire: the serial port's scratch register, the PM timer, the IO-APIC's
// selector, the identity of a PCI function.
const Accesses kSerial{{false, true, 0x3FF, 1}, {false, false, 0x3FF, 1}};
const Accesses kPmTimer{{false, false, 0x608}};
const Accesses kIoApic{{true, true, 0xFEC0'0000}, {true, false, 0xFEC0'0000}};
const Accesses kEcam{{true, false, 0xE000'0000}, {true, true, 0xE000'0000}};

Accesses operator+(Accesses a, const Accesses& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}
const Accesses kAll = kSerial + kPmTimer + kIoApic + kEcam;

// Two vCPUs on a board; run(index, accesses) has one of them make kRounds rounds of the accesses.
class Guest {
public:
    virtual ~Guest() = default;
    virtual void prepare(unsigned cpu, const Accesses& accesses) = 0;
    virtual void run(unsigned cpu) = 0;

    // What a run took that comes after one like it: the first may fill caches and translate.
    Record record(unsigned cpu, const Accesses& accesses) {
        prepare(cpu, accesses);
        run(cpu);
        prepare(cpu, accesses);
        start_recording();
        run(cpu);
        return stop_recording();
    }
};

// The engine kvm, with a stand-in for the kernel whose KVM_RUN returns for one access after the
// other.
class KvmGuest final : public Guest {
public:
    KvmGuest() {
        vm_.accept({KVM_ENABLE_CAP, KVM_SIGNAL_MSI, KVM_SET_GSI_ROUTING});
        BANYAN_ASSERT(apics_.create().has_value());
        board_.engine_apics = &apics_;
        BANYAN_ASSERT(board_.build().has_value());
        for (unsigned i = 0; i < kCpus; ++i)
            add_cpu(i);
    }

    void prepare(unsigned cpu, const Accesses& accesses) override {
        scripts_[cpu] = {.accesses = accesses, .left = accesses.size() * kRounds};
    }
    void run(unsigned cpu) override { vcpus_[cpu]->run(); }

private:
    struct Script {
        Accesses accesses = {};
        size_t left = 0;
    };
    struct NoWaker final : VcpuWaker {
        void wake() override {}
    };

    void add_cpu(unsigned index) {
        auto handle = std::make_unique<kvm::FakeHandle>();
        kvm_run& page = handle->run_page();
        handle->accept({KVM_SET_DEVICE_ATTR});
        handle->answers[KVM_RUN] = [this, index, &page](uint64_t) { return next(index, page); };
        vcpus_.push_back(std::make_unique<kvm::KvmVcpu>(
            std::move(handle), board_.board->vcpu_wiring(index, waker_), machine_, apics_));
    }

    int next(unsigned index, kvm_run& page) {
        Script& script = scripts_[index];
        if (script.left == 0) {
            page.exit_reason = KVM_EXIT_SHUTDOWN;
            return 0;
        }
        const GuestAccess& access = script.accesses[--script.left % script.accesses.size()];
        if (access.memory) {
            page.exit_reason = KVM_EXIT_MMIO;
            page.mmio.phys_addr = access.address;
            page.mmio.len = 4;
            page.mmio.is_write = access.write ? 1 : 0;
        } else {
            page.exit_reason = KVM_EXIT_IO;
            page.io.port = static_cast<uint16_t>(access.address);
            page.io.size = static_cast<uint8_t>(access.size);
            page.io.count = 1;
            page.io.direction = access.write ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
            page.io.data_offset = kPageSize;
        }
        return 0;
    }

    kvm::FakeHandle vm_;
    kvm::KvmApics apics_{vm_};
    testing::TestMachine board_{BoardKind::micro, kCpus};
    NoWaker waker_;
    kvm::KvmMachine machine_{board_.memory, board_.clock, kvm::XsaveLayout({}), 0};
    std::array<Script, kCpus> scripts_;
    std::vector<std::unique_ptr<kvm::KvmVcpu>> vcpus_;
};

using EngineMaker = std::function<Result<std::unique_ptr<Engine>>(const EngineConfig&)>;

// The engines that execute instructions themselves: a loop in 64-bit mode, with page tables that
// map the first 4 GiB to themselves.
class ExecutedGuest final : public Guest {
public:
    explicit ExecutedGuest(const EngineMaker& make_engine) {
        BANYAN_ASSERT(board_.build().has_value());
        const EngineConfig config{
            .memory = &board_.memory, .clock = &board_.clock, .cpu_count = kCpus};
        engine_ = std::move(*make_engine(config));
        for (unsigned i = 0; i < kCpus; ++i) {
            vcpus_.push_back(
                std::move(*engine_->create_vcpu(board_.board->vcpu_wiring(i, waker_))));
            board_.board->attach_vcpu(i, vcpus_.back()->signals());
        }
        write(kPml4, kPdpt | kPresentWritable);
        for (uint64_t gib = 0; gib < 4; ++gib)
            write(kPdpt + 8 * gib, gib << 30 | kLargePage | kPresentWritable);
    }

    void prepare(unsigned cpu, const Accesses& accesses) override {
        const uint64_t place = kCode + cpu * kPageSize;
        if (accesses != written_[cpu]) {  // what is written would be decoded anew
            const auto code = assemble(accesses);
            BANYAN_ASSERT(board_.memory.write({place}, std::as_bytes(std::span(code))));
            written_[cpu] = accesses;
        }
        BANYAN_ASSERT(vcpus_[cpu]->set_state(state_at(place)).has_value());
    }
    void run(unsigned cpu) override { vcpus_[cpu]->run(); }

private:
    static constexpr uint64_t kPml4 = 0x2000;
    static constexpr uint64_t kPdpt = 0x3000;
    static constexpr uint64_t kCode = 0x4000;
    static constexpr uint64_t kPresentWritable = 3;
    static constexpr uint64_t kLargePage = 0x80;

    struct NoWaker final : VcpuWaker {
        void wake() override {}
    };

    void write(uint64_t gpa, uint64_t value) {
        BANYAN_ASSERT(board_.memory.write_object({gpa}, value));
    }

    static void append(std::vector<uint8_t>& code, std::initializer_list<uint8_t> opcode,
                       uint64_t immediate, unsigned size) {
        code.insert(code.end(), opcode);
        for (unsigned i = 0; i < size; ++i)
            code.push_back(static_cast<uint8_t>(immediate >> 8 * i));
    }

    // mov ecx, kRounds; the accesses, of EAX; dec ecx; jnz; hlt.
    static std::vector<uint8_t> assemble(const Accesses& accesses) {
        std::vector<uint8_t> code;
        append(code, {0xB9}, kRounds, 4);
        const size_t start = code.size();
        for (const GuestAccess& access : accesses) {
            const bool out = access.write;
            if (access.memory) {
                append(code, {static_cast<uint8_t>(out ? 0xA3 : 0xA1)}, access.address, 8);
            } else {
                append(code, {0x66, 0xBA}, access.address, 2);  // mov dx
                const int wide = access.size == 4 ? 1 : 0;
                append(code, {static_cast<uint8_t>((out ? 0xEE : 0xEC) | wide)}, 0, 0);
            }
        }
        append(code, {0xFF, 0xC9}, 0, 0);
        append(code, {0x0F, 0x85}, start - (code.size() + 6), 4);
        append(code, {0xF4}, 0, 0);
        return code;
    }

    static x86::RegisterState state_at(uint64_t rip) {
        x86::RegisterState s = x86::power_on_state(true, 0);
        s.rip = rip;
        s.cr0 = x86::kCr0Pe | x86::kCr0Et | x86::kCr0Ne | x86::kCr0Pg;
        s.cr3 = kPml4;
        s.cr4 = x86::kCr4Pae;
        s.msr.efer = x86::kEferLme | x86::kEferLma;
        const x86::SegmentRegister data{0x10, {0xC093}, 0xFFFFFFFF, 0};
        s.segments = {data, {0x08, {0xA09B}, 0xFFFFFFFF, 0}, data, data, data, data};
        return s;
    }

    testing::TestMachine board_{BoardKind::micro, kCpus};
    NoWaker waker_;
    std::array<Accesses, kCpus> written_;
    std::unique_ptr<Engine> engine_;
    std::vector<std::unique_ptr<Vcpu>> vcpus_;
};

struct EngineCase {
    const char* name;
    std::function<std::unique_ptr<Guest>()> make;
};
const EngineCase kEngines[] = {
    {"kvm", [] { return std::make_unique<KvmGuest>(); }},
    {"interp",
     [] {
         return std::make_unique<ExecutedGuest>(
             [](const EngineConfig& config) { return interp::create_engine(config, "x86-64-v2"); });
     }},
    {"soft",
     [] {
         return std::make_unique<ExecutedGuest>([](const EngineConfig& config) {
             return jit::create_engine(config, "x86-64-v2",
                                       {.hot = 0, .code_size = size_t{1} << 20});
         });
     }},
};

class ExitPath : public ::testing::TestWithParam<EngineCase> {
protected:
    std::unique_ptr<Guest> guest = GetParam().make();
};

TEST_P(ExitPath, AllocatesNothing) {
    const Record record = guest->record(0, kAll);

    EXPECT_EQ(record.allocations, 0U);
    EXPECT_GE(record.locked, kAll.size() * kRounds) << "each access takes its device's lock";
}

TEST_P(ExitPath, TakesNoLockThatCpusWithOtherDevicesTake) {
    const Record first = guest->record(0, kSerial + kIoApic);
    const Record second = guest->record(1, kPmTimer + kEcam);

    EXPECT_GE(first.lock_count, 2U);
    EXPECT_GE(second.lock_count, 2U);
    EXPECT_EQ(first.common(second), 0U);
}

TEST_P(ExitPath, TakesTheLockOfTheDevice) {
    EXPECT_EQ(guest->record(0, kSerial).common(guest->record(1, kSerial)), 1U);
}

INSTANTIATE_TEST_SUITE_P(Engines, ExitPath, ::testing::ValuesIn(kEngines),
                         [](const auto& engine) { return std::string(engine.param.name); });

TEST(Recorder, SeesAllocationsAndLocks) {
    std::mutex mutex;
    start_recording();
    auto number = std::make_unique<int>(1);
    mutex.lock();
    mutex.unlock();
    const Record record = stop_recording();

    EXPECT_EQ(record.allocations, 1U);
    EXPECT_TRUE(record.has(mutex.native_handle()));
    EXPECT_EQ(record.locked, 1U);
}

}  // namespace
}  // namespace banyan::exit_path
