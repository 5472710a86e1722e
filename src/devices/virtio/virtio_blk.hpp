// VirtioBlk: a disk (virtio 1.2, section 5.2).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "devices/virtio/virtio_blk_regs.hpp"
#include "devices/virtio/virtio_device.hpp"
#include "vm/backend.hpp"

namespace banyan {

struct VirtioBlkConfig {
    std::string_view serial = {};       // cut at 20 characters
    uint32_t logical_block_size = 512;  // a power of two, 512..4096
};

struct VirtioBlkWiring {
    GuestMemory& memory;
    BlockBackend& backend;
};

class VirtioBlk final : public VirtioDevice, private BlockClient {
public:
    VirtioBlk(const VirtioBlkConfig& config, const VirtioBlkWiring& wiring);

    std::span<const std::byte> config_space() const override;
    // The backend completes everything within drain(), or has done so before.
    void drain() override;

private:
    // A request in flight.
    struct Request {
        explicit Request(uint16_t max_segments);

        DescriptorChain chain;
        std::vector<std::span<std::byte>> buffers;  // never more than reserved
        bool busy = false;
    };

    Step step(unsigned queue) override;
    void on_block_complete(uint64_t cookie, BlockStatus status) override;

    Request* free_request();
    void start(Request& request);
    void start_transfer(Request& request, BlockRequest::Kind kind, uint64_t sector);
    void start_range(Request& request, BlockRequest::Kind kind);
    void start_flush(Request& request);
    void get_id(Request& request);
    void submit(Request& request, BlockRequest block);
    void finish(Request& request, uint8_t status, uint64_t data_written);
    bool inside_disk(uint64_t sector, uint64_t length) const;

    // configuration
    virtio::BlkConfig config_;
    uint64_t capacity_;  // sectors of 512 bytes
    bool read_only_;
    std::array<char, virtio::kBlkIdLength> serial_{};
    // wiring
    BlockBackend& backend_;
    // bookkeeping
    std::vector<Request> requests_;
};

}  // namespace banyan
