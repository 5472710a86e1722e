// Rings of frames in memory that two processes share: one produces, the other consumes.
//
// Each side keeps its own position in its own memory, and takes from the shared memory only the
// other's, which it checks: whatever the other writes there, it reaches no byte outside of the
// ring and makes nobody wait for ever. A record is a RingRecord and the frame's bytes, rounded up
// to kRingAlignment; it may go over the end of the ring to its start.
//
// Who finds nothing to do says so (`waits`), looks once more, and sleeps; who then changes the
// ring sees the flag and wakes it. The accesses of both are sequentially consistent, so that one
// of the two always sees the other's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "vm/network.hpp"

namespace banyan {

// What one side writes and the other reads, on a cache line of its own.
struct alignas(64) RingSide {
    uint64_t position = 0;  // bytes since the start, never wrapped
    uint32_t waits = 0;     // 1: to be woken
};

struct RingControl {
    RingSide producer;
    RingSide consumer;
};
static_assert(sizeof(RingControl) == 128);

inline constexpr size_t kRingAlignment = 16;

// In the ring, before each frame. The two processes are of one host and one version.
struct RingRecord {
    uint32_t size = 0;  // of the frame
    uint8_t flags = 0;
    uint8_t segmentation = 0;
    uint16_t checksum_start = 0;
    uint16_t checksum_offset = 0;
    uint16_t segment_size = 0;
    uint16_t header_length = 0;
    uint16_t reserved = 0;

    static constexpr uint8_t kNeedsChecksum = 1;
    static constexpr uint8_t kChecksumValid = 2;
    static constexpr uint8_t kEcn = 4;
};
static_assert(sizeof(RingRecord) == kRingAlignment);

// Where a ring lies. The size of `data` is a power of two and fits two of the largest frames.
struct RingMemory {
    RingControl* control = nullptr;
    std::span<std::byte> data;
};
inline constexpr size_t kLeastRing = 256 * 1024;

class RingProducer {
public:
    enum class Status : uint8_t { ok, full, broken };  // broken: by the other side

    explicit RingProducer(const RingMemory& memory) : memory_(memory) {}

    // The consumer sees it after publish(). Precondition: frame.size <= kLargestNetFrame.
    Status push(const NetFrame& frame);
    // True: the consumer sleeps, and is to be woken.
    bool publish();
    // After push() found it full: false, the consumer will wake this side when it has made room;
    // true, it just did.
    bool wait_for_room();
    // Bytes that wait for the consumer, as it says.
    size_t used();

private:
    std::optional<uint64_t> free_room();
    void copy_in(uint64_t to, std::span<const std::byte> bytes);

    RingMemory memory_;
    uint64_t position_ = 0;
    uint64_t wanted_ = 0;  // room that push() did not find
};

// A frame in the ring. The other side can change it at any time.
struct RingFrame {
    std::array<std::span<const std::byte>, 2> parts;
    size_t part_count = 0;
    size_t size = 0;
    NetFrameInfo info;
    uint64_t end = 0;  // for release()

    NetFrame get() const { return {std::span(parts).first(part_count), size, info}; }
};

class RingConsumer {
public:
    enum class Status : uint8_t { ok, empty, broken };

    explicit RingConsumer(const RingMemory& memory) : memory_(memory) {}

    // The frame behind the last one that was looked at.
    Status next(RingFrame& frame);
    // Gives the ring back up to RingFrame::end; the next next() starts there. True: the producer
    // waits for room, and is to be woken.
    bool release(uint64_t end);
    // Back to the first frame that was not released.
    void rewind() { looked_at_ = position_; }
    // True: there is nothing, and the producer will wake this side. Precondition: all that was
    // looked at is released.
    bool sleep();

private:
    void copy_out(uint64_t from, std::span<std::byte> to) const;

    RingMemory memory_;
    uint64_t position_ = 0;
    uint64_t looked_at_ = 0;
};

}  // namespace banyan
