// The other side of a ring writes what it likes into the shared memory, between any two steps of
// this side: no byte outside of the ring is reached, and no loop runs on.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "network/port/frame_ring.hpp"

namespace banyan {
namespace {

// The data are the last bytes of what was allocated: the sanitizer sees a step beyond.
class HostileRing {
public:
    HostileRing() : data_(new std::byte[kLeastRing]) {}

    RingMemory memory() { return {&control_, {data_.get(), kLeastRing}}; }

    void write(uint8_t where, uint64_t value) {
        switch (where % 5) {
            case 0: control_.producer.position = value; break;
            case 1: control_.consumer.position = value; break;
            case 2: control_.producer.waits = static_cast<uint32_t>(value); break;
            case 3: control_.consumer.waits = static_cast<uint32_t>(value); break;
            default: std::memcpy(data_.get() + value % (kLeastRing - 8), &value, sizeof(value));
        }
    }

private:
    RingControl control_;
    std::unique_ptr<std::byte[]> data_;
};

uint64_t read_all(const NetFrame& frame) {
    uint64_t sum = 0;
    size_t size = 0;
    for (const auto part : frame.parts) {
        for (const std::byte byte : part)
            sum += std::to_integer<uint64_t>(byte);
        size += part.size();
    }
    if (size != frame.size || size > kLargestNetFrame) std::abort();
    return sum;
}

void consume(RingConsumer& consumer) {
    RingFrame frame;
    uint64_t sum = 0;
    for (int i = 0; i < 64 && consumer.next(frame) == RingConsumer::Status::ok; ++i)
        sum += read_all(frame.get());
    volatile uint64_t used = sum;
    (void)used;
    if (frame.end != 0) consumer.release(frame.end);
    (void)consumer.sleep();
}

void produce(RingProducer& producer, const std::vector<std::byte>& bytes, size_t size) {
    const std::span<const std::byte> part = std::span(bytes).first(size);
    (void)producer.push({std::span(&part, 1), size, {}});
    (void)producer.publish();
    (void)producer.wait_for_room();
}

void fuzz_rings(const uint8_t* data, size_t size) {
    static const std::vector<std::byte> bytes(kLargestNetFrame);
    HostileRing in, out;
    RingConsumer consumer(in.memory());
    RingProducer producer(out.memory());
    for (size_t at = 0; at + 10 <= size; at += 10) {
        uint64_t value = 0;
        std::memcpy(&value, data + at + 2, sizeof(value));
        switch (data[at] % 4) {
            case 0: in.write(data[at + 1], value); break;
            case 1: out.write(data[at + 1], value); break;
            case 2: consume(consumer); break;
            default: produce(producer, bytes, value % bytes.size());
        }
    }
}

}  // namespace
}  // namespace banyan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    banyan::fuzz_rings(data, size);
    return 0;
}
