#include "loader/image_error.hpp"

#include <cstdarg>
#include <cstdio>

namespace banyan::loader {

tl::unexpected<Error> image_error(ErrorCode code, const char* what, std::string_view name,
                                  const char* format, ...) {
    constexpr size_t kLongestName = 60;
    const bool cut = name.size() > kLongestName;
    if (cut) name.remove_prefix(name.size() - kLongestName);

    char reason[Error::kMaxText + 1];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);

    char text[2 * sizeof(reason)];
    const int length = std::snprintf(text, sizeof(text), "%s '%s%.*s': %s", what, cut ? "..." : "",
                                     static_cast<int>(name.size()), name.data(), reason);
    return fail(code, {text, static_cast<size_t>(length)});
}

}  // namespace banyan::loader
