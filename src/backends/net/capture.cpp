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

Result<std::unique_ptr<Capture>> Capture::create(const std::string& path,
                                                 std::unique_ptr<NetBackend> network) {
    const std::string what = "write the frames to " + quote_name(path);
    UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file.valid()) return host_fail(errno, what, kRemedy);
    const pcap::FileHeader header;
    if (::write(file.get(), &header, sizeof(header)) != sizeof(header))
        return host_fail(errno, what, kRemedy);
    return std::unique_ptr<Capture>(new Capture(std::move(file), path, std::move(network)));
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
    MutexLock lock(mutex_);
    for (const NetFrame& frame : frames) {
        if (!file_.valid() || record(frame)) continue;
        const std::string why = errno_text(errno);
        LOG_WARNING("net", "%s: %s; no more frames are written to it", path_.c_str(), why.c_str());
        file_.reset();
    }
}

// Frames of a guest lie in its memory and may change; what they are now is what is written.
bool Capture::record(const NetFrame& frame) {
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
