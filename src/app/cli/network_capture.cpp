#include "app/cli/network_capture.hpp"

#include <csignal>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/cli/cli.hpp"
#include "app/cli/values.hpp"
#include "app/network/network_process.hpp"
#include "app/network/network_store.hpp"
#include "backends/net/frame_record_reader.hpp"
#include "backends/net/pcap.hpp"
#include "host/linux/event_loop.hpp"
#include "host/linux/signals.hpp"
#include "host/linux/stderr_log.hpp"
#include "host/posix/host_error.hpp"
#include "host/posix/unix_address.hpp"
#include "host/posix/write_all.hpp"
#include "manager/vm_actions.hpp"

namespace banyan {

namespace {

constexpr int kConnectMs = 5000;
constexpr uint64_t kMostCards = 255;

// Where whoever is captured connects to; its name goes as soon as he has.
class CaptureSocket {
public:
    explicit CaptureSocket(std::string path) : path_(std::move(path)) {}
    ~CaptureSocket() { ::unlink(path_.c_str()); }
    CaptureSocket(const CaptureSocket&) = delete;
    CaptureSocket& operator=(const CaptureSocket&) = delete;

    Result<void> listen() {
        const UnixAddress address(path_);
        if (!address.valid()) return host_fail(ENAMETOOLONG, "capture at " + path_, kRemedy);
        ::unlink(path_.c_str());  // of an earlier process of this number
        fd_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (fd_.valid()) ::fchmod(fd_.get(), 0600);
        if (!fd_.valid() || ::bind(fd_.get(), address.get(), address.size()) != 0 ||
            ::listen(fd_.get(), 1) != 0)
            return host_fail(errno, "capture at " + quote_name(path_), kRemedy);
        return {};
    }
    Result<UniqueFd> accept() const {
        pollfd waited{fd_.get(), POLLIN, 0};
        if (::poll(&waited, 1, kConnectMs) <= 0)
            return fail(ErrorCode::io, "capture: no frames come; try again");
        UniqueFd frames(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!frames.valid()) return host_fail(errno, "capture", kRemedy);
        return frames;
    }
    const std::string& path() const { return path_; }

private:
    static constexpr const char* kRemedy = "use another XDG_RUNTIME_DIR";

    const std::string path_;
    UniqueFd fd_;
};

// Turns records into a pcap file, until the stream or the file fails.
class PcapWriter final : public PollClient {
public:
    PcapWriter(EventLoop& loop, UniqueFd frames, int file)
        : loop_(loop), frames_(std::move(frames)), file_(file) {}
    ~PcapWriter() { loop_.unwatch(frames_.get()); }

    Result<void> begin(const std::string& name) {
        const pcap::FileHeader header;
        if (!write_all(file_, std::as_bytes(std::span(&header, 1))))
            return host_fail(errno, "write " + quote_name(name), "give another file, or make room");
        return loop_.watch(frames_.get(), {.readable = true}, *this);
    }
    uint64_t count() const { return count_; }
    uint64_t lost() const { return lost_; }
    // Why it ended by itself; empty: what was captured has ended.
    const std::string& complaint() const { return complaint_; }

private:
    void on_ready(Readiness) override {
        std::array<std::byte, 64 * 1024> bytes;
        const ssize_t size =
            retry_interrupted([&] { return ::recv(frames_.get(), bytes.data(), bytes.size(), 0); });
        if (size < 0 && errno == EAGAIN) return;
        if (size <= 0) return loop_.stop();
        const bool good =
            reader_.feed(std::span<const std::byte>(bytes).first(static_cast<size_t>(size)),
                         [this](const FrameRecordHeader& header, std::span<const std::byte> frame) {
                             write(header, frame);
                         });
        if (!good) end("what comes are no frames");
    }
    void write(const FrameRecordHeader& header, std::span<const std::byte> frame) {
        if (!complaint_.empty()) return;
        const pcap::RecordHeader record{uint32_t{header.seconds}, uint32_t{header.nanoseconds},
                                        uint32_t{header.size}, uint32_t{header.size}};
        lost_ += header.lost;
        std::vector<std::byte> bytes(sizeof(record) + frame.size());
        std::memcpy(bytes.data(), &record, sizeof(record));
        std::copy(frame.begin(), frame.end(), bytes.begin() + sizeof(record));
        if (!write_all(file_, bytes)) return end("write the frames: " + errno_text(errno));
        ++count_;
    }
    void end(std::string why) {
        if (complaint_.empty()) complaint_ = std::move(why);
        loop_.stop();
    }

