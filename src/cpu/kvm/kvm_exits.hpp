// KvmExits: what the guest has left KVM_RUN for, done (KVM API 5, "exit_reason").
#pragma once

#include <array>
#include <optional>

#include "cpu/kvm/kvm_uapi.hpp"
#include "support/counter.hpp"
#include "vm/engine.hpp"
#include "vm/irq.hpp"

namespace banyan::kvm {

class KvmExits {
public:
    struct Wiring {
        kvm_run& run;
        CpuIo& io;
        EoiListener& eoi;
    };
    explicit KvmExits(const Wiring& wiring) : run_(wiring.run), io_(wiring.io), eoi_(wiring.eoi) {}

    // After KVM_RUN has returned 0. On the vCPU's thread; allocates nothing. An Exit where the
    // vCPU's caller has to know.
    std::optional<Exit> handle();
    // Ends the run as an internal error that says what.
    Exit fail(const char* what, uint64_t number);

    // From any thread.
    void add_statistics(Statistics& to) const;

private:
    void access_ports();
    void access_memory();

    kvm_run& run_;
    CpuIo& io_;
    EoiListener& eoi_;
    std::array<char, 96> text_{};

    Counter ports_;
    Counter memory_;
    Counter ends_of_interrupt_;
    Counter interrupt_windows_;
    Counter others_;
};

}  // namespace banyan::kvm
