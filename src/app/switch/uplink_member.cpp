#include "app/switch/uplink_member.hpp"

namespace banyan {

namespace {

constexpr size_t kMostFromOutside = size_t{1} << 20;  // bytes that wait

}  // namespace

Result<std::unique_ptr<UplinkMember>> UplinkMember::create(SwitchCore& core, Poller& poller,
                                                           std::unique_ptr<NetBackend> outside) {
    auto member = std::unique_ptr<UplinkMember>(new UplinkMember(core, std::move(outside)));
    UplinkMember* const self = member.get();
    TRY_ASSIGN(notifier, Notifier::create(poller, [self] { self->forward_waiting(); }));
    member->notifier_ = std::move(notifier);
    TRY(core.add(*member, {.routes_ipv6 = true, .flooded_per_second = 0}));
    member->outside_->set_client_mtu(kEthernetMtu);
    TRY(member->outside_->start(*member));
    member->started_ = true;
    return member;
}

UplinkMember::UplinkMember(SwitchCore& core, std::unique_ptr<NetBackend> outside)
    : SwitchMember(Kind::uplink, "uplink"),
      core_(core),
      outside_(std::move(outside)),
      forwarded_(kMostFromOutside),
      waiting_(kMostFromOutside) {}

UplinkMember::~UplinkMember() {
    if (started_) outside_->stop();
    core_.remove(*this);
}

// What the back end has no room for is lost, as on a line that is full.
bool UplinkMember::deliver(const NetFrame& frame) {
    bool taken = true;
    finisher_.finish(frame, outside_->offloads(), [&](const NetFrame& one) {
        taken = outside_->send(std::span(&one, 1)) == 1 && taken;
    });
    return taken;
}

size_t UplinkMember::on_frames(std::span<const NetFrame> frames) {
    size_t taken = 0;
    {
        const std::lock_guard lock(mutex_);
        while (taken < frames.size() && waiting_.add(frames[taken]))
            ++taken;
        outside_waits_ = taken < frames.size();
    }
    notifier_->notify();
    return taken;
}

void UplinkMember::forward_waiting() {
    bool tell = false;
    {
        const std::lock_guard lock(mutex_);
        std::swap(waiting_, forwarded_);
        tell = std::exchange(outside_waits_, false);
    }
    core_.begin();
    for (const FrameBuffer::Frame& frame : forwarded_.frames()) {
        const std::span<const std::byte> part = frame.bytes;
        core_.forward(*this, {std::span(&part, 1), part.size(), frame.info});
    }
    core_.settle();
    forwarded_.clear();
    if (tell) outside_->receive_room_available();
}

}  // namespace banyan
