#include "devices/virtio/virtio_balloon.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "devices/virtio/virtio_balloon_state.hpp"
#include "snapshot/state.hpp"
#include "support/log.hpp"

namespace banyan {

using namespace virtio;

namespace {

// Linux wants room for 32 pieces of a report (PAGE_REPORTING_CAPACITY).
constexpr std::array<uint16_t, 5> kBalloonQueueSizes{128, 128, 64, 128, 128};
enum BalloonQueue : unsigned { kInflateQueue = 0, kDeflateQueue = 1, kStatisticsQueue = 2 };

constexpr VirtioIdentity kBalloonIdentity{
    .name = "virtio-balloon",
    .device_type = kDeviceBalloon,
    .pci_class = 0x00ff00,
    .features = kBalloonStatsVq | kBalloonDeflateOnOom | kBalloonPagePoison |
                kBalloonPageReporting | kFeatureInOrder,
};

// Of one step, so that a chain of any length keeps the vCPU only as long as run_queue() allows.
constexpr size_t kPagesAtOnce = 1024;
// More than there are tags: what a driver says twice, it says in vain.
constexpr size_t kMaxStats = 32;

}  // namespace

VirtioBalloon::VirtioBalloon(uint64_t ram_size, const VirtioBalloonWiring& wiring)
    : VirtioDevice(wiring.memory, kBalloonIdentity, kBalloonQueueSizes),
      ram_size_(ram_size),
      reclaimer_(wiring.reclaimer),
      chain_(kBalloonQueueSizes[0]) {}

void VirtioBalloon::set_target(uint64_t bytes) {
    const uint64_t pages = (ram_size_ - std::min(bytes, ram_size_)) >> kBalloonPageShift;
    const auto wanted = static_cast<uint32_t>(std::min<uint64_t>(pages, UINT32_MAX));
    if (config_.num_pages == wanted) return;
    config_.num_pages = wanted;
    config_changed();
}

uint64_t VirtioBalloon::in_guest(uint32_t pages) const {
    return ram_size_ - std::min(ram_size_, uint64_t{pages} << kBalloonPageShift);
}

// 5.5.6.3: to give the driver its buffer back is to ask for news.
BalloonStatistics VirtioBalloon::statistics() {
    BalloonStatistics all = told_;
    all.target = in_guest(config_.num_pages);
    all.actual = in_guest(config_.actual);
    all.reclaimed = reclaimed_;
    Virtqueue& requests = queue(kStatisticsQueue);
    if (!live() || role(kStatisticsQueue) != Role::statistics || !requests.enabled()) return all;
    if (requests.peek(chain_) == Virtqueue::Next::chain) {
        requests.pop();
        requests.push_used(chain_.head(), 0);
        run_queue(kStatisticsQueue);  // which looks out for the answer
    }
    return all;
}

// 5.5.2 numbers the queues: 3 is for free page hints, which this device does not offer, 4 for
// reports.
// QUIRK: Linux counts only queues whose features were negotiated, so that its reports come on 3 or
// 2.
VirtioBalloon::Role VirtioBalloon::role(unsigned index) const {
    if (index == kInflateQueue) return Role::inflate;
    if (index == kDeflateQueue) return Role::deflate;
    const bool statistics = (driver_features() & kBalloonStatsVq) != 0;
    if (index == kStatisticsQueue && statistics) return Role::statistics;
    const bool reports = (driver_features() & kBalloonPageReporting) != 0;
    return reports ? Role::reports : Role::none;
}

VirtioDevice::Step VirtioBalloon::step(unsigned index) {
    const Role its_role = role(index);
    if (its_role == Role::none) return Step::broken;
    switch (queue(index).peek(chain_)) {
        case Virtqueue::Next::empty: return Step::empty;
        case Virtqueue::Next::broken: return Step::broken;
        case Virtqueue::Next::chain: break;
    }
    switch (its_role) {
        case Role::inflate: return step_inflate();
        case Role::deflate: return step_deflate();
        case Role::statistics: return step_statistics();
        default: return step_reports(index);
    }
}

// 5.5.6: an array of page numbers.
VirtioDevice::Step VirtioBalloon::step_inflate() {
    std::array<uint32_t, kPagesAtOnce> pages{};
    const size_t bytes = chain_.copy_from(inflated_, std::as_writable_bytes(std::span(pages)));
    inflate(std::span(pages).first(bytes / sizeof(uint32_t)));
    inflated_ += bytes;
    if (bytes != 0 && inflated_ < chain_.readable_length()) return Step::done;
    inflated_ = 0;
    queue(kInflateQueue).pop();
    queue(kInflateQueue).push_used(chain_.head(), 0);
    return Step::done;
}

// In the order of addresses, so that neighbours go in one piece.
void VirtioBalloon::inflate(std::span<uint32_t> pages) {
    std::sort(pages.begin(), pages.end());
    for (size_t first = 0; first < pages.size();) {
        size_t end = first + 1;
        while (end < pages.size() && pages[end] - pages[end - 1] <= 1)
            ++end;
        const uint64_t count = uint64_t{pages[end - 1]} - pages[first] + 1;
        discard({uint64_t{pages[first]} << kBalloonPageShift}, count << kBalloonPageShift);
        first = end;
    }
}

void VirtioBalloon::discard(Gpa start, uint64_t length) {
    if (reclaimer_.discard(start, length)) {
        reclaimed_ += length;
        return;
    }
    LOG_LIMITED(LogLevel::warning, "virtio-balloon", "the guest gave pages that are not its RAM");
}

VirtioDevice::Step VirtioBalloon::step_deflate() {
    queue(kDeflateQueue).pop();
    queue(kDeflateQueue).push_used(chain_.head(), 0);
    return Step::done;
}

// 5.5.6.3: the buffer stays here until news are wanted.
VirtioDevice::Step VirtioBalloon::step_statistics() {
    read_statistics();
    return Step::stalled;
}

void VirtioBalloon::read_statistics() {
    std::array<BalloonStat, kMaxStats> stats{};
    const size_t bytes = chain_.copy_from(0, std::as_writable_bytes(std::span(stats)));
    told_ = {};
    for (const BalloonStat& stat : std::span(stats).first(bytes / sizeof(BalloonStat)))
        note(static_cast<BalloonTag>(uint16_t{stat.tag}), stat.value);
}

// 5.5.6.3.2: tags that are not known are ignored.
void VirtioBalloon::note(BalloonTag tag, uint64_t value) {
    switch (tag) {
        case BalloonTag::swap_in: told_.swapped_in = value; return;
        case BalloonTag::swap_out: told_.swapped_out = value; return;
        case BalloonTag::major_faults: told_.major_faults = value; return;
        case BalloonTag::minor_faults: told_.minor_faults = value; return;
        case BalloonTag::free_memory: told_.free_memory = value; return;
        case BalloonTag::total_memory: told_.total_memory = value; return;
        case BalloonTag::available_memory: told_.available_memory = value; return;
        case BalloonTag::disk_caches: told_.disk_caches = value; return;
        case BalloonTag::huge_page_allocations: told_.huge_page_allocations = value; return;
        case BalloonTag::huge_page_failures: told_.huge_page_failures = value; return;
    }
}

// 5.5.6.7: the buffers are the free pages themselves. A driver that poisons free pages with
// anything but zeroes must find that there again, so they stay (5.5.6.6).
VirtioDevice::Step VirtioBalloon::step_reports(unsigned index) {
    const bool poisoned = (driver_features() & kBalloonPagePoison) != 0 && config_.poison_val != 0;
    for (const VirtioSegment& pages : chain_.writable()) {
        const uint64_t start = align_up(pages.gpa.value, kPageSize);
        const uint64_t end = align_down(pages.gpa.value + pages.length, kPageSize);
        if (!poisoned && start < end) discard({start}, end - start);
    }
    queue(index).pop();
    queue(index).push_used(chain_.head(), 0);
    return Step::done;
}

std::span<const std::byte> VirtioBalloon::config_space() const {
    return std::as_bytes(std::span(&config_, 1));
}

// 5.5.4: the driver writes these two, as words.
void VirtioBalloon::write_config(uint32_t offset, unsigned size, uint32_t value) {
    if (size != 4) return;
    if (offset == offsetof(BalloonConfig, actual)) config_.actual = value;
    if (offset == offsetof(BalloonConfig, poison_val)) config_.poison_val = value;
}

// What the guest is asked for stays: it belongs to the outside.
void VirtioBalloon::on_reset() {
    config_.actual = 0U;
    config_.poison_val = 0U;
    inflated_ = 0;
    told_ = {};
}

void VirtioBalloon::on_queue_reset(unsigned index) {
    if (index == kInflateQueue) inflated_ = 0;
}

void VirtioBalloon::save_device(StateWriter& writer) const {
    writer.section(
        VirtioBalloonStateV1{config_.num_pages, config_.actual, config_.poison_val, inflated_});
}

Result<void> VirtioBalloon::restore_device(StateReader& reader) {
    TRY_ASSIGN(state, reader.section<VirtioBalloonStateV1>());
    config_.num_pages = state.num_pages;
    config_.actual = state.actual;
    config_.poison_val = state.poison_val;
    inflated_ = state.inflated;
    return {};
}

}  // namespace banyan
