#include "backends/block/image/image_error.hpp"

#include <fmt/format.h>

namespace banyan {

tl::unexpected<Error> malformed(std::string_view name, std::string_view why) {
    return fail(ErrorCode::invalid_data,
                fmt::format("{}: {}; use a copy that is whole, or see what can be saved with "
                            "qemu-img check -r all",
                            name, why));
}

tl::unexpected<Error> unsupported_image(std::string_view name, std::string_view why,
                                        std::string_view remedy) {
    return fail(ErrorCode::unsupported, fmt::format("{}: {}; {}", name, why, remedy));
}

tl::unexpected<Error> refuse_shrinking(std::string_view name) {
    return fail(
        ErrorCode::unsupported,
        fmt::format("{}: a smaller size would cut off what lies at its end; shrink the file "
                    "system in the guest and copy it to a smaller new image",
                    name));
}

}  // namespace banyan
