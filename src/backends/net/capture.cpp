#include "backends/net/capture.hpp"

#include <cerrno>
#include <climits>
#include <ctime>
#include <fcntl.h>
#include <sys/uio.h>
#include <vector>

#include "backends/net/pcap.hpp"
#include "host/posix/host_error.hpp"
#include "host/posix/write_all.hpp"
#include "support/log.hpp"

namespace banyan {

namespace {

constexpr std::string_view kRemedy = "give another file, or make room";

pcap::RecordHeader header_for(size_t size) {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const auto length = static_cast<uint32_t>(size);
    return {static_cast<uint32_t>(now.tv_sec), static_cast<uint32_t>(now.tv_nsec), length, length};
}

}  // namespace

Result<void> Capture::record_to(const std::string& path) {
    const std::string what = "write the frames to " + quote_name(path);
    UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file.valid()) return host_fail(errno, what, kRemedy);
    const pcap::FileHeader header;
    if (::write(file.get(), &header, sizeof(header)) != sizeof(header))
        return host_fail(errno, what, kRemedy);
    MutexLock lock(mutex_);
    file_ = std::move(file);
    path_ = path;
    active_ = true;
    return {};
}

Result<void> Capture::stream_to(Poller& poller, const std::string& path) {
    TRY_ASSIGN(stream, FrameStream::connect(poller, path));
    MutexLock lock(mutex_);
    std::erase_if(streams_, [](const auto& one) { return one->gone(); });
    if (streams_.size() == kMostStreams) {
        return fail(ErrorCode::busy,
                    "capture: others capture this card already; end one of those first");
    }
    streams_.push_back(std::move(stream));
    active_ = true;
    return {};
}

Result<void> Capture::start(NetClient& client) {
    client_ = &client;
    return network_->start(*this);
}

size_t Capture::send(std::span<const NetFrame> frames) {
    const size_t taken = network_->send(frames);
    record(frames.first(taken));
    return taken;
}

size_t Capture::on_frames(std::span<const NetFrame> frames) {
    const size_t taken = client_->on_frames(frames);
    record(frames.first(taken));
    return taken;
}

void Capture::record(std::span<const NetFrame> frames) {
    if (!active_.load(std::memory_order_relaxed) || frames.empty()) return;
    MutexLock lock(mutex_);
    write_to_file(frames);
    bool any = file_.valid();
    for (const auto& stream : streams_) {
        for (const NetFrame& frame : frames)
            stream->record(frame);
        any = any || !stream->gone();
    }
    active_ = any;
}

void Capture::write_to_file(std::span<const NetFrame> frames) {
    for (const NetFrame& frame : frames) {
        if (!file_.valid() || write_to_file(frame)) continue;
        const std::string why = errno_text(errno);
        LOG_WARNING("net", "%s: %s; no more frames are written to it", path_.c_str(), why.c_str());
        file_.reset();
    }
}

// Frames of a guest lie in its memory and may change; what they are now is what is written.
bool Capture::write_to_file(const NetFrame& frame) {
    pcap::RecordHeader header = header_for(frame.size);
    std::vector<std::byte> record(sizeof(header) + frame.size);
    std::memcpy(record.data(), &header, sizeof(header));
    size_t at = sizeof(header);
    for (const auto& part : frame.parts) {
        const size_t count = std::min(part.size(), record.size() - at);
        std::memcpy(record.data() + at, part.data(), count);
        at += count;
    }
    return write_all(file_.get(), record);
}

}  // namespace banyan
