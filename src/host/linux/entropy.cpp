#include "host/linux/entropy.hpp"

#include <sys/random.h>

#include "host/posix/unique_fd.hpp"
#include "support/assert.hpp"

namespace banyan {

void HostEntropy::fill(std::span<std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t count =
            retry_interrupted([&] { return ::getrandom(bytes.data(), bytes.size(), 0); });
        // Without flags it fails only for a bad address (getrandom(2)).
        BANYAN_ASSERT(count > 0);
        bytes = bytes.subspan(static_cast<size_t>(count));
    }
}

}  // namespace banyan
