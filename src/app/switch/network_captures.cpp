#include "app/switch/network_captures.hpp"

#include "host/posix/host_error.hpp"

namespace banyan {

Result<void> NetworkCaptures::add(const std::string& member, const std::string& socket) {
    forget_gone();
    if (!member.empty() && !core_.has_member(member)) {
        return fail(ErrorCode::not_found, "capture: the network has no member " +
                                              quote_name(member) + "; see banyan network show");
    }
    if (all_.size() == kMost) {
        return fail(ErrorCode::busy,
                    "capture: others capture this network already; end one of those first");
    }
    TRY_ASSIGN(stream, FrameStream::connect(poller_, socket));
    all_.push_back({member, std::move(stream)});
    core_.set_observer(this);
    return {};
}

void NetworkCaptures::forget_gone() {
    std::erase_if(all_, [](const One& one) { return one.stream->gone(); });
    if (all_.empty()) core_.set_observer(nullptr);
}

void NetworkCaptures::on_frame_from(SwitchPortId port, const NetFrame& frame) {
    for (const One& one : all_) {
        if (one.member.empty() || one.member == core_.name_of(port)) one.stream->record(frame);
    }
}

void NetworkCaptures::on_frame_to(SwitchPortId port, const NetFrame& frame) {
    for (const One& one : all_) {
        if (!one.member.empty() && one.member == core_.name_of(port)) one.stream->record(frame);
    }
}

}  // namespace banyan
