// Random requests to qcow2 images whose file loses power, and now and then has no room.
//
//     power_cut [--seed N] [--operations N] [--every K] [--samples DIRECTORY]
//
// After every K-th write to the file, what a power cut would leave is looked at: the image must
// open, its tables must be right, and each sector of its disk must hold what was flushed, or
// something that was written since. Some of these images are kept in DIRECTORY, for qemu-img to
// check.
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>
#include <random>
#include <string>

#include "backends/block/image/borrowed_file.hpp"
#include "backends/block/image/qcow2_check.hpp"
#include "backends/block/image/qcow2_create.hpp"
#include "backends/block/image/raw_image.hpp"
#include "backends/block/image/testing/crash_file.hpp"

namespace banyan {
namespace {

using Bytes = MemoryFile::Bytes;
using Random = CrashFile::Random;
constexpr uint64_t kSector = 512;

struct Options {
    uint64_t seed = std::random_device{}();
    uint64_t operations = 10'000;
    uint64_t every = 17;
    std::string samples;
};

struct Shape {
    const char* name;
    unsigned cluster_bits;
    unsigned refcount_order;
    uint32_t version;
    bool lazy;
    uint64_t backing_sectors;  // 0: none
    uint64_t first_sectors;    // of the disk
    uint64_t most_sectors;     // to which it grows
};

constexpr Shape kShapes[] = {
    {"small clusters", 9, 4, 3, false, 0, 1000, 2500},
    {"small clusters, wide counts", 9, 6, 3, false, 0, 600, 3000},
    {"version 2 on a base", 10, 4, 2, false, 900, 800, 1500},
    {"on a longer base", 12, 4, 3, false, 1500, 700, 2000},
    {"lazy", 10, 4, 3, true, 0, 1500, 2000},
    {"lazy, on a base, one bit", 12, 0, 3, true, 500, 1111, 2222},
    {"as by default", 16, 4, 3, false, 0, 4000, 6000},
};

[[noreturn]] void give_up(const std::string& why) {
    std::fprintf(stderr, "power_cut: %s\n", why.c_str());
    std::exit(1);
}

template <class T>
T must(Result<T> result, const char* what) {
    if (!result) give_up(fmt::format("{}: {}", what, result.error().text()));
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// A sector holds one number in all its words.
class Model {
public:
    explicit Model(const Bytes& base, uint64_t sectors) : base_(base) { grow(sectors); }

    uint64_t sectors() const { return sectors_.size(); }

    void grow(uint64_t sectors) {
        // What a base has behind the old end does not come into view.
        for (uint64_t s = sectors_.size(); s < sectors; ++s)
            sectors_.push_back({sectors_.empty() || !growing_ ? base_tag(s) : 0, {}});
        growing_ = true;
        flushed();
    }
    // Before it happens: a power cut may come in the middle.
    void will_write(uint64_t first, uint64_t count, uint64_t tag) {
        for (uint64_t s = first; s < first + count; ++s) {
            sectors_[s].may.push_back(tag);
            sectors_[s].now = tag;
        }
    }
    // A discard: as before, or zeroes.
    void may_be_zero(uint64_t first, uint64_t count) {
        for (uint64_t s = first; s < first + count; ++s)
            sectors_[s].may.push_back(0);
    }
    void flushed() {
        for (Sector& sector : sectors_)
            sector.may.assign(1, sector.now);
    }
    bool may_hold(uint64_t s, uint64_t tag) const {
        if (s >= sectors_.size()) return tag == 0;
        const auto& may = sectors_[s].may;
        return std::find(may.begin(), may.end(), tag) != may.end();
    }
    std::string describe(uint64_t s) const {
        return fmt::format("{:#x}", fmt::join(sectors_[s].may, " or "));
    }
    bool holds(uint64_t s, uint64_t tag) const { return sectors_[s].now == tag; }
    void is(uint64_t s, uint64_t tag) { sectors_[s].now = tag; }

private:
    struct Sector {
        uint64_t now = 0;
        std::vector<uint64_t> may;
    };
    uint64_t base_tag(uint64_t s) const {
        uint64_t tag = 0;
        if ((s + 1) * kSector <= base_.size()) std::memcpy(&tag, &base_[s * kSector], sizeof(tag));
        return tag;
    }

    const Bytes& base_;
    std::vector<Sector> sectors_;
    bool growing_ = false;
};

void fill(std::span<std::byte> bytes, uint64_t tag) {
    for (size_t i = 0; i < bytes.size(); i += sizeof(tag))
        std::memcpy(&bytes[i], &tag, sizeof(tag));
}

uint64_t tag_of(std::span<const std::byte> sector) {
    uint64_t tag = 0;
    std::memcpy(&tag, sector.data(), sizeof(tag));
    if (std::memcmp(sector.data(), &sector[sizeof(tag)], sector.size() - sizeof(tag)) != 0) {
        give_up("a sector is torn");
    }
    return tag;
}

Bytes make_base(uint64_t sectors) {
    Bytes base(sectors * kSector);
    for (uint64_t s = 0; s < sectors; ++s)
        fill(std::span(base).subspan(s * kSector, kSector), (uint64_t{1} << 60) + s);
    return base;
}

class Run {
public:
    Run(const Shape& shape, const Options& options, uint64_t seed)
        : shape_(shape),
          options_(options),
          random_(seed),
          base_(make_base(shape.backing_sectors)),
          model_(base_, shape.first_sectors) {
        NewQcow2 wanted{.size = shape.first_sectors * kSector,
                        .version = shape.version,
                        .cluster_bits = shape.cluster_bits,
                        .refcount_order = shape.refcount_order,
                        .lazy_refcounts = shape.lazy,
                        .backing_file = base_.empty() ? "" : "base.raw",
                        .backing_format = base_.empty() ? "" : "raw"};
        must(create_qcow2(file_, wanted, "create"), "create");
        image_ = open(file_);
        file_.on_write = [this] { after_write(); };
        file_.has_room = [this] { return full_for_ == 0 || pick(4) != 0; };
    }

    void operate(uint64_t operations) {
        for (uint64_t i = 0; i < operations; ++i) {
            one();
            if (i % 64 == 0) compare_all();
        }
        reopen();
        compare_all();
    }

    uint64_t cuts() const { return cuts_; }

private:
    uint64_t pick(uint64_t below) { return random_() % below; }

    std::unique_ptr<Qcow2Image> open(ImageFile& file) {
        auto image = must(Qcow2Image::open(std::make_unique<BorrowedFile>(file),
                                           {.name = shape_.name, .writable = true}),
                          "open");
        if (!base_.empty()) {
            image->set_backing(
                std::make_unique<RawImage>(std::make_unique<MemoryFile>(base_), "base"));
        }
        return image;
    }

    // Whether it was done. It may fail only while there is no room.
    bool done(const Result<void>& result, const char* what) {
        if (result) return true;
        if (full_for_ == 0 && !failed_) give_up(fmt::format("{}: {}", what, result.error().text()));
        failed_ = true;
        return false;
    }

    // A request; one for which there was no room is made again when there is some, by those who are
    // patient, as a VM's disk is.
    template <class Request>
    bool attempt(Request request, const char* what) {
        auto result = request();
        if (!result && full_for_ != 0 && patient_) {
            full_for_ = 0;
            result = request();
        }
        return done(result, what);
    }

    // A request that failed may have been done in part: any sector is as it was, or as it was to
    // be.
    void adopt(uint64_t first, uint64_t count) {
        Bytes data(count * kSector);
        must(image_->read(first * kSector, OneBuffer(data)), "read");
        for (uint64_t i = 0; i < count; ++i) {
            const uint64_t tag = tag_of(std::span(data).subspan(i * kSector, kSector));
            if (!model_.may_hold(first + i, tag)) give_up("a request that failed made up data");
            model_.is(first + i, tag);
        }
    }

    void one() {
        if (full_for_ > 0 && --full_for_ == 0 && failed_) reopen();
        const uint64_t first = pick(model_.sectors());
        // Some are long, so that clusters of all sizes are covered.
        const uint64_t most = pick(4) == 0 ? 300 : 20;
        const uint64_t count = 1 + pick(std::min(most, model_.sectors() - first));
        const uint64_t choice = pick(1000);
        if (choice < 500) return write(first, count);
        if (choice < 640) return write_zeroes(first, count);
        if (choice < 780) return discard(first, count);
        if (choice < 980) return flush();
        if (choice < 990) return grow();
        if (choice < 994) {
            full_for_ = 1 + pick(8);
            patient_ = pick(2) == 0;
            return;
        }
        reopen();
    }

    void write(uint64_t first, uint64_t count) {
        const uint64_t tag = ++last_tag_;
        Bytes data(count * kSector);
        fill(data, tag);
        model_.will_write(first, count, tag);
        const auto request = [&] { return image_->write(first * kSector, OneBuffer(data)); };
        if (!attempt(request, "write")) adopt(first, count);
    }
    void write_zeroes(uint64_t first, uint64_t count) {
        model_.will_write(first, count, 0);
        const auto request = [&] { return image_->write_zeroes(first * kSector, count * kSector); };
        if (!attempt(request, "write zeroes")) adopt(first, count);
    }
    void discard(uint64_t first, uint64_t count) {
        model_.may_be_zero(first, count);
        (void)attempt([&] { return image_->discard(first * kSector, count * kSector); }, "discard");
        adopt(first, count);
    }
    void flush() {
        if (attempt([&] { return image_->flush(); }, "flush")) model_.flushed();
    }
    void grow() {
        const uint64_t sectors = std::min(shape_.most_sectors, model_.sectors() + 1 + pick(200));
        if (sectors == model_.sectors()) return;
        if (done(image_->resize(sectors * kSector), "resize")) model_.grow(sectors);
    }
    // An image that had to fail for good is opened again as it is.
    void reopen() {
        full_for_ = 0;
        const auto closed = image_->close();
        if (!closed && !failed_) give_up(fmt::format("close: {}", closed.error().text()));
        if (closed) model_.flushed();
        image_.reset();
        const auto report = check(file_);
        if (report.errors != 0 && closed) give_up("closed, but: " + report.findings.front());
        leaky_ = leaky_ || failed_;
        if (report.leaks != 0 && !leaky_) give_up("a closed image wastes clusters");
        image_ = open(file_);
        if (!closed) adopt(0, model_.sectors());
        failed_ = false;
    }

    Qcow2Report check(ImageFile& file) {
        const auto header = must(Qcow2Header::read(file, shape_.name), "read the header");
        return must(check_qcow2(file, header, {}, shape_.name), "check");
    }

    void compare_all() {
        Bytes disk(model_.sectors() * kSector);
        must(image_->read(0, OneBuffer(disk)), "read");
        for (uint64_t s = 0; s < model_.sectors(); ++s) {
            const uint64_t tag = tag_of(std::span(disk).subspan(s * kSector, kSector));
            if (!model_.holds(s, tag)) give_up(fmt::format("sector {} is {:#x}", s, tag));
        }
    }

    void after_write() {
        if (++writes_ % options_.every != 0) return;
        ++cuts_;
        MemoryFile left(file_.after_power_cut(random_));
        keep_sample(left.bytes());
        const auto header = must(Qcow2Header::read(left, shape_.name), "read the header");
        if (!header.dirty()) must_be_sound(left);
        const auto image = open(left);
        must_be_sound(left);
        compare_after_cut(*image);
    }

    void must_be_sound(MemoryFile& file) {
        const auto report = check(file);
        if (report.errors != 0) give_up("after a power cut: " + report.findings.front());
    }

    void compare_after_cut(Qcow2Image& image) {
        Bytes disk(image.size());
        must(image.read(0, OneBuffer(disk)), "read after a power cut");
        for (uint64_t s = 0; s < disk.size() / kSector; ++s) {
            const uint64_t tag = tag_of(std::span(disk).subspan(s * kSector, kSector));
            if (model_.may_hold(s, tag)) continue;
            give_up(fmt::format("after a power cut, sector {} of {} is {:#x}, not {}", s,
                                model_.sectors(), tag, model_.describe(s)));
        }
    }

    void keep_sample(const Bytes& bytes) {
        if (options_.samples.empty() || cuts_ % 64 != 1) return;
        save(fmt::format("{}/{}-{}.qcow2", options_.samples, shape_.cluster_bits, samples_++),
             bytes);
        if (!base_.empty()) save(options_.samples + "/base.raw", base_);
    }

    static void save(const std::string& path, const Bytes& bytes) {
        std::ofstream file(path, std::ios::binary);
        // SAFETY: a stream's char may alias bytes.
        file.write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
    }

    const Shape& shape_;
    const Options& options_;
    Random random_;
    const Bytes base_;
    Model model_;
    CrashFile file_;
    std::unique_ptr<Qcow2Image> image_;
    uint64_t last_tag_ = 0;
    uint64_t writes_ = 0;
    uint64_t cuts_ = 0;
    uint64_t full_for_ = 0;  // operations
    bool patient_ = false;   // while it is full
    bool failed_ = false;    // since it was opened
    bool leaky_ = false;     // what failed may have left something
    static inline unsigned samples_ = 0;
};

uint64_t number(const char* text) {
    const std::string_view view(text);
    uint64_t value = 0;
    if (std::from_chars(view.begin(), view.end(), value).ptr != view.end()) {
        give_up(fmt::format("'{}' is not a number", text));
    }
    return value;
}

Options parse(std::span<char*> arguments) {
    Options options;
    for (size_t i = 1; i + 1 < arguments.size(); i += 2) {
        const std::string_view name = arguments[i];
        if (name == "--seed") options.seed = number(arguments[i + 1]);
        if (name == "--operations") options.operations = number(arguments[i + 1]);
        if (name == "--every") options.every = number(arguments[i + 1]);
        if (name == "--samples") options.samples = arguments[i + 1];
    }
    return options;
}

}  // namespace
}  // namespace banyan

int main(int argc, char** argv) {
    using namespace banyan;
    const Options options = parse(std::span(argv, static_cast<size_t>(argc)));
    std::printf("power_cut --seed %lu --operations %lu --every %lu\n", options.seed,
                options.operations, options.every);
    std::fflush(stdout);
    for (const Shape& shape : kShapes) {
        Run run(shape, options, options.seed);
        run.operate(options.operations / std::size(kShapes));
        std::printf("%s: %lu power cuts\n", shape.name, run.cuts());
    }
    return 0;
}