    EventLoop& loop_;
    UniqueFd frames_;
    const int file_;
    FrameRecordReader reader_;
    uint64_t count_ = 0;
    uint64_t lost_ = 0;
    std::string complaint_;
};

bool is_network(const std::string& name) {
    const auto store = NetworkStore::open();
    return store && store->has(name);
}

Result<uint64_t> card_number(const CaptureOptions& options) {
    if (options.card.empty()) return uint64_t{0};
    return parse_number("--card", options.card, kMostCards);
}

// A network goes before a VM of the same name, which has a process number, too.
Result<void> ask_for_frames(const RunDirectory& directory, const CaptureOptions& options,
                            const std::string& socket) {
    TRY_ASSIGN(card, card_number(options));
    if (is_network(options.target)) {
        if (!options.card.empty()) {
            return fail(ErrorCode::invalid_argument,
                        "--card: that is of a VM; choose a member of a network by --port");
        }
        return capture_network(directory, options.target, options.port);
    }
    if (!options.port.empty()) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("--port: {} is no network; see banyan network list",
                                quote_name(options.target)));
    }
    TRY_ASSIGN(vm, find_vm(directory, "network capture", options.target));
    return capture_card(directory, vm, static_cast<unsigned>(card), socket);
}

Result<UniqueFd> open_output(const std::string& name) {
    if (name != "-") {
        UniqueFd file(
            ::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600));
        if (!file.valid())
            return host_fail(errno, "write " + quote_name(name), "give another file, or make room");
        return file;
    }
    if (::isatty(STDOUT_FILENO) == 1) {
        return fail(ErrorCode::invalid_argument,
                    "-o -: standard output is a terminal; give it to tcpdump -r - or a file");
    }
    return UniqueFd(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
}

Result<void> capture(const CaptureOptions& options) {
    const std::string output = options.output.empty() ? options.target + ".pcap" : options.output;
    TRY_ASSIGN(directory, RunDirectory::open());
    TRY_ASSIGN(loop, EventLoop::create());
    TRY_ASSIGN(signals, SignalWatch::create(*loop, {SIGINT, SIGTERM}, [&](int) { loop->stop(); }));
    CaptureSocket socket(capture_socket(directory, ::getpid()));
    TRY(socket.listen());
    TRY(ask_for_frames(directory, options, socket.path()));
    TRY_ASSIGN(frames, socket.accept());
    TRY_ASSIGN(file, open_output(output));
    PcapWriter writer(*loop, std::move(frames), file.get());
    TRY(writer.begin(output));
    print_message(fmt::format("captures {} to {}; Ctrl-C ends", quote_name(options.target),
                              output == "-" ? "standard output" : quote_name(output)));
    loop->run();
    print_message(fmt::format("{} frames are captured{}", writer.count(),
                              writer.lost() != 0
                                  ? fmt::format(", {} more were too fast", writer.lost())
                                  : std::string()));
    if (writer.complaint().empty()) return {};
    return fail(ErrorCode::io, writer.complaint() + "; the file ends there");
}

}  // namespace

int capture_frames(const CaptureOptions& options) {
    hold_signals({SIGINT, SIGTERM});
    ignore_write_signals();
    const auto done = capture(options);
    if (done) return 0;
    print_message(done.error().text());
    return done.error().code() == ErrorCode::invalid_argument ? kStatusUsage : kStatusFailed;
}

}  // namespace banyan
