// Requests whose bytes can be moved without asking the image: where they lie is known, and nothing
// but data changes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace banyan {

class ImageFile;

enum class DirectKind : uint8_t { read, write, flush, discard, write_zeroes };

// What a request covers of one file. Without a file: its bytes read as zeroes.
struct DirectPlace {
    ImageFile* file = nullptr;
    uint64_t offset = 0;
    uint64_t length = 0;
};

// All of a request, in its order.
class DirectPlaces {
public:
    // A request of 1 MiB in clusters of 64 KiB, scattered.
    static constexpr size_t kMost = 18;

    // False: too many.
    bool add(const DirectPlace& place) {
        if (count_ == kMost) return false;
        places_[count_++] = place;
        return true;
    }
    void clear() {
        count_ = 0;
        mark_ = 0;
    }
    size_t size() const { return count_; }
    const DirectPlace* begin() const { return places_.data(); }
    const DirectPlace* end() const { return places_.data() + count_; }

    // The image's, from begin_direct() to end_direct().
    uint64_t mark() const { return mark_; }
    void set_mark(uint64_t mark) { mark_ = mark; }

private:
    std::array<DirectPlace, kMost> places_;
    size_t count_ = 0;
    uint64_t mark_ = 0;
};

}  // namespace banyan
