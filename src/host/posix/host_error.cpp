#include "host/posix/host_error.hpp"

#include <cerrno>
#include <cstring>

namespace banyan {

namespace {

// Leaves room for the reason and the remedy in Error::kMaxText.
constexpr size_t kLongestName = 90;

ErrorCode code_of(int error_number) {
    switch (error_number) {
        case ENOENT:
        case ENOTDIR:
        case ENXIO:
        case ENODEV: return ErrorCode::not_found;
        case EACCES:
        case EPERM:
        case EROFS: return ErrorCode::permission;
        case ENOMEM: return ErrorCode::out_of_memory;
        case EBUSY:
        case EAGAIN:
        case ETXTBSY: return ErrorCode::busy;
        case EINVAL:
        case EISDIR: return ErrorCode::invalid_argument;
        case ENOSYS:
        case EOPNOTSUPP: return ErrorCode::unsupported;
        case ENOSPC:
        case EDQUOT: return ErrorCode::no_space;
        default: return ErrorCode::io;
    }
}

}  // namespace

std::string quote_name(std::string_view name) {
    std::string text = "'";
    if (name.size() > kLongestName) {
        text += name.substr(0, kLongestName / 2);
        text += "...";
        text += name.substr(name.size() - kLongestName / 2);
    } else {
        text += name;
    }
    for (char& c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F) c = '?';
    }
    return text + "'";
}

std::string errno_text(int error_number) {
    char buffer[128];
    // The GNU version, which g++ and clang++ select: it returns the text, in the buffer or not.
    const std::string_view text = ::strerror_r(error_number, buffer, sizeof(buffer));
    return std::string(text);
}

tl::unexpected<Error> host_fail(int error_number, std::string_view what, std::string_view remedy) {
    std::string text(what);
    text += ": " + errno_text(error_number) + "; ";
    text += remedy;
    return fail(code_of(error_number), text);
}

}  // namespace banyan
