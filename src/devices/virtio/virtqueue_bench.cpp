// What a queue costs a device for one request of three buffers, as a disk has them: look, take,
// give back, ask about the interrupt.
#include <array>
#include <benchmark/benchmark.h>
#include <cstdlib>

#include "devices/virtio/testing/guest_queue.hpp"
#include "devices/virtio/testing/packed_guest_queue.hpp"
#include "devices/virtio/virtqueue.hpp"
#include "vm/testing/fakes.hpp"

namespace banyan {
namespace {

constexpr uint16_t kBenchSize = 128;
constexpr unsigned kBatch = 32;

void serve_batch(Virtqueue& queue, DescriptorChain& chain) {
    for (unsigned i = 0; i < kBatch; ++i) {
        if (queue.peek(chain) != Virtqueue::Next::chain) std::abort();
        queue.pop();
        queue.push_used(chain.head(), 513);
        benchmark::DoNotOptimize(queue.take_interrupt());
    }
}

void enable(Virtqueue& queue, const auto& driver, uint64_t features) {
    queue.set_descriptors(driver.descriptors());
    queue.set_available(driver.available());
    queue.set_used(driver.used());
    if (!queue.enable(features)) std::abort();
}

constexpr std::array<GuestBuffer, 3> kBuffers{
    {{{0x1000}, 16}, {{0x2000}, 512, true}, {{0x3000}, 1, true}}};
constexpr uint64_t kRings = virtio::kFeatureIndirectDesc | virtio::kFeatureEventIdx;

// The ring is filled once; then the driver only says that all of it is available again.
void split_queue(benchmark::State& state) {
    FakeRam ram(1U << 20);
    GuestQueue driver(ram.memory(), {0x8000}, kBenchSize);
    Virtqueue queue(ram.memory(), kBenchSize);
    enable(queue, driver, kRings);
    for (unsigned i = 0; i < kBatch; ++i)
        driver.add(kBuffers);
    for (unsigned i = kBatch; i < kBenchSize; ++i)
        driver.make_available(static_cast<uint16_t>(kBuffers.size() * (i % kBatch)));
    uint16_t available = 0;
    DescriptorChain chain(kBenchSize);
    for (auto _ : state) {
        available = static_cast<uint16_t>(available + kBatch);
        driver.set_available_index(available);
        serve_batch(queue, chain);
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kBatch);
}
BENCHMARK(split_queue);

// Here the driver has to write each descriptor again, while the clock stands.
void packed_queue(benchmark::State& state) {
    FakeRam ram(1U << 20);
    PackedGuestQueue driver(ram.memory(), {0x8000}, kBenchSize);
    Virtqueue queue(ram.memory(), kBenchSize);
    enable(queue, driver, kRings | virtio::kFeatureRingPacked);
    DescriptorChain chain(kBenchSize);
    for (auto _ : state) {
        state.PauseTiming();
        for (unsigned i = 0; i < kBatch; ++i)
            driver.add(kBuffers);
        state.ResumeTiming();
        serve_batch(queue, chain);
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kBatch);
}
BENCHMARK(packed_queue);

}  // namespace
}  // namespace banyan
