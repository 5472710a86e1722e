// A file that loses power.
#pragma once

#include <array>
#include <functional>
#include <random>

#include "backends/block/image/testing/memory_file.hpp"

namespace banyan {

// Remembers what was written since the last flush, sector by sector. A power cut keeps what was
// flushed, and any part of the rest.
class CrashFile final : public MemoryFile {
public:
    static constexpr uint64_t kSector = 512;
    using Random = std::mt19937_64;

    // Called after each write, when the power may fail.
    std::function<void()> on_write;
    // Asked before each write: whether it succeeds. None: all do.
    std::function<bool()> has_room;

    Result<void> write(uint64_t offset, const Scatter& from) override {
        if (has_room && !has_room()) return fail(ErrorCode::no_space, "the file: it is full; a test");
        TRY(MemoryFile::write(offset, from));
        if (from.size() == 0) return {};
        for (uint64_t s = offset / kSector; s <= (offset + from.size() - 1) / kSector; ++s)
            pending_.push_back({s, sector(bytes(), s)});
        if (on_write) on_write();
        return {};
    }
    Result<void> flush() override {
        pending_.clear();
        durable_ = bytes();
        return {};
    }
    Result<void> resize(uint64_t size) override {
        TRY(MemoryFile::resize(size));
        return flush();
    }

    // What is in the file after a power cut now.
    Bytes after_power_cut(Random& random) const {
        Bytes left = durable_;
        // From all lost to all kept.
        std::uniform_int_distribution<unsigned> percent(0, 100);
        const unsigned kept = percent(random);
        for (const Pending& write : pending_) {
            if (percent(random) <= kept) put(left, write);
        }
        return left;
    }

private:
    using Sector = std::array<std::byte, kSector>;
    struct Pending {
        uint64_t number;
        Sector data;
    };

    static Sector sector(const Bytes& bytes, uint64_t number) {
        Sector data{};
        const uint64_t at = number * kSector;
        std::memcpy(data.data(), &bytes[at], std::min(kSector, bytes.size() - at));
        return data;
    }
    static void put(Bytes& bytes, const Pending& write) {
        const uint64_t at = write.number * kSector;
        if (bytes.size() < at + kSector) bytes.resize(at + kSector);
        std::memcpy(&bytes[at], write.data.data(), kSector);
    }

    Bytes durable_;
    std::vector<Pending> pending_;
};

}  // namespace banyan
