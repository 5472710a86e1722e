// Sources: Intel SDM vol. 2 "CPUID", AMD APM vol. 3 appendix E, Linux
// Documentation/virt/kvm/x86/cpuid.rst.
#include "cpu/kvm/kvm_cpuid.hpp"

#include <algorithm>
#include <array>

#include "arch/x86/register_state.hpp"
#include "cpu/kvm/kvm_list.hpp"

namespace banyan::kvm {

namespace {

using interp::CpuidOutput;
using interp::CpuidResult;
using interp::CpuModel;

constexpr uint32_t kMostEntries = 256;  // KVM_MAX_CPUID_ENTRIES
constexpr uint32_t kXsaveLeaf = 0xD;
constexpr uint32_t kKvmFeatures = 0x40000001;

// Indirect branch and store bypass controls, MD_CLEAR, flushes, ARCH_CAPABILITIES.
constexpr uint32_t kIntelRemedies = 1U << 10 | 1U << 26 | 1U << 27 | 1U << 28 | 1U << 29 | 1U << 31;
// IBPB, IBRS, STIBP, how they are best used, SSBD and what is not needed.
constexpr uint32_t kAmdRemedies = 0x1F << 14 | 1U << 12 | 0x7U << 24 | 0x3U << 28;
// All that KVM offers its guests, in the kernel: clocks, end of interrupt, asynchronous page
// faults, steal time, and calls by which vCPUs spare each other exits.
constexpr uint32_t kParavirtual = 1U << 1 | 0x7FU << 3 | 0x3FU << 9 | 1U << 24;
constexpr uint32_t kWideMsiTargets = 1U << 15;
constexpr uint32_t kTscDeadline = 1U << 24;
constexpr uint32_t kHypervisor = 1U << 31;
constexpr uint32_t kHyperThreading = 1U << 28;
constexpr uint32_t kAll = ~0U;

// An output of CPUID whose bits are features: model AND KVM's, and more of the one or the other.
struct FeatureWord {
    uint32_t leaf;
    uint32_t subleaf;
    CpuidOutput output;
    uint32_t from_kvm;    // what KVM has of these is there whatever the model says
    uint32_t from_model;  // what the model says of these counts whatever KVM says
};
constexpr std::array kFeatureWords = {
    FeatureWord{1, 0, CpuidOutput::ecx, 0, kHypervisor},
    FeatureWord{1, 0, CpuidOutput::edx, 0, kHyperThreading},
    FeatureWord{7, 0, CpuidOutput::ebx, 0, 0},
    FeatureWord{7, 0, CpuidOutput::ecx, 0, 0},
    FeatureWord{7, 0, CpuidOutput::edx, kIntelRemedies, 0},
    FeatureWord{7, 1, CpuidOutput::eax, 0, 0},
    FeatureWord{kXsaveLeaf, 1, CpuidOutput::eax, 0, 0},
    FeatureWord{kKvmFeatures, 0, CpuidOutput::eax, kParavirtual, 0},
    FeatureWord{0x80000001, 0, CpuidOutput::ecx, 0, 0},
    FeatureWord{0x80000001, 0, CpuidOutput::edx, 0, 0},
    FeatureWord{0x80000007, 0, CpuidOutput::edx, 0, 0},
    FeatureWord{0x80000008, 0, CpuidOutput::ebx, kAmdRemedies, 0},
    FeatureWord{0x80000021, 0, CpuidOutput::eax, kAll, 0},
    FeatureWord{0x80000021, 0, CpuidOutput::ecx, kAll, 0},
};

uint32_t& output_of(kvm_cpuid_entry2& entry, CpuidOutput output) {
    switch (output) {
        case CpuidOutput::eax: return entry.eax;
        case CpuidOutput::ebx: return entry.ebx;
        case CpuidOutput::ecx: return entry.ecx;
        case CpuidOutput::edx: return entry.edx;
    }
    return entry.eax;
}

kvm_cpuid_entry2 find(std::span<const kvm_cpuid_entry2> entries, uint32_t leaf, uint32_t subleaf) {
    const auto found = std::find_if(entries.begin(), entries.end(), [&](const auto& entry) {
        return entry.function == leaf && entry.index == subleaf;
    });
    return found == entries.end() ? kvm_cpuid_entry2{} : *found;
}

// Leaves whose answer depends on ECX, and how many subleaves are told.
constexpr uint32_t subleaves(uint32_t leaf) {
    switch (leaf) {
        case 4:
        case 0x8000001D: return 5;  // caches, and an end
        case 7: return 2;
        case 0xB: return 3;  // threads, cores, and an end
        case kXsaveLeaf: return 64;
        default: return 1;
    }
}

class CpuidBuilder {
public:
    CpuidBuilder(const CpuModel& model, std::span<const kvm_cpuid_entry2> supported,
                 const CpuidExtras& extras, unsigned index)
        : model_(model), supported_(supported), extras_(extras), index_(index) {}

