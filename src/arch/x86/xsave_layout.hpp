// Where the extended components lie in an XSAVE area: Intel SDM vol. 1 section 13.4.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "arch/x86/register_state.hpp"

namespace banyan::x86 {

struct XsaveComponent {
    uint32_t number;  // the bit of XCR0
    uint32_t offset;  // in standard format
    uint32_t size;

    constexpr uint64_t bit() const { return uint64_t{1} << number; }
};

inline constexpr std::array kXsaveComponents = {
    XsaveComponent{2, kXsaveAvxOffset, 256},
    XsaveComponent{5, kXsaveOpmaskOffset, 64},
    XsaveComponent{6, kXsaveZmmHighOffset, 512},
    XsaveComponent{7, kXsaveHighZmmOffset, 1024},
};
static_assert(kXsaveComponents.back().offset + kXsaveComponents.back().size == kXsaveSize);

// Null: there is no such component.
constexpr const XsaveComponent* find_xsave_component(uint32_t number) {
    for (const XsaveComponent& c : kXsaveComponents) {
        if (c.number == number) return &c;
    }
    return nullptr;
}

// The size of an area with these components in standard format.
constexpr uint32_t xsave_size(uint64_t components) {
    uint32_t size = kXsaveAvxOffset;
    for (const XsaveComponent& c : kXsaveComponents) {
        if ((components & c.bit()) != 0) size = std::max(size, c.offset + c.size);
    }
    return size;
}

// In compacted format each follows the one before it.
constexpr uint32_t compacted_xsave_size(uint64_t components) {
    uint32_t size = kXsaveAvxOffset;
    for (const XsaveComponent& c : kXsaveComponents) {
        if ((components & c.bit()) != 0) size += c.size;
    }
    return size;
}

// Where a component begins in compacted format, in an area with these components.
constexpr uint32_t compacted_xsave_offset(const XsaveComponent& component, uint64_t components) {
    return compacted_xsave_size(components & (component.bit() - 1));
}

}  // namespace banyan::x86
