// What of this host's processor the engines offer.
#pragma once

#include <cstdint>

#include "cpu/interp/cpu_model.hpp"

namespace banyan::conformance {

// The components of state, as bits of XCR0.
inline uint64_t offered_components() {
    static const uint64_t components =
        interp::CpuModel::create("max", 1, 1'000'000'000).value().state_components();
    return components;
}

}  // namespace banyan::conformance
