#include "devices/virtio/virtio_fs.hpp"

#include <algorithm>
#include <utility>

#include "devices/virtio/virtio_fs_state.hpp"
#include "snapshot/state.hpp"
#include "support/assert.hpp"

namespace banyan {

using namespace virtio;

namespace {

// A driver moves so many pages in one request as the queue has places beside the headers: with 512
// places a mebibyte.
constexpr std::array<uint16_t, 2> kFsQueueSizes{128, 512};

constexpr VirtioIdentity kFsIdentity{
    .name = "virtio-fs",
    .device_type = kDeviceFs,
    .pci_class = 0x018000,
    .features = 0,
};

FsConfig fs_config(std::string_view tag) {
    FsConfig config;
    std::copy_n(tag.begin(), std::min(tag.size(), kFsTagLength), config.tag);
    config.num_request_queues = 1U;
    return config;
}

}  // namespace

VirtioFs::Request::Request(uint16_t max_segments) : chain(max_segments) {
    in.reserve(max_segments);
    out.reserve(max_segments);
}

VirtioFs::VirtioFs(std::string_view tag, const VirtioFsWiring& wiring)
    : VirtioDevice(wiring.memory, kFsIdentity, kFsQueueSizes),
      config_(fs_config(tag)),
      backend_(wiring.backend) {
    requests_.reserve(kMaxInFlight);
    free_.reserve(kMaxInFlight);
    for (uint16_t i = 0; i < kMaxInFlight; ++i) {
        requests_.emplace_back(kFsQueueSizes[kFsRequestQueue]);
        free_.push_back(i);
    }
}

std::span<const std::byte> VirtioFs::config_space() const {
    return std::as_bytes(std::span(&config_, 1));
}

// Meanwhile nothing is taken from the rings, or a guest that goes on would never let it end.
void VirtioFs::drain() {
    if (free_.size() == requests_.size()) return;
    draining_ = true;
    backend_.drain();
    draining_ = false;
    BANYAN_ASSERT(free_.size() == requests_.size());
    wake_queues();
}

VirtioDevice::Step VirtioFs::step(unsigned index) {
    if (free_.empty() || draining_) {
        stalled_[index] = true;
        return Step::stalled;
    }
    Request& request = requests_[free_.back()];
    switch (queue(index).peek(request.chain)) {
        case Virtqueue::Next::empty: return Step::empty;
        case Virtqueue::Next::broken: return Step::broken;
        case Virtqueue::Next::chain: break;
    }
    // Without a header there is no request, and no way to say so. An answer may have no room:
    // there are requests without one.
    if (request.chain.readable_length() < kFsInHeaderSize) return Step::broken;
    queue(index).pop();
    free_.pop_back();
    request.busy = true;
    request.queue = index;
    submit(request);
    return Step::done;
}

void VirtioFs::submit(Request& request) {
    request.in.clear();
    request.out.clear();
    for (const VirtioSegment& segment : request.chain.readable())
        request.in.push_back(segment.bytes());
    for (const VirtioSegment& segment : request.chain.writable())
        request.out.push_back(segment.bytes());
    const auto cookie = static_cast<uint64_t>(&request - requests_.data());
    backend_.submit({request.in, request.out, cookie}, *this);
}

void VirtioFs::tell_memory(const DescriptorChain& chain, uint32_t written) {
    uint32_t left = written;
    for (const VirtioSegment& segment : chain.writable()) {
        const uint32_t count = std::min(segment.length, left);
        if (count == 0) return;
        memory().written(segment.gpa, count);
        left -= count;
    }
}

void VirtioFs::on_fs_complete(uint64_t cookie, uint32_t written) {
    BANYAN_ASSERT(cookie < requests_.size() && requests_[cookie].busy);
    Request& request = requests_[cookie];
    BANYAN_ASSERT(written <= request.chain.writable_length());
    tell_memory(request.chain, written);
    queue(request.queue).push_used(request.chain.head(), written);
    request.busy = false;
    free_.push_back(static_cast<uint16_t>(cookie));
    if (!running()) send_interrupt(request.queue);
    wake_queues();
}

// Not at once: completions may come as fast as a guest makes requests, and must not hold a thread
// for ever.
void VirtioFs::wake_queues() {
    for (unsigned index = 0; index < kQueues; ++index) {
        if (std::exchange(stalled_[index], false)) continue_later(index);
    }
}

void VirtioFs::save_device(StateWriter& writer) const {
    writer.section(VirtioFsStateV1{backend_.mounted()});
}

Result<void> VirtioFs::restore_device(StateReader& reader) {
    TRY_ASSIGN(state, reader.section<VirtioFsStateV1>());
    if (!state.mounted) return {};
    return fail(ErrorCode::unsupported,
                "load saved state: virtio-fs: the guest had the shared directory mounted, and its "
                "open files are not saved; unmount it in the guest before saving");
}

}  // namespace banyan
