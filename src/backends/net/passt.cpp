#include "backends/net/passt.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <string_view>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <utility>

#include "backends/net/checksum.hpp"
#include "backends/net/frame_guard.hpp"
#include "host/posix/host_error.hpp"
#include "host/posix/threads.hpp"
#include "network/packets/headers.hpp"
#include "support/log.hpp"

extern char** environ;  // NOLINT: the C library's name

namespace banyan {

namespace {

constexpr int kPasstSocket = 3;            // its number in the process
constexpr size_t kPasstWaiting = 1 << 20;  // bytes that the process has not taken yet
constexpr size_t kPasstForGuest = 1 << 20;
constexpr int kAnswerMs = 10'000;
constexpr int kAskAgainMs = 200;
constexpr int kEndMs = 2000;
constexpr std::string_view kPasstFiles = "raise the limit of open files (ulimit -n)";
constexpr uint32_t kPasstRouter = 0x0A000202;
constexpr MacAddress kProbeMac{{0x02, 0, 0, 0, 0, 0x01}};

// Addresses as libslirp has them (docs/network.md).
std::vector<std::string> passt_arguments(const PasstOptions& options) {
    std::vector<std::string> all{options.program, "--foreground",
                                 "--stderr",      "--quiet",
                                 "--fd",          std::to_string(kPasstSocket),
                                 "--address",     "10.0.2.15",
                                 "--netmask",     "24",
                                 "--gateway",     "10.0.2.2",
                                 "--dns",         "10.0.2.3",
                                 "--dns-forward", "10.0.2.3",
                                 "--mtu",         "65520"};
    if (!options.host_loopback) all.push_back("--no-map-gw");
    for (const PublishedPort& port : options.published) {
        all.push_back(port.udp ? "--udp-ports" : "--tcp-ports");
        in_addr address{htonl(port.host_address)};
        std::array<char, INET_ADDRSTRLEN> text{};
        ::inet_ntop(AF_INET, &address, text.data(), text.size());
        all.push_back(fmt::format("{}/{}:{}", text.data(), port.host_port, port.guest_port));
    }
    return all;
}

// Its messages can be read from `errors`.
Result<pid_t> spawn(const std::vector<std::string>& arguments, int socket, int errors) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments)
        argv.push_back(const_cast<char*>(argument.c_str()));  // posix_spawn only reads them
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files, errors, STDERR_FILENO);
    ::posix_spawn_file_actions_adddup2(&files, socket, kPasstSocket);
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    pid_t pid = -1;
    const int error = ::posix_spawnp(&pid, argv[0], &files, &attributes, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
    if (error == 0) return pid;
    return host_fail(error, "--net passt: start " + quote_name(arguments[0]),
                     "install the package passt, or use --net nat");
}

// Who has the router's address? With its length before it.
std::vector<std::byte> probe_frame() {
    ArpPacket arp;
    arp.hardware = uint16_t{1};
    arp.protocol = ethertype::kIpv4;
    arp.hardware_size = 6;
    arp.protocol_size = 4;
    arp.operation = uint16_t{1};
    arp.sender_mac = kProbeMac;
    arp.target_ip = kPasstRouter;
    const EthernetHeader ethernet{kBroadcastMac, kProbeMac, ethertype::kArp};
    const StreamLength length(static_cast<uint32_t>(sizeof(ethernet) + sizeof(arp)));
    std::vector<std::byte> bytes(sizeof(length) + sizeof(ethernet) + sizeof(arp));
    put_header(bytes, 0, length);
    put_header(bytes, sizeof(length), ethernet);
    put_header(bytes, sizeof(length) + sizeof(ethernet), arp);
    return bytes;
}

}  // namespace

std::string find_passt() {
    const char* const path = std::getenv("PATH");
    std::string_view rest = path != nullptr ? path : "/usr/bin";
    while (!rest.empty()) {
        const size_t colon = std::min(rest.find(':'), rest.size());
        const std::string program = std::string(rest.substr(0, colon)) + "/passt";
        if (::access(program.c_str(), X_OK) == 0) return program;
        rest.remove_prefix(std::min(colon + 1, rest.size()));
    }
    return {};
}

Passt::Passt(const PasstOptions& options)
    : host_loopback_(options.host_loopback), for_guest_(kPasstForGuest) {}

Result<std::unique_ptr<Passt>> Passt::create(const PasstOptions& options) {
    auto passt = std::unique_ptr<Passt>(new Passt(options));
    TRY(passt->open(options));
    TRY(passt->wait_for_answer());
    return passt;
}

