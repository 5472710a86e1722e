// Loads a disk of Banyan's block layer, with the pattern of `qemu-img bench`: requests of one size,
// each STEP bytes behind the one before, from the start again at the end, DEPTH of them under way
// until COUNT are done.
//
//     block_load FILE raw|qcow2 read|write DEPTH SIZE STEP COUNT writeback|none|unsafe
//     automatic|threads
//
// The next request is made where one completes, as a device's queue does. Prints the seconds that
// it took; who starts it takes the processor time.
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string_view>
#include <vector>

#include "backends/block/image_disk.hpp"

namespace banyan {
namespace {

using Kind = BlockRequest::Kind;

[[noreturn]] void give_up(std::string_view why) {
    std::fprintf(stderr, "block_load: %.*s\n", static_cast<int>(why.size()), why.data());
    std::exit(1);
}

uint64_t number(std::string_view text) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.begin(), text.end(), value);
    if (error != std::errc{} || end != text.end()) give_up("not a number");
    return value;
}

struct Load {
    Kind kind = Kind::read;
    uint64_t depth = 1;
    uint64_t size = 4096;
    uint64_t step = 4096;
    uint64_t count = 1;
};

class Loader final : public BlockClient {
public:
    Loader(ImageDisk& disk, const Load& load) : disk_(disk), load_(load), slots_(load.depth) {
        for (uint64_t i = 0; i < load.depth; ++i) {
            void* memory = std::aligned_alloc(4096, (load.size + 4095) / 4096 * 4096);
            slots_[i] = {static_cast<std::byte*>(memory), load.size};
            std::fill(slots_[i].begin(), slots_[i].end(), std::byte{0x5A});
            free_.push_back(i);
        }
    }

    void run() {
        pump();
        std::unique_lock lock(mutex_);
        ended_.wait(lock, [&] { return done_ == load_.count; });
    }

    void on_block_complete(uint64_t cookie, BlockStatus status) override {
        if (status != BlockStatus::ok) give_up("a request failed");
        {
            const std::lock_guard lock(mutex_);
            free_.push_back(cookie);
            if (++done_ == load_.count) ended_.notify_all();
            if (pumping_) return;
            pumping_ = true;
        }
        pump();
    }

private:
    void pump() {
        std::unique_lock lock(mutex_);
        while (!free_.empty() && issued_ < load_.count) {
            const uint64_t slot = free_.back();
            free_.pop_back();
            const uint64_t at = offset_;
            offset_ = (offset_ + load_.step) % disk_.size_bytes();
            ++issued_;
            lock.unlock();
            disk_.submit({load_.kind, at, load_.size, std::span(slots_).subspan(slot, 1), slot},
                         *this);
            lock.lock();
        }
        pumping_ = false;
    }

    ImageDisk& disk_;
    const Load load_;
    std::vector<std::span<std::byte>> slots_;
    std::mutex mutex_;
    std::condition_variable ended_;
    std::vector<uint64_t> free_;
    uint64_t offset_ = 0;
    uint64_t issued_ = 0;
    uint64_t done_ = 0;
    bool pumping_ = true;
};

int run(std::span<char*> arguments) {
    if (arguments.size() != 10) give_up("nine arguments are wanted");
    const auto is = [&](size_t i, std::string_view text) { return text == arguments[i]; };
    ImageDiskOptions options{.path = arguments[1],
                             .format = is(2, "raw") ? ImageFormat::raw : ImageFormat::qcow2,
                             .read_only = is(3, "read")};
    if (is(8, "none")) options.cache = DiskCache::none;
    if (is(8, "unsafe")) options.cache = DiskCache::unsafe;
    if (is(9, "threads")) options.engine = DiskEngine::threads;
    auto disk = ImageDisk::open(options);
    if (!disk) give_up(disk.error().text());
    const Load load{is(3, "read") ? Kind::read : Kind::write, number(arguments[4]),
                    number(arguments[5]), number(arguments[6]), number(arguments[7])};
    Loader loader(**disk, load);
    const auto start = std::chrono::steady_clock::now();
    loader.run();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    (*disk)->drain();
    std::printf("%.6f\n", taken.count());
    return 0;
}

}  // namespace
}  // namespace banyan

int main(int argc, char** argv) {
    return banyan::run(std::span(argv, static_cast<size_t>(argc)));
}
