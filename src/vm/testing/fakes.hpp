// Stand-ins for what a board gives to a device, for unit tests and fuzz targets: time that is moved
// by hand, wires and messages that are recorded, back ends in memory. Nothing here knows a test
// framework.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/assert.hpp"
#include "vm/address.hpp"
#include "vm/backend.hpp"
#include "vm/clock.hpp"
#include "vm/guest_memory.hpp"
#include "vm/irq.hpp"
#include "vm/machine_control.hpp"

namespace banyan {

// Guest time that stands still until it is moved. The calendar starts at 2024-02-28 23:59:50 UTC,
// ten seconds before a leap day; the time stamp counter runs at 1 GHz.
class FakeClock final : public Clock {
public:
    static constexpr uint64_t kDefaultEpochNs = 1'709'164'790ULL * 1'000'000'000ULL;

    uint64_t now_ns() const override { return now_ns_.load(); }
    uint64_t wall_ns() const override { return epoch_ns_.load() + now_ns(); }
    uint64_t tsc() const override { return now_ns(); }
    uint64_t tsc_hz() const override { return 1'000'000'000; }

    void advance(uint64_t ns) { now_ns_.fetch_add(ns); }
    void set_now(uint64_t ns) { now_ns_.store(ns); }
    // What wall_ns() was at guest time 0.
    void set_epoch_ns(uint64_t ns) { epoch_ns_.store(ns); }

private:
    std::atomic<uint64_t> now_ns_{0};
    std::atomic<uint64_t> epoch_ns_{kDefaultEpochNs};
};

// Timers on a FakeClock. Nothing fires but from advance(), jump() and run_due(), on the caller's
// thread.
class FakeTimerService final : public TimerService {
public:
    explicit FakeTimerService(FakeClock& clock) : clock_(clock) {}

    std::unique_ptr<Timer> create_timer(TimerClient& client, unsigned cookie) override {
        return std::make_unique<FakeTimer>(*this, client, cookie);
    }

    // Moves time on, stopping at each deadline on the way to fire its timer, in the order of
    // deadlines.
    void advance(uint64_t ns) {
        const uint64_t end = clock_.now_ns() + ns;
        for (FakeTimer* timer = earliest(); timer != nullptr && timer->deadline <= end;
             timer = earliest()) {
            if (timer->deadline > clock_.now_ns()) clock_.set_now(timer->deadline);
            fire(*timer);
        }
        clock_.set_now(end);
    }

    // Moves time on at once and then fires what is overdue, each timer once: a host that was late.
    void jump(uint64_t ns) {
        clock_.advance(ns);
        run_due();
    }

    // Fires timers whose deadline has come, each once.
    void run_due() {
        const uint64_t now = clock_.now_ns();
        std::vector<FakeTimer*> due;
        for (FakeTimer* timer : timers_) {
            if (timer->armed && timer->deadline <= now) due.push_back(timer);
        }
        for (FakeTimer* timer : due) {
            if (timer->armed && timer->deadline <= now) fire(*timer);
        }
    }

    FakeClock& clock() { return clock_; }
    uint64_t fired() const { return fired_; }
    size_t armed() const {
        return static_cast<size_t>(std::count_if(timers_.begin(), timers_.end(),
                                                 [](const FakeTimer* t) { return t->armed; }));
    }
    // The deadline that comes next; the largest number when there is none.
    uint64_t next_deadline() const {
        const FakeTimer* timer = earliest();
        return timer != nullptr ? timer->deadline : std::numeric_limits<uint64_t>::max();
    }

private:
    struct FakeTimer final : Timer {
        FakeTimer(FakeTimerService& s, TimerClient& c, unsigned k)
            : service(s), client(c), cookie(k) {
            service.timers_.push_back(this);
        }
        FakeTimer(const FakeTimer&) = delete;
        FakeTimer& operator=(const FakeTimer&) = delete;
        ~FakeTimer() override { std::erase(service.timers_, this); }
        void arm(uint64_t deadline_ns) override {
            armed = true;
            deadline = deadline_ns;
        }
        void cancel() override { armed = false; }

        FakeTimerService& service;
        TimerClient& client;
        unsigned cookie;
        bool armed = false;
        uint64_t deadline = 0;
    };

    FakeTimer* earliest() const {
        FakeTimer* found = nullptr;
        for (FakeTimer* timer : timers_) {
            if (timer->armed && (found == nullptr || timer->deadline < found->deadline))
                found = timer;
        }
        return found;
    }

