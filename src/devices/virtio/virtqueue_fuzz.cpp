// A queue, of either layout, whose rings are the fuzzer's input. Whatever is found must lie in
// guest memory and end after as many steps as the queue has entries.
#include <algorithm>
#include <vector>

#include "devices/virtio/virtqueue.hpp"
#include "support/assert.hpp"
#include "vm/testing/device_fuzz.hpp"
#include "vm/testing/fakes.hpp"

namespace {

using namespace banyan;

constexpr uint64_t kRam = 2 * kPageSize;
constexpr uint16_t kSize = 16;

// Reads and writes each byte, so that the sanitizer sees them.
void touch(const DescriptorChain& chain, GuestMemory& memory) {
    std::vector<std::byte> copy(std::min<uint64_t>(chain.readable_length(), kRam));
    (void)chain.copy_from(0, copy);
    copy.resize(std::min<uint64_t>(chain.writable_length(), kRam), std::byte{1});
    (void)chain.copy_to(memory, 0, copy);
}

void serve(Virtqueue& queue, GuestMemory& memory) {
    DescriptorChain chain(kSize);
    for (unsigned i = 0; i < 2U * kSize; ++i) {
        const Virtqueue::Next next = queue.peek(chain);
        if (next == Virtqueue::Next::broken) return;
        if (next == Virtqueue::Next::empty && !queue.arm_notification()) return;
        if (next != Virtqueue::Next::chain) continue;
        BANYAN_ASSERT(chain.readable().size() + chain.writable().size() <= kSize);
        touch(chain, memory);
        queue.pop();
        queue.push_used(chain.head(), static_cast<uint32_t>(chain.writable_length()));
        (void)queue.take_interrupt();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    FuzzBytes bytes(data, size);
    FakeRam ram(kRam);
    GuestMemory& memory = ram.memory();
    Virtqueue queue(memory, kSize);
    const uint8_t choice = bytes.u8();
    const uint64_t features =
        (choice & 3U) * bit(28) | ((choice & 4) != 0 ? virtio::kFeatureRingPacked : 0);
    queue.set_size((choice & 4) != 0 ? static_cast<uint16_t>(1U + bytes.u8() % kSize)
                                     : static_cast<uint16_t>(1U << bytes.u8() % 5));
    queue.set_descriptors({(bytes.u16() & 0x1fffU) << 4 & (kRam - 1)});
    queue.set_available({bytes.u16() % kRam & ~uint64_t{1}});
    queue.set_used({bytes.u16() % kRam & ~uint64_t{3}});
    const std::span<std::byte> all = memory.writable_range({0}, kRam);
    if (!queue.enable(features)) return 0;
    while (!bytes.empty()) {
        // A piece of memory changes, then the device looks.
        const size_t at = bytes.u16() % kRam;
        const size_t count = std::min<size_t>(bytes.u8() % 64U, kRam - at);
        for (size_t i = 0; i < count; ++i)
            all[at + i] = static_cast<std::byte>(bytes.u8());
        serve(queue, memory);
        Virtqueue copy(memory, kSize);
        BANYAN_ASSERT(copy.restore(queue.state(), features));
    }
    return 0;
}
