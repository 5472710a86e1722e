// Saved state of CfiFlash. The bytes are guest memory, and are saved with it.
#pragma once

#include <cstdint>
#include <string_view>

namespace banyan {

struct CfiFlashStateV1 {
    static constexpr std::string_view kKind = "cfi_flash";
    static constexpr uint32_t kVersion = 1;

    uint8_t read = 0;
    uint8_t next = 0;
    uint8_t status = 0;
    uint8_t fill_left = 0;
    bool fill_failed = false;
};

template <class Visitor>
void visit_fields(Visitor& v, CfiFlashStateV1& s) {
    auto& [read, next, status, fill_left, fill_failed] = s;
    v.field(1, read);
    v.field(2, next);
    v.field(3, status);
    v.field(4, fill_left);
    v.field(5, fill_failed);
}

}  // namespace banyan
