// Doorbells: registers of devices that a driver writes only to say "look at your queue". An engine
// may take such writes off its vCPUs: the guest goes on at once, and the device looks on another
// thread (ioeventfd under KVM). Engines that call devices directly have none of this.
#pragma once

#include <memory>

#include "support/result.hpp"
#include "vm/address.hpp"

namespace banyan {

class DoorbellClient {
public:
    // The doorbell was written since the last call, any number of times. On a thread that is no
    // vCPU's; it may still come after the doorbell was removed from its place.
    virtual void on_doorbell(unsigned cookie) = 0;

protected:
    ~DoorbellClient() = default;
};

// Not placed at first. Destroyed without locks that its client takes.
class Doorbell {
public:
    virtual ~Doorbell() = default;
    // From any thread; calls for one doorbell are the caller's to order.
    // Writes that start at `gpa` now ring it, whatever they write, and are no accesses for CpuIo.
    // False: the engine cannot take them.
    virtual bool place(Gpa gpa) = 0;
    virtual void remove() = 0;
};

class EngineDoorbells {
public:
    // On the thread that builds the machine. `client` outlives the doorbell.
    virtual Result<std::unique_ptr<Doorbell>> create(DoorbellClient& client, unsigned cookie) = 0;
    // Calls the clients of all that were rung, so that none is on its way. While no vCPU runs, on
    // the thread that calls clients.
    virtual void deliver() = 0;

protected:
    ~EngineDoorbells() = default;
};

}  // namespace banyan
