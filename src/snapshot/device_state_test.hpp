// Properties that the saved state of every device must have. A device's test calls
// check_saved_state() with a function that makes a fresh device and one that brings it to an
// interesting state.
#pragma once

#include <algorithm>
#include <cstdint>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <vector>

#include "snapshot/state.hpp"

namespace banyan {

template <class D>
std::vector<std::byte> saved_bytes(const D& device) {
    StateWriter writer;
    device.save(writer);
    return writer.take();
}

// `make()` returns a pointer-like to a fresh device; `use(device)` changes what a guest can change.
template <class Make, class Use>
void check_saved_state(Make make, Use use) {
    auto fresh = make();
    auto used = make();
    const auto fresh_bytes = saved_bytes(*fresh);
    use(*used);
    const auto used_bytes = saved_bytes(*used);
    EXPECT_NE(fresh_bytes, used_bytes) << "use() must change the state";

    auto copy = make();
    StateReader reader(used_bytes);
    ASSERT_TRUE(copy->restore(reader)) << "a state that was saved must load";
    EXPECT_EQ(saved_bytes(*copy), used_bytes) << "save, restore, save must give the same bytes";

    used->reset();
    EXPECT_EQ(saved_bytes(*used), fresh_bytes) << "reset() must equal a fresh device";

    for (size_t length = 0; length < used_bytes.size(); ++length) {
        StateReader cut{std::span(used_bytes).first(length)};
        EXPECT_FALSE(make()->restore(cut)) << "truncated to " << length << " bytes";
    }
    std::mt19937 random(1);
    for (int i = 0; i < 500; ++i) {  // flipped bits load or are refused, but never crash
        auto bent = used_bytes;
        bent[random() % bent.size()] ^= static_cast<std::byte>(1U << (random() % 8));
        StateReader bent_reader(bent);
        (void)make()->restore(bent_reader);
    }
}

}  // namespace banyan
