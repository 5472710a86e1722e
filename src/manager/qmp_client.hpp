// QmpClient: asks a VM at its control socket; waits for each answer.
#pragma once

#include <chrono>
#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "host/posix/unique_fd.hpp"
#include "support/result.hpp"

namespace banyan {

class QmpClient {
public:
    using Json = nlohmann::ordered_json;
    using Clock = std::chrono::steady_clock;
    using Patience = std::chrono::milliseconds;
    static constexpr Patience kUsualPatience{20'000};

    // Fails with ErrorCode::io when nobody answers there in time.
    static Result<QmpClient> connect(const std::string& path, Patience patience = kUsualPatience);

    // What the command returns. Fails with ErrorCode::io when the VM does not answer in time or has
    // gone, and with ErrorCode::invalid_argument and the VM's own words when it refuses.
    Result<Json> ask(std::string_view command, const Json& arguments = Json::object());
    // Nothing: none came in time. Fails with ErrorCode::io when the VM has gone.
    Result<std::optional<Json>> next_event(Patience patience);
    // To wait for events of several; these may be here already: next_event(0) says.
    int handle() const { return socket_.get(); }

private:
    QmpClient(UniqueFd socket, Patience patience)
        : socket_(std::move(socket)), patience_(patience) {}
    using Deadline = Clock::time_point;

    Result<std::optional<Json>> read_message(Deadline deadline);
    Result<bool> receive(Deadline deadline);
    Result<Json> read_answer(Deadline deadline);

    UniqueFd socket_;
    Patience patience_;
    std::string received_;
    std::deque<Json> events_;
};

}  // namespace banyan
