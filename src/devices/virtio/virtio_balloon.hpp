// VirtioBalloon: the memory balloon (virtio 1.2, section 5.5). The guest puts pages into it that it
// is asked for, reports others that it has freed, and tells how its memory is used.
//
// Nothing has to be done for pages that come out of the balloon: the host gives memory when a guest
// touches it. So drivers need not tell before they use such pages (no MUST_TELL_HOST).
#pragma once

#include "devices/virtio/virtio_balloon_regs.hpp"
#include "devices/virtio/virtio_device.hpp"
#include "vm/balloon_statistics.hpp"
#include "vm/memory_reclaimer.hpp"

namespace banyan {

struct VirtioBalloonWiring {
    GuestMemory& memory;
    MemoryReclaimer& reclaimer;
};

class VirtioBalloon final : public VirtioDevice {
public:
    // `ram_size` in bytes: what the guest has when the balloon is empty.
    VirtioBalloon(uint64_t ram_size, const VirtioBalloonWiring& wiring);

    // How much of its RAM the guest is asked to get along with, in bytes; more than it has: all.
    void set_target(uint64_t bytes);
    // As the guest told last; and asks it for news, for the next call.
    BalloonStatistics statistics();

    std::span<const std::byte> config_space() const override;
    void write_config(uint32_t offset, unsigned size, uint32_t value) override;

private:
    enum class Role : uint8_t { inflate, deflate, statistics, reports, none };

    Role role(unsigned queue) const;
    Step step(unsigned queue) override;
    Step step_inflate();
    Step step_deflate();
    Step step_statistics();
    Step step_reports(unsigned queue);
    void on_reset() override;
    void on_queue_reset(unsigned queue) override;
    void save_device(StateWriter& writer) const override;
    Result<void> restore_device(StateReader& reader) override;

    void inflate(std::span<uint32_t> pages);
    void discard(Gpa start, uint64_t length);
    void read_statistics();
    void note(virtio::BalloonTag tag, uint64_t value);
    uint64_t in_guest(uint32_t pages) const;

    // configuration
    uint64_t ram_size_;
    // wiring
    MemoryReclaimer& reclaimer_;
    // bookkeeping
    DescriptorChain chain_;
    BalloonStatistics told_;
    uint64_t reclaimed_ = 0;
    // guest-visible state
    virtio::BalloonConfig config_;
    uint64_t inflated_ = 0;  // bytes of the chain of pages that is being worked on
};

}  // namespace banyan
