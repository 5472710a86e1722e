#include "cpu/interp/cpu_model.hpp"

#include <cpuid.h>
#include <cstring>

#include "arch/x86/registers.hpp"

namespace banyan::interp {

namespace {

CpuidResult host_cpuid(uint32_t leaf, uint32_t subleaf) {
    CpuidResult result;
    if (__get_cpuid_count(leaf, subleaf, &result.eax, &result.ebx, &result.ecx, &result.edx) == 0)
        return {};
    return result;
}

// Hygon's processors follow AMD's rules.
Vendor host_vendor() {
    const CpuidResult leaf = host_cpuid(0, 0);
    char name[12];
    std::memcpy(name, &leaf.ebx, 4);
    std::memcpy(name + 4, &leaf.edx, 4);
    std::memcpy(name + 8, &leaf.ecx, 4);
    const std::string_view vendor(name, sizeof(name));
    return vendor == "AuthenticAMD" || vendor == "HygonGenuine" ? Vendor::amd : Vendor::intel;
}

constexpr uint64_t feature_mask(Feature feature) {
    return uint64_t{1} << static_cast<unsigned>(feature);
}

// The level of the x86-64 psABI that a feature belongs to.
enum class Level : uint8_t {
    system,  // offered with every model: what operating systems use
    v1,
    v2,
    v3,
    max,  // beyond the levels
};

struct Choice {
    std::string_view name;
    Level level;
};
constexpr Choice kChoices[] = {{"x86-64", Level::v1},
                               {"x86-64-v2", Level::v2},
                               {"x86-64-v3", Level::v3},
                               {"max", Level::max},
                               {"host", Level::max}};

const Choice* find_choice(std::string_view name) {
    for (const Choice& choice : kChoices) {
        if (choice.name == name) return &choice;
    }
    return nullptr;
}

using Output = CpuidOutput;

struct FeatureBit {
    Feature feature;
    uint32_t leaf;
    uint8_t subleaf;
    Output output;
    uint8_t bit;
    Level level;
    bool native;  // runs on the host's own instruction, so that the host must have it
};
constexpr FeatureBit kFeatureBits[] = {
    {Feature::sse3, 1, 0, Output::ecx, 0, Level::v2, true},
    {Feature::pclmulqdq, 1, 0, Output::ecx, 1, Level::max, true},
    {Feature::ssse3, 1, 0, Output::ecx, 9, Level::v2, true},
    {Feature::fma, 1, 0, Output::ecx, 12, Level::v3, true},
    {Feature::cx16, 1, 0, Output::ecx, 13, Level::v2, true},
    {Feature::pcid, 1, 0, Output::ecx, 17, Level::system, false},
    {Feature::sse4_1, 1, 0, Output::ecx, 19, Level::v2, true},
    {Feature::sse4_2, 1, 0, Output::ecx, 20, Level::v2, true},
    {Feature::x2apic, 1, 0, Output::ecx, 21, Level::system, false},
    {Feature::movbe, 1, 0, Output::ecx, 22, Level::v3, false},
    {Feature::popcnt, 1, 0, Output::ecx, 23, Level::v2, true},
    {Feature::tsc_deadline, 1, 0, Output::ecx, 24, Level::system, false},
    {Feature::aes, 1, 0, Output::ecx, 25, Level::max, true},
    {Feature::xsave, 1, 0, Output::ecx, 26, Level::v3, true},
    {Feature::avx, 1, 0, Output::ecx, 28, Level::v3, true},
    {Feature::f16c, 1, 0, Output::ecx, 29, Level::v3, true},
    {Feature::rdrand, 1, 0, Output::ecx, 30, Level::max, true},
    {Feature::fsgsbase, 7, 0, Output::ebx, 0, Level::system, false},
    {Feature::bmi1, 7, 0, Output::ebx, 3, Level::v3, true},
    {Feature::avx2, 7, 0, Output::ebx, 5, Level::v3, true},
    {Feature::smep, 7, 0, Output::ebx, 7, Level::system, false},
    {Feature::bmi2, 7, 0, Output::ebx, 8, Level::v3, true},
    {Feature::erms, 7, 0, Output::ebx, 9, Level::system, false},
    {Feature::invpcid, 7, 0, Output::ebx, 10, Level::system, false},
    {Feature::avx512f, 7, 0, Output::ebx, 16, Level::max, true},
    {Feature::avx512dq, 7, 0, Output::ebx, 17, Level::max, true},
    {Feature::avx512ifma, 7, 0, Output::ebx, 21, Level::max, true},
    {Feature::avx512cd, 7, 0, Output::ebx, 28, Level::max, true},
    {Feature::avx512bw, 7, 0, Output::ebx, 30, Level::max, true},
    {Feature::avx512vl, 7, 0, Output::ebx, 31, Level::max, true},
    {Feature::rdseed, 7, 0, Output::ebx, 18, Level::max, true},
    {Feature::adx, 7, 0, Output::ebx, 19, Level::max, true},
    {Feature::smap, 7, 0, Output::ebx, 20, Level::system, false},
    {Feature::clflushopt, 7, 0, Output::ebx, 23, Level::max, true},
    {Feature::clwb, 7, 0, Output::ebx, 24, Level::max, true},
    {Feature::sha, 7, 0, Output::ebx, 29, Level::max, true},
    {Feature::umip, 7, 0, Output::ecx, 2, Level::system, false},
    {Feature::avx512vbmi, 7, 0, Output::ecx, 1, Level::max, true},
    {Feature::avx512vbmi2, 7, 0, Output::ecx, 6, Level::max, true},
    {Feature::avx512vnni, 7, 0, Output::ecx, 11, Level::max, true},
    {Feature::avx512bitalg, 7, 0, Output::ecx, 12, Level::max, true},
    {Feature::avx512vpopcntdq, 7, 0, Output::ecx, 14, Level::max, true},
    {Feature::gfni, 7, 0, Output::ecx, 8, Level::max, true},
    {Feature::vaes, 7, 0, Output::ecx, 9, Level::max, true},
    {Feature::vpclmulqdq, 7, 0, Output::ecx, 10, Level::max, true},
    {Feature::rdpid, 7, 0, Output::ecx, 22, Level::system, false},
    {Feature::avx_vnni, 7, 1, Output::eax, 4, Level::max, true},
    {Feature::avx512bf16, 7, 1, Output::eax, 5, Level::max, true},
    {Feature::xsaveopt, 0xD, 1, Output::eax, 0, Level::max, true},
    {Feature::xsavec, 0xD, 1, Output::eax, 1, Level::max, true},
    {Feature::xgetbv1, 0xD, 1, Output::eax, 2, Level::max, false},
    {Feature::lzcnt, 0x80000001, 0, Output::ecx, 5, Level::v3, true},
    {Feature::sse4a, 0x80000001, 0, Output::ecx, 6, Level::max, true},
    {Feature::nx, 0x80000001, 0, Output::edx, 20, Level::system, false},
    {Feature::pdpe1gb, 0x80000001, 0, Output::edx, 26, Level::system, false},
    {Feature::rdtscp, 0x80000001, 0, Output::edx, 27, Level::system, false},
    {Feature::long_mode, 0x80000001, 0, Output::edx, 29, Level::system, false},
    {Feature::xsaveerptr, 0x80000008, 0, Output::ebx, 2, Level::max, true},
};

static_assert(static_cast<unsigned>(Feature::count) <= 64);

// Do processes of the host have the state of AVX-512? Its kernel may have left it off.
bool host_keeps_avx512_state() {
    constexpr uint32_t kOsXsave = 1U << 27;
    if ((host_cpuid(1, 0).ecx & kOsXsave) == 0) return false;
    uint32_t low = 0;
    uint32_t high = 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & x86::kXcr0Avx512) == x86::kXcr0Avx512;
}

bool host_has(const FeatureBit& f) {
    const CpuidResult host = host_cpuid(f.leaf, f.subleaf);
    const uint32_t words[] = {host.eax, host.ebx, host.ecx, host.edx};
    return (words[static_cast<unsigned>(f.output)] >> f.bit & 1U) != 0;
}

}  // namespace