Result<void> Passt::open(const PasstOptions& options) {
    std::array<int, 2> ends{};
    std::array<int, 2> errors{};
    wake_.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!wake_.valid() || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return host_fail(errno, "create a network", kPasstFiles);
    socket_.reset(ends[0]);
    const UniqueFd theirs(ends[1]);
    if (::pipe2(errors.data(), O_CLOEXEC | O_NONBLOCK) != 0)
        return host_fail(errno, "create a network", kPasstFiles);
    words_.reset(errors[0]);
    const UniqueFd their_words(errors[1]);
    ::fcntl(socket_.get(), F_SETFL, O_NONBLOCK);
    TRY_ASSIGN(process, spawn(passt_arguments(options), theirs.get(), their_words.get()));
    process_ = process;
    return {};
}

// It says nothing when it is ready. An early question may be lost while it begins.
Result<void> Passt::wait_for_answer() {
    const std::vector<std::byte> probe = probe_frame();
    bool answered = false;
    for (int waited = 0; !answered && waited < kAnswerMs; waited += kAskAgainMs) {
        if (::send(socket_.get(), probe.data(), probe.size(), MSG_NOSIGNAL) < 0) break;
        pollfd handle{socket_.get(), POLLIN, 0};
        if (::poll(&handle, 1, kAskAgainMs) <= 0) continue;
        const ssize_t size = retry_interrupted([&] {
            return ::recv(socket_.get(), unframer_.room().data(), unframer_.room().size(), 0);
        });
        if (size <= 0) break;
        answered = unframer_.received(static_cast<size_t>(size), [](auto) {});
    }
    if (answered) return {};
    return fail(ErrorCode::io, "--net passt: it does not begin: " + last_words() +
                                   "; give other ports, or use --net nat");
}

// The last line of what it has said.
std::string Passt::last_words() const {
    std::array<char, 4096> text{};
    const ssize_t size = ::read(words_.get(), text.data(), text.size());
    std::string_view said(text.data(), size > 0 ? static_cast<size_t>(size) : 0);
    while (said.ends_with('\n'))
        said.remove_suffix(1);
    const size_t line = said.rfind('\n');
    if (line != std::string_view::npos) said.remove_prefix(line + 1);
    return said.empty() ? "it gives no reason" : std::string(said.substr(0, 100));
}

// Without its socket it ends; one that does not is ended.
Passt::~Passt() {
    stop();
    socket_.reset();
    if (process_ < 0) return;
    constexpr int kStepMs = 5;
    for (int waited = 0; waited < kEndMs; waited += kStepMs) {
        if (::waitpid(process_, nullptr, WNOHANG) != 0) return;
        ::poll(nullptr, 0, kStepMs);
    }
    ::kill(process_, SIGKILL);
    retry_interrupted([&] { return ::waitpid(process_, nullptr, 0); });
}

NetOffloads Passt::offloads() const {
    return {.checksum = true, .tcp4 = false, .tcp6 = false, .ecn = false, .udp = false};
}

void Passt::set_client_offloads(const NetOffloads& offloads) {
    checksums_known_.store(offloads.checksum, std::memory_order_relaxed);
}

Result<void> Passt::start(NetClient& client) {
    client_ = &client;
    stopping_.store(false);
    guest_full_ = false;
    thread_ = start_thread(ThreadKind::nat, "passt", [this] { run(); });
    return {};
}

void Passt::stop() {
    if (!thread_.joinable()) return;
    stopping_.store(true);
    wake();
    thread_.join();
    for_guest_.clear();
    given_ = 0;
    MutexLock lock(mutex_);
    sender_waits_ = false;
}

size_t Passt::send(std::span<const NetFrame> frames) {
    if (gone_) return frames.size();
    bool all_written = false;
    size_t taken = 0;
    {
        MutexLock lock(mutex_);
        for (; taken < frames.size() && waiting_.size() - written_ < kPasstWaiting; ++taken)
            append(frames[taken]);
        sender_waits_ = taken < frames.size();
        flush();
        all_written = waiting_.empty();
    }
    if (!all_written) wake();  // the thread waits until the rest can be written
    return taken;
}

void Passt::append(const NetFrame& frame) {
    const size_t at = waiting_.size();
    const StreamLength length(static_cast<uint32_t>(frame.size));
    waiting_.resize(at + sizeof(length) + frame.size);
    const std::span whole = std::span(waiting_).subspan(at);
    put_header(whole, 0, length);
    const std::span bytes = whole.subspan(sizeof(length));
    const bool complete = copy_frame(frame, bytes) == frame.size;
    const bool allowed = host_loopback_ || !is_to_this_host(bytes);
    if (complete && allowed && (!frame.info.needs_checksum || finish_checksum(bytes, frame.info)))
        return;
    ++refused_;
    waiting_.resize(at);
}

