#include "manager/qmp_client.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>

#include "host/posix/host_error.hpp"
#include "host/posix/unix_address.hpp"

namespace banyan {

namespace {

constexpr size_t kLongestMessage = size_t{16} << 20;  // what a VM says is not trusted

tl::unexpected<Error> lost() {
    return fail(ErrorCode::io, "ask the VM: it has gone; banyan list shows those that run");
}

tl::unexpected<Error> no_answer() {
    return fail(ErrorCode::io,
                "ask the VM: it does not answer; continue its process if that is stopped, or end "
                "it by banyan kill");
}

tl::unexpected<Error> strange() {
    return fail(ErrorCode::invalid_data,
                "ask the VM: its answer is no QMP; use the same version of banyan for both");
}

// False: not in time.
bool wait_for(int fd, short events, QmpClient::Clock::time_point deadline) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - QmpClient::Clock::now()).count();
    pollfd waited{fd, events, 0};
    const int limit = static_cast<int>(std::clamp<int64_t>(left, 0, 1'000'000));
    return retry_interrupted([&] { return ::poll(&waited, 1, limit); }) > 0;
}

}  // namespace

Result<QmpClient> QmpClient::connect(const std::string& path, Patience patience) {
    const UnixAddress address(path);
    if (!address.valid()) return lost();
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.valid() || ::connect(socket.get(), address.get(), address.size()) != 0)
        return host_fail(errno, "ask the VM", "see whether it still runs");
    QmpClient client(std::move(socket), patience);
    TRY_ASSIGN(greeting, client.read_message(Clock::now() + patience));
    if (!greeting) return no_answer();
    if (!greeting->contains("QMP")) return strange();
    TRY(client.ask("qmp_capabilities"));
    return client;
}

Result<QmpClient::Json> QmpClient::ask(std::string_view command, const Json& arguments) {
    Json request{{"execute", command}};
    if (!arguments.empty()) request["arguments"] = arguments;
    const std::string text = request.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    const ssize_t sent = retry_interrupted(
        [&] { return ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL); });
    if (sent != static_cast<ssize_t>(text.size())) return lost();
    return read_answer(Clock::now() + patience_);
}

Result<QmpClient::Json> QmpClient::read_answer(Deadline deadline) {
    for (;;) {
        TRY_ASSIGN(message, read_message(deadline));
        if (!message) return no_answer();
        if (message->contains("event")) {
            events_.push_back(std::move(*message));
            continue;
        }
        if (message->contains("return")) return (*message)["return"];
        const auto error = message->find("error");
        if (error == message->end() || !error->is_object() || !error->contains("desc") ||
            !(*error)["desc"].is_string())
            return strange();
        return fail(ErrorCode::invalid_argument, (*error)["desc"].get<std::string>());
    }
}

Result<std::optional<QmpClient::Json>> QmpClient::next_event(Patience patience) {
    const auto deadline = Clock::now() + patience;
    while (events_.empty()) {
        TRY_ASSIGN(message, read_message(deadline));
        if (!message) return std::optional<Json>();
        if (message->contains("event")) events_.push_back(std::move(*message));
    }
    std::optional<Json> first = std::move(events_.front());
    events_.pop_front();
    return first;
}

// Nothing: not in time.
Result<std::optional<QmpClient::Json>> QmpClient::read_message(Deadline deadline) {
    size_t end = 0;
    while ((end = received_.find('\n')) == std::string::npos) {
        TRY_ASSIGN(more, receive(deadline));
        if (!more) return std::optional<Json>();
        if (received_.size() > kLongestMessage) return strange();
    }
    Json message = Json::parse(received_.substr(0, end), nullptr, false);
    received_.erase(0, end + 1);
    if (!message.is_object()) return strange();
    return std::optional(std::move(message));
}

// False: not in time.
Result<bool> QmpClient::receive(Deadline deadline) {
    if (!wait_for(socket_.get(), POLLIN, deadline)) return false;
    std::array<char, 4096> buffer{};
    const ssize_t count =
        retry_interrupted([&] { return ::recv(socket_.get(), buffer.data(), buffer.size(), 0); });
    if (count <= 0) return lost();
    received_.append(buffer.data(), static_cast<size_t>(count));
    return true;
}

}  // namespace banyan
