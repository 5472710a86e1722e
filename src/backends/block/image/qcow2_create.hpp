// Making new qcow2 images.
#pragma once

#include <memory>
#include <string>

#include "backends/block/image/qcow2_image.hpp"

namespace banyan {

struct NewQcow2 {
    uint64_t size = 0;  // bytes, whole sectors
    uint32_t version = 3;
    unsigned cluster_bits = 16;
    unsigned refcount_order = 4;
    bool lazy_refcounts = false;
    std::string backing_file = {};    // empty: none
    std::string backing_format = {};  // of that
};

// Writes an empty image to a file that is empty.
Result<void> create_qcow2(ImageFile& file, const NewQcow2& wanted, const std::string& name);

}  // namespace banyan
