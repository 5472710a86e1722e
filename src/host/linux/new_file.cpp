#include "host/linux/new_file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>

#include "host/posix/host_error.hpp"
#include "host/posix/unique_fd.hpp"

namespace banyan {

namespace {

constexpr std::string_view kRandomPart = ".XXXXXX";
constexpr std::string_view kSuffix = ".partial";

tl::unexpected<Error> cannot_make(const std::string& path, int error_number) {
    return host_fail(error_number, "make the file " + quote_name(path),
                     "choose a place where you may make files and that has room");
}

tl::unexpected<Error> is_there(const std::string& path) {
    return fail(ErrorCode::invalid_argument,
                "make the file " + quote_name(path) +
                    ": it exists; give another name, or replace it with --force");
}

std::string folder_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

mode_t usual_mode() {
    const mode_t mask = ::umask(0);
    ::umask(mask);
    return static_cast<mode_t>(0666) & ~mask;
}

}  // namespace

Result<NewFile> NewFile::create(const std::string& path, IfThere if_there) {
    struct stat info {};
    const bool exists = ::lstat(path.c_str(), &info) == 0;
    if (exists && if_there == IfThere::refuse) return is_there(path);
    if (exists && !S_ISREG(info.st_mode)) {
        return fail(ErrorCode::invalid_argument,
                    "replace " + quote_name(path) + ": it is not a file; give another name");
    }
    std::string temporary = path;
    temporary += kRandomPart;
    temporary += kSuffix;
    const UniqueFd fd(::mkostemps(temporary.data(), static_cast<int>(kSuffix.size()), O_CLOEXEC));
    if (!fd.valid()) return cannot_make(path, errno);
    NewFile file(path, std::move(temporary), if_there);
    if (::fchmod(fd.get(), usual_mode()) != 0) return cannot_make(path, errno);
    return file;
}

NewFile::NewFile(NewFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      if_there_(other.if_there_) {}

NewFile::~NewFile() {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<void> NewFile::keep() {
    const unsigned flags = if_there_ == IfThere::refuse ? RENAME_NOREPLACE : 0;
    int result = ::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), flags);
    // File systems that cannot do that atomically: the name was free when we began.
    if (result != 0 && errno == EINVAL) result = ::rename(temporary_.c_str(), path_.c_str());
    if (result != 0 && errno == EEXIST) return is_there(path_);
    if (result != 0) return cannot_make(path_, errno);
    temporary_.clear();
    const UniqueFd folder(::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.valid()) ::fsync(folder.get());
    return {};
}

}  // namespace banyan
