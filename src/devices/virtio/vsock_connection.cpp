#include "devices/virtio/vsock_connection.hpp"

#include <algorithm>
#include <utility>

namespace banyan {

using namespace virtio;
using State = VsockStream::State;

void VsockConnection::open(const VsockPorts& ports, std::unique_ptr<VsockStream> stream, By by) {
    close();
    ports_ = ports;
    stream_ = std::move(stream);
    accepted_ = by == By::guest;
    pending_ = bit_of(accepted_ ? VsockOp::response : VsockOp::request);
    watch();
}

void VsockConnection::close() {
    stream_.reset();
    accepted_ = readable_ = writing_ended_ = credit_requested_ = false;
    pending_ = guest_shut_down_ = host_shut_down_ = 0;
    first_ = buffered_ = forwarded_ = told_forwarded_ = 0;
    peer_buffer_ = peer_forwarded_ = sent_ = 0;
}

// 5.10.6.3: each packet says how much room there is.
void VsockConnection::note_credit(const VsockHeader& header) {
    peer_buffer_ = header.buf_alloc;
    peer_forwarded_ = header.fwd_cnt;
    credit_requested_ = false;
    watch();
}

uint32_t VsockConnection::credit() const {
    const uint32_t under_way = sent_ - peer_forwarded_;
    return under_way < peer_buffer_ ? peer_buffer_ - under_way : 0;
}

bool VsockConnection::accept() {
    if (accepted_) return false;
    accepted_ = true;
    stream_->accepted(ports_.host);
    watch();
    return true;
}

bool VsockConnection::take(const DescriptorChain& chain, uint64_t offset, uint32_t length) {
    // 5.10.6.3.1: no more than there is credit for, and nothing after the end.
    const bool ended = (guest_shut_down_ & kVsockShutdownSend) != 0;
    if (!accepted_ || ended || length > kBufferSize - buffered_) return false;
    (void)buffer_data(chain, offset, length);
    flush();
    return true;
}

size_t VsockConnection::buffer_data(const DescriptorChain& chain, uint64_t offset,
                                    uint32_t length) {
    const uint32_t end = (first_ + buffered_) % kBufferSize;
    const uint32_t before_wrap = std::min(length, kBufferSize - end);
    size_t copied = chain.copy_from(offset, buffer_.subspan(end, before_wrap));
    copied += chain.copy_from(offset + before_wrap, buffer_.first(length - before_wrap));
    buffered_ += static_cast<uint32_t>(copied);
    return copied;
}

// As much as the host takes. What it will never take is dropped.
void VsockConnection::flush() {
    while (buffered_ != 0) {
        const auto piece = buffer_.subspan(first_, std::min(buffered_, kBufferSize - first_));
        const VsockStream::Moved moved = stream_->write(piece);
        const auto gone =
            static_cast<uint32_t>(moved.state == State::ended ? piece.size() : moved.bytes);
        first_ = (first_ + gone) % kBufferSize;
        buffered_ -= gone;
        forwarded_ += gone;
        if (moved.state == State::ended && host_shut_down_ != kVsockShutdownBoth) {
            host_shut_down_ = kVsockShutdownBoth;
            pending_ |= bit_of(VsockOp::shutdown);
        }
        if (moved.state == State::waiting || gone == 0) break;
    }
    // Not for each byte: the guest waits only when it sees little room.
    if (forwarded_ - told_forwarded_ >= kBufferSize / 2) pending_ |= bit_of(VsockOp::credit_update);
    end_when_flushed();
    watch();
}

void VsockConnection::shut_down(uint32_t flags) {
    guest_shut_down_ |= flags & kVsockShutdownBoth;
    if ((guest_shut_down_ & kVsockShutdownReceive) != 0) readable_ = false;
    flush();
}

// 5.10.6.5: a connection that is shut down both ways is ended by the other side's reset.
void VsockConnection::end_when_flushed() {
    if (buffered_ != 0 || (guest_shut_down_ & kVsockShutdownSend) == 0) return;
    if (!std::exchange(writing_ended_, true)) stream_->end_writing();
    if (guest_shut_down_ == kVsockShutdownBoth) pending_ = bit_of(VsockOp::reset);
}

void VsockConnection::on_ready(Readiness ready) {
    if (ready.readable) readable_ = true;
    if (ready.writable) return flush();
    watch();
}

// Of the stream only what can be worked on: else an end of it would be told again and again.
void VsockConnection::watch() {
    if (!used()) return;
    const bool reads = accepted_ && !readable_ && host_shut_down_ == 0 && credit() != 0 &&
                       (guest_shut_down_ & kVsockShutdownReceive) == 0;
    stream_->watch(cookie_, {.readable = reads, .writable = buffered_ != 0});
}

std::optional<VsockOp> VsockConnection::next_operation() {
    for (const VsockOp op : {VsockOp::reset, VsockOp::request, VsockOp::response}) {
        if ((pending_ & bit_of(op)) != 0) return op;
    }
    if (readable_ && credit() != 0) return VsockOp::read_write;
    for (const VsockOp op : {VsockOp::shutdown, VsockOp::credit_update, VsockOp::credit_request}) {
        if ((pending_ & bit_of(op)) != 0) return op;
    }
    return std::nullopt;
}

std::optional<VsockHeader> VsockConnection::next_packet(std::span<const VirtioSegment> room) {
    auto op = next_operation();
    uint32_t length = 0;
    if (op == VsockOp::read_write) {
        length = read_data(room);
        if (length == 0) op = next_operation();
    }
    if (!op) return std::nullopt;
    pending_ &= ~bit_of(*op);
    told_forwarded_ = forwarded_;
    VsockHeader header;
    header.src_port = ports_.host;
    header.dst_port = ports_.guest;
    header.len = length;
    header.type = kVsockTypeStream;
    header.op = static_cast<uint16_t>(*op);
    header.flags = *op == VsockOp::shutdown ? host_shut_down_ : 0U;
    header.buf_alloc = kBufferSize;
    header.fwd_cnt = forwarded_;
    if (op == VsockOp::reset) close();
    return header;
}

// As much as there is room and credit for.
uint32_t VsockConnection::read_data(std::span<const VirtioSegment> room) {
    uint32_t length = 0;
    for (const VirtioSegment& segment : room) {
        const uint32_t most = std::min(segment.length, credit() - length);
        if (most == 0) break;
        const VsockStream::Moved moved = stream_->read(segment.bytes().first(most));
        length += static_cast<uint32_t>(moved.bytes);
        if (moved.state == State::open) continue;
        readable_ = false;
        if (moved.state == State::ended) {
            host_shut_down_ |= kVsockShutdownSend;
            pending_ |= bit_of(VsockOp::shutdown);
        }
        break;
    }
    sent_ += length;
    if (readable_ && credit() == 0 && !std::exchange(credit_requested_, true))
        pending_ |= bit_of(VsockOp::credit_request);
    watch();
    return length;
}

}  // namespace banyan
