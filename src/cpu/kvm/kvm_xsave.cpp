#include "cpu/kvm/kvm_xsave.hpp"

#include <algorithm>
#include <cstring>

namespace banyan::kvm {

namespace {

using x86::kXsaveComponents;
constexpr size_t kStateBitmap =
    x86::kXsaveLegacySize;  // XSTATE_BV, Intel SDM vol. 1 section 13.4.2

template <class Bytes>
uint64_t present_in(const Bytes* area) {
    uint64_t bitmap = 0;
    std::memcpy(&bitmap, area + kStateBitmap, sizeof(bitmap));
    return bitmap;
}

void set_present(std::byte* area, uint64_t bitmap) {
    std::memset(area + kStateBitmap, 0, x86::kXsaveHeaderSize);
    std::memcpy(area + kStateBitmap, &bitmap, sizeof(bitmap));
}

const kvm_cpuid_entry2* find_component(std::span<const kvm_cpuid_entry2> supported,
                                       uint32_t number) {
    const auto found =
        std::find_if(supported.begin(), supported.end(), [&](const kvm_cpuid_entry2& entry) {
            return entry.function == 0xD && entry.index == number;
        });
    return found == supported.end() ? nullptr : &*found;
}

}  // namespace

XsaveLayout::XsaveLayout(std::span<const kvm_cpuid_entry2> supported) {
    for (size_t i = 0; i < kXsaveComponents.size(); ++i) {
        const auto* entry = find_component(supported, kXsaveComponents[i].number);
        if (entry == nullptr || entry->eax != kXsaveComponents[i].size) continue;
        if (entry->ebx + entry->eax <= sizeof(kvm_xsave::region)) offsets_[i] = entry->ebx;
    }
}

void XsaveLayout::get(const kvm_xsave& from, std::span<std::byte, x86::kXsaveSize> to) const {
    const auto* source = reinterpret_cast<const std::byte*>(from.region);
    std::fill(to.begin(), to.end(), std::byte{0});
    std::memcpy(to.data(), source, x86::kXsaveLegacySize);
    uint64_t present = present_in(source) & (x86::kXcr0X87 | x86::kXcr0Sse);
    for (size_t i = 0; i < kXsaveComponents.size(); ++i) {
        const auto& component = kXsaveComponents[i];
        if (offsets_[i] == 0 || (present_in(source) & component.bit()) == 0) continue;
        std::memcpy(to.data() + component.offset, source + offsets_[i], component.size);
        present |= component.bit();
    }
    set_present(to.data(), present);
}

void XsaveLayout::set(std::span<const std::byte, x86::kXsaveSize> from, kvm_xsave& to) const {
    auto* target = reinterpret_cast<std::byte*>(to.region);
    to = {};
    std::memcpy(target, from.data(), x86::kXsaveLegacySize);
    uint64_t present = present_in(from.data()) & (x86::kXcr0X87 | x86::kXcr0Sse);
    for (size_t i = 0; i < kXsaveComponents.size(); ++i) {
        const auto& component = kXsaveComponents[i];
        if (offsets_[i] == 0 || (present_in(from.data()) & component.bit()) == 0) continue;
        std::memcpy(target + offsets_[i], from.data() + component.offset, component.size);
        present |= component.bit();
    }
    set_present(target, present);
}

}  // namespace banyan::kvm
