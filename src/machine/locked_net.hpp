// LockedNetBackend: a network as its card sees it: what comes from there comes under the lock of
// the card's slot, and never within a call of the card's. docs/locking.md has the rules.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "machine/device_slot.hpp"
#include "vm/network.hpp"

namespace banyan {

class LockedNetBackend final : public NetBackend, private NetClient, private PostedWork {
public:
    LockedNetBackend(NetBackend& network, DeviceSlot& slot) : network_(network), slot_(slot) {}

    NetOffloads offloads() const override { return network_.offloads(); }
    void set_client_offloads(const NetOffloads& offloads) override {
        network_.set_client_offloads(offloads);
    }
    void set_client_mtu(uint16_t mtu) override { network_.set_client_mtu(mtu); }
    bool link_up() const override { return network_.link_up(); }
    Result<void> start(NetClient& client) override;
    void stop() override;
    size_t send(std::span<const NetFrame> frames) override { return network_.send(frames); }
    void receive_room_available() override { network_.receive_room_available(); }

    // Of a guest that stands still: its memory does, too. From any thread without the slot's lock;
    // no frame is being taken when it returns.
    void hold(bool held);

private:
    // Of the frames that the back end's thread offers and waits with.
    enum class Offer : uint8_t { none, made, being_taken, answered, refused };

    size_t on_frames(std::span<const NetFrame> frames) override;
    void on_send_room() override;
    void on_link_changed(bool up) override;
    void run_posted() override;
    bool move_offer(Offer from, Offer to);
    Offer wait_for_answer() const;

    NetBackend& network_;
    DeviceSlot& slot_;
    NetClient* client_ = nullptr;
    std::atomic<bool> stopping_{true};
    std::atomic<bool> held_{false};
    std::atomic<Offer> offer_{Offer::none};
    std::span<const NetFrame> frames_;  // offered
    size_t taken_ = 0;                  // of them, when answered
    std::atomic<bool> send_room_{false};
    std::atomic<bool> link_changed_{false};
};

}  // namespace banyan
