#include "app/cli/disk_tuning.hpp"

#include <array>

#include "app/cli/values.hpp"

namespace banyan {

namespace {

struct Rate {
    std::string_view key;
    bool bytes;
    DiskLimits::Which which;
};

constexpr std::array<Rate, 6> kRates{{{"iops", false, DiskLimits::all},
                                      {"iops-rd", false, DiskLimits::reads},
                                      {"iops-wr", false, DiskLimits::writes},
                                      {"bps", true, DiskLimits::all},
                                      {"bps-rd", true, DiskLimits::reads},
                                      {"bps-wr", true, DiskLimits::writes}}};

Result<uint64_t> parse_amount(const std::string& option, std::string_view text, bool bytes) {
    constexpr uint64_t kMost = uint64_t{1} << 50;
    if (!bytes) return parse_number(option, text, kMost);
    TRY_ASSIGN(amount, parse_size(option, text));
    if (amount > kMost) {
        return fail(ErrorCode::invalid_argument, option + ": no disk is that fast; give less");
    }
    return amount;
}

Result<DiskRate> parse_rate(const std::string& option, std::string_view text, bool bytes) {
    const size_t colon = std::min(text.find(':'), text.size());
    DiskRate rate;
    TRY_ASSIGN(per_second, parse_amount(option, text.substr(0, colon), bytes));
    rate.per_second = per_second;
    if (colon == text.size()) return rate;
    TRY_ASSIGN(burst, parse_amount(option, text.substr(colon + 1), bytes));
    rate.burst = burst;
    return rate;
}

}  // namespace

Result<bool> parse_disk_tuning(const std::string& key, const std::string& value, DiskFile& disk) {
    const std::string option = "--disk " + key;
    if (key == "cache") {
        TRY_ASSIGN(cache, parse_choice<DiskCache>(option, value,
                                                  {{"writeback", DiskCache::writeback},
                                                   {"none", DiskCache::none},
                                                   {"unsafe", DiskCache::unsafe}}));
        disk.cache = cache;
        return true;
    }
    for (const Rate& known : kRates) {
        if (known.key != key) continue;
        TRY_ASSIGN(rate, parse_rate(option, value, known.bytes));
        (known.bytes ? disk.limits.bytes : disk.limits.requests)[known.which] = rate;
        return true;
    }
    return false;
}

}  // namespace banyan