    std::vector<kvm_cpuid_entry2> build() {
        add_range(0);
        add_leaf(0x40000000);
        add_leaf(kKvmFeatures);
        add_leaf(0x40000010);
        add_range(0x80000000);
        return std::move(entries_);
    }

private:
    // OSXSAVE and the sizes for XCR0 are KVM's to keep up to date.
    CpuidResult ask(uint32_t leaf, uint32_t subleaf) const {
        return model_.cpuid(leaf, subleaf, index_, 0, x86::kXcr0X87);
    }

    void add_range(uint32_t first) {
        const uint32_t last = ask(first, 0).eax;
        for (uint32_t leaf = first; leaf <= last; ++leaf)
            add_leaf(leaf);
    }

    void add_leaf(uint32_t leaf) {
        for (uint32_t subleaf = 0; subleaf < subleaves(leaf); ++subleaf) {
            const CpuidResult r = ask(leaf, subleaf);
            // What is not there reads as zeros, which KVM knows; sizes without XSAVE it would fill
            // in.
            const bool none = (r.eax | r.ebx | r.ecx | r.edx) == 0;
            if (none && (subleaf > 0 || leaf == kXsaveLeaf)) continue;
            kvm_cpuid_entry2 entry{};
            entry.function = leaf;
            entry.index = subleaf;
            entry.flags = subleaves(leaf) > 1 ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
            entry.eax = r.eax;
            entry.ebx = r.ebx;
            entry.ecx = r.ecx;
            entry.edx = r.edx;
            cut(entry);
            entries_.push_back(entry);
        }
    }

    void cut(kvm_cpuid_entry2& entry) const {
        for (const FeatureWord& word : kFeatureWords) {
            if (word.leaf != entry.function || word.subleaf != entry.index) continue;
            uint32_t& bits = output_of(entry, word.output);
            kvm_cpuid_entry2 host = find(supported_, word.leaf, word.subleaf);
            const uint32_t offered = output_of(host, word.output);
            bits = (bits & (offered | word.from_model)) | (offered & word.from_kvm);
        }
        add_extras(entry);
        if (entry.function == kXsaveLeaf) cut_xsave(entry);
        if (entry.function == 0x80000008) cut_addresses(entry);
    }

    void add_extras(kvm_cpuid_entry2& entry) const {
        if (entry.function == 1 && extras_.tsc_deadline) entry.ecx |= ask(1, 0).ecx & kTscDeadline;
        if (entry.function != kKvmFeatures) return;
        entry.eax &= ~kWideMsiTargets;
        if (extras_.wide_msi_targets) entry.eax |= kWideMsiTargets;
    }

    // The guest's XSAVE is the processor's own, and lays components out its way.
    void cut_xsave(kvm_cpuid_entry2& entry) const {
        const kvm_cpuid_entry2 host = find(supported_, kXsaveLeaf, entry.index);
        if (entry.index == 0) {
            entry.eax &= host.eax;
            entry.edx &= host.edx;
            entry.ecx = xsave_size(entry.eax);
        } else if (entry.index >= 2) {
            entry.eax = host.eax;
            entry.ebx = host.ebx;
            entry.ecx = host.ecx;
        }
    }

    uint32_t xsave_size(uint32_t components) const {
        uint32_t size = x86::kXsaveLegacySize + x86::kXsaveHeaderSize;
        for (uint32_t number = 2; number < 32; ++number) {
            if ((components >> number & 1U) == 0) continue;
            const kvm_cpuid_entry2 host = find(supported_, kXsaveLeaf, number);
            size = std::max(size, host.ebx + host.eax);
        }
        return size;
    }

    // Not wider than the processor's.
    void cut_addresses(kvm_cpuid_entry2& entry) const {
        const uint32_t host = find(supported_, 0x80000008, 0).eax & 0xFF;
        if (host != 0 && host < (entry.eax & 0xFF)) entry.eax = (entry.eax & ~0xFFU) | host;
    }

    const CpuModel& model_;
    const std::span<const kvm_cpuid_entry2> supported_;
    const CpuidExtras extras_;
    const unsigned index_;
    std::vector<kvm_cpuid_entry2> entries_;
};

}  // namespace

Result<std::vector<kvm_cpuid_entry2>> supported_cpuid(const KvmHandle& system) {
    KvmList<kvm_cpuid2, kvm_cpuid_entry2, kMostEntries> list;
    list.header().nent = kMostEntries;
    TRY(system.demand_with(KVM_GET_SUPPORTED_CPUID, list.header(), "ask KVM for its CPUID"));
    return std::vector(list.entries(), list.entries() + list.header().nent);
}

Result<void> set_cpuid(const KvmHandle& vcpu, std::span<const kvm_cpuid_entry2> entries) {
    KvmList<kvm_cpuid2, kvm_cpuid_entry2, kMostEntries> list;
    list.header().nent = static_cast<uint32_t>(entries.size());
    std::copy(entries.begin(), entries.end(), list.entries());
    TRY(vcpu.demand_with(KVM_SET_CPUID2, list.header(), "tell KVM the CPU model"));
    return {};
}

std::vector<kvm_cpuid_entry2> build_cpuid(const CpuModel& model,
                                          std::span<const kvm_cpuid_entry2> supported,
                                          const CpuidExtras& extras, unsigned index) {
    return CpuidBuilder(model, supported, extras, index).build();
}

}  // namespace banyan::kvm