    void fire(FakeTimer& timer) {
        timer.armed = false;
        ++fired_;
        timer.client.on_timer(timer.cookie);
    }

    FakeClock& clock_;
    std::vector<FakeTimer*> timers_;
    uint64_t fired_ = 0;
};

// The controller's end of up to 256 wires: levels now, and how often each rose.
class RecordingIrq final : public IrqSink {
public:
    void set_irq(unsigned input, bool asserted) override {
        const std::lock_guard lock(mutex_);
        Wire& wire = wires_.at(input);
        if (asserted && !wire.level) ++wire.rises;
        if (!asserted && wire.level) ++wire.falls;
        wire.level = asserted;
        ++calls_;
    }

    IrqLine line(unsigned input = 0) { return {*this, input}; }
    bool level(unsigned input = 0) const { return read(input).level; }
    unsigned rises(unsigned input = 0) const { return read(input).rises; }
    unsigned falls(unsigned input = 0) const { return read(input).falls; }
    uint64_t calls() const {
        const std::lock_guard lock(mutex_);
        return calls_;
    }
    // Forgets the counts; levels stay.
    void clear_counts() {
        const std::lock_guard lock(mutex_);
        for (Wire& wire : wires_)
            wire.rises = wire.falls = 0;
        calls_ = 0;
    }

private:
    struct Wire {
        bool level = false;
        unsigned rises = 0;
        unsigned falls = 0;
    };
    Wire read(unsigned input) const {
        const std::lock_guard lock(mutex_);
        return wires_.at(input);
    }

    mutable std::mutex mutex_;
    std::vector<Wire> wires_ = std::vector<Wire>(256);
    uint64_t calls_ = 0;
};

// Keeps the last kMaxKept messages and counts all.
class RecordingMsi final : public MsiSink {
public:
    static constexpr size_t kMaxKept = 4096;

    void send_msi(const MsiMessage& message) override {
        const std::lock_guard lock(mutex_);
        if (messages_.size() == kMaxKept) messages_.erase(messages_.begin());
        messages_.push_back(message);
        ++count_;
    }
    std::vector<MsiMessage> messages() const {
        const std::lock_guard lock(mutex_);
        return messages_;
    }
    uint64_t count() const {
        const std::lock_guard lock(mutex_);
        return count_;
    }
    void clear() {
        const std::lock_guard lock(mutex_);
        messages_.clear();
        count_ = 0;
    }

private:
    mutable std::mutex mutex_;
    std::vector<MsiMessage> messages_;
    uint64_t count_ = 0;
};

// Counts all requests and keeps the first, as the machine does.
class RecordingMachineControl final : public MachineControl {
public:
    void request(MachineEvent event, uint32_t value = 0) override {
        const std::lock_guard lock(mutex_);
        if (count_++ == 0) {
            event_ = event;
            value_ = value;
        }
    }
    unsigned count() const { return count_; }
    // Of the first request since the start or clear(); meaningful when count() is not 0.
    MachineEvent event() const { return event_; }
    uint32_t value() const { return value_; }
    void clear() { count_ = 0; }

private:
    std::mutex mutex_;
    unsigned count_ = 0;
    MachineEvent event_ = MachineEvent::reset;
    uint32_t value_ = 0;
};

// Takes characters up to a limit that the test sets, to show back-pressure.
class RecordingChar final : public CharBackend {
public:
    size_t write(std::span<const uint8_t> bytes) override {
        const size_t taken = std::min(bytes.size(), room_);
        text_.append(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
        if (room_ != kUnlimited) room_ -= taken;
        ++calls_;
        return taken;
    }
    // Everything that was written so far.
    const std::string& text() const { return text_; }
    void clear() { text_.clear(); }
    uint64_t calls() const { return calls_; }
    // How many further bytes are taken before writes come up short.
    void set_room(size_t bytes) { room_ = bytes; }
    static constexpr size_t kUnlimited = std::numeric_limits<size_t>::max();

private:
    std::string text_;
    size_t room_ = kUnlimited;
    uint64_t calls_ = 0;
};

// The sending end of a character stream: bytes wait here until the client has room.
class FakeCharSource final : public CharSource {
public:
    void connect(CharClient& client) { client_ = &client; }
    void send(std::string_view bytes) {
        waiting_.append(bytes);
        deliver();
    }
    void receive_room_available() override {
        ++notified_;
        deliver();
    }
    size_t waiting() const { return waiting_.size(); }
    unsigned notified() const { return notified_; }

private:
    void deliver() {
        while (client_ != nullptr && !waiting_.empty()) {
            const size_t count = std::min(client_->receive_room(), waiting_.size());
            if (count == 0) return;
            const std::string part = waiting_.substr(0, count);
            waiting_.erase(0, count);
            client_->on_receive({reinterpret_cast<const uint8_t*>(part.data()), part.size()});
        }
    }

