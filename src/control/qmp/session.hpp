// Session: one client's talk in QMP, from the greeting on (QEMU's docs/interop/qmp-spec.txt).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "control/qmp/commands.hpp"
#include "control/qmp/json_splitter.hpp"

namespace banyan::qmp {

// All on one thread.
class Session {
public:
    using Send = std::function<void(std::string_view bytes)>;

    // `commands` outlives it. `version`: of Banyan.
    Session(const Commands& commands, std::string_view version, Send send);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    void received(std::string_view bytes) { splitter_.feed(bytes); }
    // Clients that have not negotiated see none.
    void tell(const Json& event);

private:
    void on_message(std::string_view text);
    Answer answer(const Json& message);
    Answer negotiate(const Json* arguments);
    void refuse(const Failure& why, const Json* id);
    void send(const Json& message) const;

    const Commands& commands_;
    const Send send_;
    JsonSplitter splitter_;
    bool negotiated_ = false;
};

// What a client of this version of QEMU may expect: query-version, too.
Json version_facts(std::string_view banyan_version);

}  // namespace banyan::qmp
