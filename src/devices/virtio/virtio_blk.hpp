// VirtioBlk: a disk (virtio 1.2, section 5.2).
//
// Has several queues if it is asked to, so that each vCPU has its own. Up to kMaxInFlight requests
// of all of them are with the backend at a time, which is all that a driver can have outstanding on
// one queue if it keeps to the rules; further ones stay in their rings. Data moves between the
// backend and guest memory directly.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "devices/virtio/virtio_blk_regs.hpp"
#include "devices/virtio/virtio_device.hpp"
#include "vm/backend.hpp"

namespace banyan {

struct VirtioBlkConfig {
    std::string_view serial = {};       // cut at 20 characters
    uint32_t logical_block_size = 512;  // a power of two, 512..4096
    unsigned queues = 1;                // 1..VirtioBlk::kMaxQueues
};

struct VirtioBlkWiring {
    GuestMemory& memory;
    BlockBackend& backend;
};

class VirtioBlk final : public VirtioDevice, private BlockClient {
public:
    static constexpr unsigned kMaxInFlight = 128;
    static constexpr unsigned kMaxQueues = 8;

    VirtioBlk(const VirtioBlkConfig& config, const VirtioBlkWiring& wiring);

    std::span<const std::byte> config_space() const override;
    // The backend delivers all completions before its own drain() returns.
    void drain() override;
    // Calls `resize` with nothing in flight, and tells the driver what size the backend has then
    // (5.2.4: a configuration change).
    Result<void> resize(const std::function<Result<void>()>& resize);

private:
    // A request that was taken from the ring and not yet given back.
    struct Request {
        explicit Request(uint16_t max_segments);

        DescriptorChain chain;
        std::vector<std::span<std::byte>> buffers;  // never more than reserved
        uint64_t length = 0;                        // sum of the buffers
        unsigned queue = 0;
        BlockRequest::Kind kind = BlockRequest::Kind::read;
        bool flush_next = false;
        bool busy = false;
    };

    Step step(unsigned queue) override;
    void on_block_complete(uint64_t cookie, BlockStatus status) override;

    void start(Request& request);
    void start_transfer(Request& request, BlockRequest::Kind kind, uint64_t sector);
    void start_range(Request& request, BlockRequest::Kind kind);
    void start_flush(Request& request);
    void get_id(Request& request);
    bool offers(uint64_t feature) const { return (features() & feature) != 0; }
    bool inside_disk(uint64_t sector, uint64_t length) const;
    void submit(Request& request, uint64_t offset, uint64_t length);
    void continue_stalled();
    // `data_written` bytes of the writable part before the status byte hold data.
    void finish(Request& request, uint8_t status, uint64_t data_written = 0);

    // configuration
    virtio::BlkConfig config_;
    std::array<char, virtio::kBlkIdLength> serial_{};
    bool read_only_;
    // wiring
    BlockBackend& backend_;
    // bookkeeping
    std::vector<Request> requests_;
    std::vector<uint16_t> free_;  // indices of requests_ that are not busy
    bool draining_ = false;
    uint32_t stalled_ = 0;  // a bit for each queue in which something waits for a free request
};

}  // namespace banyan
