#include "backends/char/char_file.hpp"

#include <cerrno>
#include <fcntl.h>

#include "host/posix/host_error.hpp"
#include "support/log.hpp"

namespace banyan {

Result<std::unique_ptr<CharFile>> CharFile::create(const std::string& path, std::string_view what) {
    std::string whose = std::string(what) + " " + quote_name(path);
    // O_NONBLOCK: a FIFO that nobody reads is an error, not a wait.
    constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    UniqueFd fd(retry_interrupted([&] { return ::open(path.c_str(), kFlags, 0644); }));
    if (!fd.valid()) return host_fail(errno, whose, "give the name of a file that you may write");
    return std::unique_ptr<CharFile>(new CharFile(std::move(fd), std::move(whose)));
}

// With the device's lock held. What a full pipe or terminal does not take is dropped.
size_t CharFile::write(std::span<const uint8_t> bytes) {
    auto rest = bytes;
    while (!lost_ && !rest.empty()) {
        const ssize_t count =
            retry_interrupted([&] { return ::write(fd_.get(), rest.data(), rest.size()); });
        if (count > 0) {
            rest = rest.subspan(static_cast<size_t>(count));
            continue;
        }
        if (count < 0 && errno == EAGAIN) break;
        lost_ = true;
        LOG_WARNING("console", "cannot %s: %s; its output is dropped from now on", what_.c_str(),
                    errno_text(count < 0 ? errno : EIO).c_str());
    }
    return bytes.size();
}

}  // namespace banyan
