// What is said about images that cannot be used. `name` is how a message begins, such as "the disk
// image 'a.qcow2'".
#pragma once

#include <string_view>

#include "support/result.hpp"

namespace banyan {

// The image breaks the rules of its format.
tl::unexpected<Error> malformed(std::string_view name, std::string_view why);

// It keeps them, but this build cannot use it.
tl::unexpected<Error> unsupported_image(std::string_view name, std::string_view why,
                                        std::string_view remedy);

tl::unexpected<Error> refuse_shrinking(std::string_view name);

}  // namespace banyan
