#include "machine/locked_net.hpp"

namespace banyan {

Result<void> LockedNetBackend::start(NetClient& client) {
    client_ = &client;
    stopping_.store(false);
    return network_.start(*this);
}

// The caller holds the slot's lock, for which the back end's thread may wait: it gets its answer
// from here. Whatever it offers later is refused.
void LockedNetBackend::stop() {
    stopping_.store(true);
    (void)move_offer(Offer::made, Offer::refused);
    network_.stop();
    send_room_.store(false);
    link_changed_.store(false);
}

void LockedNetBackend::hold(bool held) {
    held_.store(held);
    if (held) {
        SlotLock wait_for_who_has_begun(slot_);
    } else {
        network_.receive_room_available();
    }
}

bool LockedNetBackend::move_offer(Offer from, Offer to) {
    if (!offer_.compare_exchange_strong(from, to)) return false;
    offer_.notify_all();
    return true;
}

// The frames are taken by whoever holds the lock, which may be this thread, in post(). Either
// stop() sees the offer or the offer is seen to come too late (all sequentially consistent).
size_t LockedNetBackend::on_frames(std::span<const NetFrame> frames) {
    frames_ = frames;
    offer_.store(Offer::made);
    if (stopping_.load() && move_offer(Offer::made, Offer::none)) return 0;
    slot_.post(*this);
    const Offer answer = wait_for_answer();
    offer_.store(Offer::none);
    return answer == Offer::answered ? taken_ : 0;
}

LockedNetBackend::Offer LockedNetBackend::wait_for_answer() const {
    Offer now = offer_.load();
    while (now == Offer::made || now == Offer::being_taken) {
        offer_.wait(now);
        now = offer_.load();
    }
    return now;
}

void LockedNetBackend::on_send_room() {
    send_room_.store(true);
    slot_.post(*this);
}

void LockedNetBackend::on_link_changed(bool /*up*/) {
    link_changed_.store(true);
    slot_.post(*this);
}

void LockedNetBackend::run_posted() {
    if (move_offer(Offer::made, Offer::being_taken)) {
        taken_ = held_.load() ? 0 : client_->on_frames(frames_);
        (void)move_offer(Offer::being_taken, Offer::answered);
    }
    if (stopping_.load()) return;
    if (send_room_.exchange(false)) client_->on_send_room();
    if (link_changed_.exchange(false)) client_->on_link_changed(network_.link_up());
}

}  // namespace banyan
