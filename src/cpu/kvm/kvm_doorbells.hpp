// KvmDoorbells: writes of the guest that KVM turns into signals of a file descriptor (ioeventfd,
// KVM API 4.59), so that KVM_RUN does not return for them.
#pragma once

#include <vector>

#include "cpu/kvm/kvm_handle.hpp"
#include "vm/doorbells.hpp"
#include "vm/poller.hpp"

namespace banyan::kvm {

class KvmDoorbells final : public EngineDoorbells {
public:
    // Both outlive this, and this its doorbells. `poller`: whose thread calls the clients.
    KvmDoorbells(const KvmHandle& vm, Poller& poller) : vm_(vm), poller_(poller) {}

    // Does the kernel have what a doorbell is made of?
    static bool offered(const KvmHandle& system);

    Result<std::unique_ptr<Doorbell>> create(DoorbellClient& client, unsigned cookie) override;
    void deliver() override;

private:
    class Bell;
    friend class Bell;

    const KvmHandle& vm_;
    Poller& poller_;
    std::vector<Bell*> bells_;  // of the thread that builds and takes down the machine
};

}  // namespace banyan::kvm
