// VirtioFs: a directory of the host (virtio 1.2, section 5.11).
//
// The device hands FUSE messages on, and looks at none: the back end reads them from guest memory
// and writes its answers there. Up to kMaxInFlight are with it at a time; further ones stay in the
// rings.
//
// A saved state holds the device but not what the guest knows of files. It can be loaded when the
// guest had nothing mounted, and is refused otherwise.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "devices/virtio/virtio_device.hpp"
#include "devices/virtio/virtio_fs_regs.hpp"
#include "vm/file_share.hpp"

namespace banyan {

struct VirtioFsWiring {
    GuestMemory& memory;
    FsBackend& backend;
};

class VirtioFs final : public VirtioDevice, private FsClient {
public:
    static constexpr unsigned kMaxInFlight = 64;

    // `tag` is what the guest mounts; cut at virtio::kFsTagLength characters.
    VirtioFs(std::string_view tag, const VirtioFsWiring& wiring);

    std::span<const std::byte> config_space() const override;
    // The backend delivers all completions before its own drain() returns.
    void drain() override;

private:
    static constexpr unsigned kQueues = 2;

    // A request that was taken from a ring and not yet given back.
    struct Request {
        explicit Request(uint16_t max_segments);

        DescriptorChain chain;
        std::vector<std::span<const std::byte>> in;  // never more than reserved, as out
        std::vector<std::span<std::byte>> out;
        unsigned queue = 0;
        bool busy = false;
    };

    Step step(unsigned queue) override;
    void on_reset() override { backend_.reset(); }
    void save_device(StateWriter& writer) const override;
    Result<void> restore_device(StateReader& reader) override;
    void on_fs_complete(uint64_t cookie, uint32_t written) override;

    void submit(Request& request);
    void tell_memory(const DescriptorChain& chain, uint32_t written);
    void wake_queues();

    // configuration
    virtio::FsConfig config_;
    // wiring
    FsBackend& backend_;
    // bookkeeping
    std::vector<Request> requests_;
    std::vector<uint16_t> free_;  // indices of requests_ that are not busy
    bool draining_ = false;
    std::array<bool, kQueues> stalled_{};  // something waits in the ring for a free request
};

}  // namespace banyan