    CharClient* client_ = nullptr;
    std::string waiting_;
    unsigned notified_ = 0;
};

// A disk in memory. Completes within submit(), or, when told to hold, on complete_one().
class MemoryBlock final : public BlockBackend {
public:
    explicit MemoryBlock(uint64_t size, bool read_only = false)
        : bytes_(size), read_only_(read_only) {}

    uint64_t size_bytes() const override { return bytes_.size(); }
    bool read_only() const override { return read_only_; }
    bool supports(BlockRequest::Kind) const override { return true; }
    void submit(const BlockRequest& request, BlockClient& client) override {
        const BlockStatus status = carry_out(request);
        held_.push_back({&client, request.cookie, status});
        if (!holding_) drain();
    }
    void drain() override {
        while (complete_one()) {
        }
    }

    void hold(bool on) { holding_ = on; }
    size_t in_flight() const { return held_.size(); }
    bool complete_one() {
        if (held_.empty()) return false;
        const Held held = held_.front();
        held_.erase(held_.begin());
        held.client->on_block_complete(held.cookie, held.status);
        return true;
    }
    // What every later request ends with.
    void fail_with(BlockStatus status) { status_ = status; }
    std::vector<std::byte>& bytes() { return bytes_; }
    unsigned flushes() const { return flushes_; }
    unsigned discards() const { return discards_; }

private:
    struct Held {
        BlockClient* client;
        uint64_t cookie;
        BlockStatus status;
    };

    BlockStatus carry_out(const BlockRequest& request) {
        if (status_ != BlockStatus::ok) return status_;
        BANYAN_ASSERT(request.offset <= bytes_.size());  // the device has to check
        BANYAN_ASSERT(request.length <= bytes_.size() - request.offset);
        std::byte* at = bytes_.data() + request.offset;
        switch (request.kind) {
            case BlockRequest::Kind::read:
            case BlockRequest::Kind::write: transfer(request, at); break;
            case BlockRequest::Kind::flush: ++flushes_; break;
            case BlockRequest::Kind::discard: ++discards_; break;
            case BlockRequest::Kind::write_zeroes:
                std::fill_n(at, static_cast<size_t>(request.length), std::byte{0});
                break;
        }
        return BlockStatus::ok;
    }

    void transfer(const BlockRequest& request, std::byte* at) {
        uint64_t left = request.length;
        for (const std::span<std::byte> buffer : request.buffers) {
            BANYAN_ASSERT(buffer.size() <= left);
            if (buffer.empty()) continue;
            if (request.kind == BlockRequest::Kind::read) {
                std::memcpy(buffer.data(), at, buffer.size());
            } else {
                std::memcpy(at, buffer.data(), buffer.size());
            }
            at += buffer.size();
            left -= buffer.size();
        }
        BANYAN_ASSERT(left == 0);
    }

    std::vector<std::byte> bytes_;
    bool read_only_;
    bool holding_ = false;
    BlockStatus status_ = BlockStatus::ok;
    std::vector<Held> held_;
    unsigned flushes_ = 0;
    unsigned discards_ = 0;
};

// The same "random" bytes in each run: 1, 2, 3, ...
class FakeEntropy final : public EntropySource {
public:
    void fill(std::span<std::byte> bytes) override {
        for (std::byte& byte : bytes)
            byte = static_cast<std::byte>(++next_);
    }

private:
    uint8_t next_ = 0;
};

// GuestMemory with one region of RAM, zeroed.
class FakeRam {
public:
    explicit FakeRam(uint64_t size, Gpa start = {})
        : storage_(static_cast<size_t>(size / kPageSize)) {
        const auto bytes = std::as_writable_bytes(std::span(storage_));
        BANYAN_ASSERT(memory_.add_region(start, bytes, MemoryKind::ram).has_value());
    }
    GuestMemory& memory() { return memory_; }

private:
    struct alignas(kPageSize) Page {
        std::byte bytes[kPageSize] = {};
    };
    std::vector<Page> storage_;
    GuestMemory memory_;
};

}  // namespace banyan