uint32_t CpuModel::feature_word(uint32_t leaf, uint32_t subleaf, Output output) const {
    uint32_t word = 0;
    for (const FeatureBit& f : kFeatureBits) {
        if (f.leaf == leaf && f.subleaf == subleaf && f.output == output && has(f.feature))
            word |= 1U << f.bit;
    }
    return word;
}

Result<CpuModel> CpuModel::create(std::string_view name, unsigned cpu_count, uint64_t tsc_hz) {
    const Choice* const choice = find_choice(name);
    if (choice == nullptr) {
        return fail(ErrorCode::invalid_argument,
                    "CPU model: unknown name; use max, host, x86-64, x86-64-v2 or x86-64-v3");
    }
    if (cpu_count == 0 || tsc_hz == 0) {
        return fail(ErrorCode::invalid_argument, "CPU model: needs a CPU and a clock that runs");
    }
    CpuModel model;
    model.vendor_ = host_vendor();
    model.signature_ = host_cpuid(1, 0).eax;
    model.cpu_count_ = cpu_count;
    model.tsc_hz_ = tsc_hz;
    for (const FeatureBit& f : kFeatureBits) {
        if (f.level > choice->level) continue;
        if (!f.native || host_has(f)) {
            model.features_ |= feature_mask(f.feature);
        } else if (choice->level != Level::max) {
            return fail(ErrorCode::unsupported,
                        "CPU model: this host's processor lacks an instruction of that level; "
                        "choose a lower one, or max");
        }
    }
    model.drop_useless_features();
    return model;
}

void CpuModel::drop(std::initializer_list<Feature> features) {
    for (const Feature f : features)
        features_ &= ~feature_mask(f);
}

// AVX lives in state that only XSAVE manages, and its extensions in AVX. Of AVX-512, the first
// processors had no opmasks of 64 bits (BW) and no short vectors (VL): too little to be worth it.
void CpuModel::drop_useless_features() {
    using enum Feature;
    if (!has(xsave)) drop({avx, xsaveopt, xsavec, xgetbv1});
    if (!has(avx)) drop({avx2, fma, f16c, vaes, vpclmulqdq, avx_vnni});
    if (has(avx2) && has(avx512f) && has(avx512bw) && has(avx512vl) && host_keeps_avx512_state())
        return;
    drop({avx512f, avx512dq, avx512ifma, avx512cd, avx512bw, avx512vl, avx512vbmi, avx512vbmi2,
          avx512vnni, avx512bitalg, avx512vpopcntdq, avx512bf16});
}

uint64_t CpuModel::state_components() const {
    uint64_t result = x86::kXcr0X87 | x86::kXcr0Sse;
    if (has(Feature::avx)) result |= x86::kXcr0Avx;
    if (has(Feature::avx512f)) result |= x86::kXcr0Avx512;
    return result;
}

}  // namespace banyan::interp