void Passt::flush() {
    while (written_ < waiting_.size()) {
        const ssize_t count = retry_interrupted([&] {
            return ::send(socket_.get(), waiting_.data() + written_, waiting_.size() - written_,
                          MSG_DONTWAIT | MSG_NOSIGNAL);
        });
        if (count <= 0) break;  // its end also shows at the next read
        written_ += static_cast<size_t>(count);
    }
    const bool all = written_ == waiting_.size();
    if (!all && written_ < kPasstWaiting / 2) return;
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(written_));
    written_ = 0;
}

void Passt::receive_room_available() {
    room_available_.store(true);
    wake();
}

void Passt::wake() {
    const uint64_t one = 1;
    (void)retry_interrupted([&] { return ::write(wake_.get(), &one, sizeof(one)); });
}

void Passt::run() {
    while (!stopping_.load()) {
        give_to_client();
        wait();
    }
}

// While the guest has no room nothing is read, so that passt holds back who sends.
void Passt::wait() {
    bool write = false;
    {
        MutexLock lock(mutex_);
        write = written_ < waiting_.size();
    }
    const auto events = static_cast<short>((guest_full_ ? 0 : POLLIN) | (write ? POLLOUT : 0));
    std::array<pollfd, 3> handles{{{wake_.get(), POLLIN, 0},
                                   {gone_ ? -1 : socket_.get(), events, 0},
                                   {gone_ || !words_.valid() ? -1 : words_.get(), POLLIN, 0}}};
    (void)::poll(handles.data(), handles.size(), -1);
    uint64_t count = 0;
    if (handles[0].revents != 0)
        (void)retry_interrupted([&] { return ::read(wake_.get(), &count, sizeof(count)); });
    if ((handles[2].revents & POLLIN) != 0)
        LOG_LIMITED(LogLevel::info, "net", "passt: %s", last_words().c_str());
    else if (handles[2].revents != 0)
        words_.reset();  // it says nothing more
    if ((handles[1].revents & POLLOUT) != 0) tell_send_room();
    if ((handles[1].revents & POLLIN) != 0) return receive();
    if ((handles[1].revents & (POLLHUP | POLLERR)) != 0) lose();
}

void Passt::receive() {
    const std::span room = unframer_.room();
    const ssize_t size =
        retry_interrupted([&] { return ::recv(socket_.get(), room.data(), room.size(), 0); });
    if (size < 0 && errno == EAGAIN) return;
    const bool good = size > 0 && unframer_.received(static_cast<size_t>(size), [this](auto frame) {
        (void)for_guest_.add(frame, {});  // it holds more than comes at once
    });
    if (!good) lose();
}

void Passt::give_to_client() {
    if (room_available_.exchange(false)) guest_full_ = false;
    const auto frames = for_guest_.frames();
    const bool valid = checksums_known_.load(std::memory_order_relaxed);
    while (!guest_full_ && given_ < frames.size()) {
        std::array<NetFrame, 64> offered;
        std::array<std::span<const std::byte>, 64> parts;
        const size_t count = std::min(offered.size(), frames.size() - given_);
        for (size_t i = 0; i < count; ++i) {
            parts[i] = frames[given_ + i].bytes;
            offered[i] = {std::span(&parts[i], 1), parts[i].size(), {.checksum_valid = valid}};
        }
        const size_t taken = client_->on_frames(std::span(offered).first(count));
        given_ += taken;
        guest_full_ = taken < count;
    }
    if (guest_full_) return;
    for_guest_.clear();
    given_ = 0;
}

void Passt::tell_send_room() {
    bool tell = false;
    {
        MutexLock lock(mutex_);
        flush();
        tell = waiting_.size() - written_ < kPasstWaiting && std::exchange(sender_waits_, false);
    }
    if (tell) client_->on_send_room();
}

void Passt::lose() {
    LOG_WARNING("net", "%s", "passt has ended: the guest's network is gone until its VM ends");
    gone_ = true;
    {
        MutexLock lock(mutex_);
        waiting_.clear();
        written_ = 0;
        sender_waits_ = false;
    }
    client_->on_link_changed(false);
    client_->on_send_room();  // what waited is dropped now
}

}  // namespace banyan
