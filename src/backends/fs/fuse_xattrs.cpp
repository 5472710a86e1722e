// Extended attributes of a share's files: those of the name space "user".
#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <linux/limits.h>
#include <string_view>
#include <sys/xattr.h>

#include "backends/fs/fuse_server.hpp"

namespace banyan {

namespace {

bool is_user_name(std::string_view name) {
    return name.starts_with("user.") && name.size() <= XATTR_NAME_MAX;
}

// Names of the space "user" among those that listxattr() gave, each with its NUL.
std::vector<std::byte> user_names(std::span<const char> all) {
    std::vector<std::byte> names;
    for (size_t at = 0; at < all.size();) {
        const char* name = all.data() + at;
        const size_t length = ::strnlen(name, all.size() - at);
        if (at + length == all.size()) break;
        const auto bytes = std::as_bytes(std::span(name, length + 1));
        if (is_user_name({name, length})) names.insert(names.end(), bytes.begin(), bytes.end());
        at += length + 1;
    }
    return names;
}

// The length alone, for a guest that asks how much there is; or all.
int answer_sized(FuseCall& call, uint32_t asked, std::span<const std::byte> bytes) {
    if (asked == 0) {
        call.answer(fuse_getxattr_out{static_cast<uint32_t>(bytes.size()), 0});
        return 0;
    }
    if (bytes.size() > asked) return ERANGE;
    call.answer_bytes(bytes);
    return 0;
}

}  // namespace

// Other kinds of files have none.
FsResult<UniqueFd> FuseServer::open_for_xattr(Node node) {
    const auto path_fd = inodes_.open(node);
    if (!path_fd) return fs_fail(path_fd.error());
    auto file = reopener_.open((*path_fd)->get(), O_RDONLY);
    if (!file && file.error() == EISDIR)
        file = reopener_.open((*path_fd)->get(), O_RDONLY | O_DIRECTORY);
    if (!file && file.error() == ENXIO) return fs_fail(EOPNOTSUPP);
    return file;
}

int FuseServer::setxattr(FuseCall& call) {
    fuse_setxattr_in in{};
    if (!call.arguments.take(in, FUSE_COMPAT_SETXATTR_IN_SIZE)) return EINVAL;
    const char* name = call.arguments.take_text();
    const auto value = call.arguments.take_bytes(in.size);
    if (name == nullptr || !value || in.size > XATTR_SIZE_MAX) return EINVAL;
    if ((in.flags & ~uint32_t{XATTR_CREATE | XATTR_REPLACE}) != 0) return EINVAL;
    if (!is_user_name(name)) return EOPNOTSUPP;
    const auto fd = open_for_xattr(call.header.nodeid);
    if (!fd) return fd.error();
    return ::fsetxattr(fd->get(), name, value->data(), value->size(), static_cast<int>(in.flags)) ==
                   0
               ? 0
               : errno;
}

int FuseServer::getxattr(FuseCall& call) {
    fuse_getxattr_in in;
    if (!call.arguments.take(in)) return EINVAL;
    const char* name = call.arguments.take_text();
    if (name == nullptr) return EINVAL;
    if (!is_user_name(name)) return EOPNOTSUPP;
    const auto fd = open_for_xattr(call.header.nodeid);
    if (!fd) return fd.error();
    std::vector<std::byte> value(XATTR_SIZE_MAX);
    const ssize_t size = ::fgetxattr(fd->get(), name, value.data(), value.size());
    if (size < 0) return errno;
    return answer_sized(call, in.size, std::span(value).first(static_cast<size_t>(size)));
}

int FuseServer::listxattr(FuseCall& call) {
    fuse_getxattr_in in;
    if (!call.arguments.take(in)) return EINVAL;
    const auto fd = open_for_xattr(call.header.nodeid);
    if (!fd) return fd.error();
    std::vector<char> all(XATTR_LIST_MAX);
    const ssize_t size = ::flistxattr(fd->get(), all.data(), all.size());
    if (size < 0) return errno;
    return answer_sized(call, in.size, user_names(std::span(all).first(static_cast<size_t>(size))));
}

int FuseServer::removexattr(FuseCall& call) {
    const char* name = call.arguments.take_text();
    if (name == nullptr) return EINVAL;
    if (!is_user_name(name)) return EOPNOTSUPP;
    const auto fd = open_for_xattr(call.header.nodeid);
    if (!fd) return fd.error();
    return ::fremovexattr(fd->get(), name) == 0 ? 0 : errno;
}

}  // namespace banyan
