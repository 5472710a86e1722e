#include "app/screen/screen_client.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <sstream>
#include <sys/socket.h>

#include "app/screen/screen_session.hpp"
#include "host/posix/host_error.hpp"
#include "host/posix/unix_address.hpp"

namespace banyan {

namespace {

constexpr uint32_t kMostPixels = 8192;  // in a direction: what a VM says is not trusted
constexpr size_t kLongestAnswer = 256;
constexpr timeval kPatience{.tv_sec = 20, .tv_usec = 0};

tl::unexpected<Error> lost() {
    return fail(ErrorCode::io,
                "ask the VM for its screen: it does not answer; see whether it still runs");
}

}  // namespace

std::string screen_socket(const std::string& directory, int pid) {
    return fmt::format("{}/{}.screen", directory, pid);
}

Result<ScreenClient> ScreenClient::connect(const std::string& path) {
    const UnixAddress address(path);
    if (!address.valid()) return lost();
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.valid() || ::connect(socket.get(), address.get(), address.size()) != 0)
        return host_fail(errno, "ask the VM for its screen", "see whether it still runs");
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof(kPatience));
    return ScreenClient(std::move(socket));
}

Result<void> ScreenClient::read_bytes(char* to, size_t size) {
    while (size != 0) {
        const ssize_t count =
            retry_interrupted([&] { return ::recv(socket_.get(), to, size, MSG_WAITALL); });
        if (count <= 0) return lost();
        to += count;
        size -= static_cast<size_t>(count);
    }
    return {};
}

// An answer is short, and so is the time to read it byte by byte.
Result<std::string> ScreenClient::read_line() {
    std::string line;
    for (char byte = 0; line.size() < kLongestAnswer; line += byte) {
        TRY(read_bytes(&byte, 1));
        if (byte == '\n') return line;
    }
    return lost();
}

Result<std::string> ScreenClient::ask(std::string_view request) {
    const std::string line = std::string(request) + "\n";
    const ssize_t sent = retry_interrupted(
        [&] { return ::send(socket_.get(), line.data(), line.size(), MSG_NOSIGNAL); });
    if (sent != static_cast<ssize_t>(line.size())) return lost();
    TRY_ASSIGN(answer, read_line());
    if (answer.starts_with("ok")) return answer.substr(std::min<size_t>(answer.size(), 3));
    const size_t why = std::min(answer.find(' '), answer.size() - 1) + 1;
    return fail(ErrorCode::unsupported, answer.substr(std::min(why, answer.size())));
}

Result<DisplayChange> ScreenClient::update(DisplayFrame& frame) {
    TRY_ASSIGN(answer, ask("frame"));
    std::istringstream numbers(answer);
    uint32_t width = 0;
    uint32_t height = 0;
    DisplayChange change;
    numbers >> width >> height >> change.first >> change.end;
    if (numbers.fail() || width == 0 || height == 0 || width > kMostPixels ||
        height > kMostPixels || change.first > change.end || change.end > height)
        return lost();
    if (frame.width != width || frame.height != height) {
        frame = {width, height, std::vector<uint32_t>(size_t{width} * height)};
        change = {true, 0, height};
    }
    const auto most = static_cast<uint32_t>(ScreenSession::kMostBytes / (sizeof(uint32_t) * width));
    for (uint32_t line = change.first; line < change.end; line += most)
        TRY(read_lines(frame, line, std::min(most, change.end - line)));
    return change;
}

Result<void> ScreenClient::read_lines(DisplayFrame& frame, uint32_t first, uint32_t count) {
    TRY_ASSIGN(answer, ask(fmt::format("lines {} {}", first, count)));
    const size_t size = size_t{count} * frame.width * sizeof(uint32_t);
    if (answer != std::to_string(size)) return lost();
    uint32_t* const to = frame.pixels.data() + size_t{first} * frame.width;
    return read_bytes(reinterpret_cast<char*>(to), size);  // SAFETY: as bytes, of this size
}

Result<std::string> ScreenClient::text() {
    TRY_ASSIGN(answer, ask("text"));
    std::istringstream number(answer);
    size_t size = 0;
    number >> size;
    if (number.fail() || size > ScreenSession::kMostBytes) return lost();
    std::string text(size, '\0');
    TRY(read_bytes(text.data(), size));
    return text;
}

Result<void> ScreenClient::key(KeyStroke stroke) {
    TRY(ask(fmt::format("key {} {}", stroke.key.value, stroke.pressed ? 1 : 0)));
    return {};
}

Result<void> ScreenClient::alive() const {
    char byte = 0;
    const ssize_t count = ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) return lost();
    return {};
}

Result<void> ScreenClient::pointer(const PointerEvent& event) {
    TRY(ask(fmt::format("pointer {} {} {} {}", event.dx, event.dy, event.wheel, event.buttons)));
    return {};
}

}  // namespace banyan
