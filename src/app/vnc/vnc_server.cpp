#include "app/vnc/vnc_server.hpp"

#include <poll.h>
#include <sys/socket.h>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

constexpr auto kUpdatePeriod = std::chrono::milliseconds(33);
constexpr long kEventWaitUs = 10'000;
constexpr int kIdleWaitMs = 500;
constexpr int kBitsPerSample = 8;
constexpr int kSamples = 3;
constexpr int kBytesPerPixel = 4;

// Buttons of RFB (RFC 6143, 7.5.5): left, middle, right, wheel up, wheel down.
constexpr unsigned kWheelUp = 0x08;
constexpr unsigned kWheelDown = 0x10;

uint8_t to_pointer_buttons(unsigned buttons) {
    unsigned own = 0;
    if ((buttons & 1) != 0) own |= PointerEvent::left;
    if ((buttons & 2) != 0) own |= PointerEvent::middle;
    if ((buttons & 4) != 0) own |= PointerEvent::right;
    return static_cast<uint8_t>(own);
}

uint32_t swap_red_and_blue(uint32_t pixel) {
    return (pixel >> 16 & 0xFF) | (pixel & 0xFF00) | (pixel & 0xFF) << 16;
}

VncServer& owner(rfbClientRec* client) {
    return *static_cast<VncServer*>(client->screen->screenData);
}

}  // namespace

Result<std::unique_ptr<VncServer>> VncServer::create(Config config, VncListener listener,
                                                     ScreenClient screen) {
    auto server = std::unique_ptr<VncServer>(
        new VncServer(std::move(config), std::move(listener), std::move(screen)));
    TRY(server->update());
    if (server->server_ == nullptr)
        return fail(ErrorCode::out_of_memory, "start the VNC server: no memory; free some");
    return server;
}

VncServer::VncServer(Config config, VncListener listener, ScreenClient screen)
    : config_(std::move(config)), listener_(std::move(listener)), screen_(std::move(screen)) {
    rfbLogEnable(FALSE);
    shown_.resize(size_t{640} * 400);
    server_ = rfbGetScreen(nullptr, nullptr, 640, 400, kBitsPerSample, kSamples, kBytesPerPixel);
    if (server_ == nullptr) return;
    server_->frameBuffer = reinterpret_cast<char*>(shown_.data());  // SAFETY: as bytes, that size
    server_->desktopName = config_.name.c_str();
    server_->screenData = this;
    server_->alwaysShared = TRUE;
    server_->port = 0;  // connections are accepted here
    server_->ipv6port = 0;
    server_->cursor = nullptr;  // the guest draws its own
    server_->kbdAddEvent = [](rfbBool down, rfbKeySym symbol, rfbClientRec* client) {
        owner(client).key(down != 0, symbol);
    };
    server_->ptrAddEvent = [](int buttons, int x, int y, rfbClientRec* client) {
        owner(client).pointer(static_cast<unsigned>(buttons), x, y);
    };
    server_->newClientHook = [](rfbClientRec* client) {
        client->clientGoneHook = [](rfbClientRec* gone) { owner(gone).release_keys(); };
        return RFB_CLIENT_ACCEPT;
    };
    if (!config_.password.empty()) {
        passwords_[0] = const_cast<char*>(config_.password.c_str());  // it is only read
        server_->authPasswdData = passwords_;
        server_->passwordCheck = rfbCheckPasswordByList;
    }
    rfbInitServer(server_);
}

VncServer::~VncServer() {
    if (server_ == nullptr) return;
    rfbShutdownServer(server_, TRUE);
    server_->frameBuffer = nullptr;  // it is ours
    rfbScreenCleanup(server_);
}

void VncServer::lose(const Result<void>& result) {
    if (!result && result.error().code() == ErrorCode::io) lost_ = true;
}

void VncServer::run() {
    while (!lost_) {
        if (!has_clients()) wait_for_client();
        accept_clients();
        rfbProcessEvents(server_, has_clients() ? kEventWaitUs : 0);
        if (has_clients() && SteadyClock::now() >= next_update_) lose(update());
    }
}

void VncServer::wait_for_client() {
    pollfd waited{listener_.fd.get(), POLLIN, 0};
    if (::poll(&waited, 1, kIdleWaitMs) == 0) lose(screen_.alive());
}

void VncServer::accept_clients() {
    const int fd = ::accept4(listener_.fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    next_update_ = {};
    rfbNewClient(server_, fd);  // owns the descriptor, also where it refuses the client
}

Result<void> VncServer::update() {
    next_update_ = SteadyClock::now() + kUpdatePeriod;
    TRY_ASSIGN(change, screen_.update(frame_));
    show(change);
    return {};
}

void VncServer::show(const DisplayChange& change) {
    if (server_ == nullptr || change.first == change.end) return;
    const auto width = static_cast<int>(frame_.width);
    const auto height = static_cast<int>(frame_.height);
    std::vector<uint32_t> resized;
    if (server_->width != width || server_->height != height) resized.resize(frame_.pixels.size());
    std::vector<uint32_t>& to = resized.empty() ? shown_ : resized;
    for (size_t i = size_t{change.first} * frame_.width; i < size_t{change.end} * frame_.width; ++i)
        to[i] = swap_red_and_blue(frame_.pixels[i]);
    if (!resized.empty()) {
        auto* bytes = reinterpret_cast<char*>(resized.data());  // SAFETY: as bytes, that size
        rfbNewFramebuffer(server_, bytes, width, height, kBitsPerSample, kSamples, kBytesPerPixel);
        shown_ = std::move(resized);
    }
    rfbMarkRectAsModified(server_, 0, static_cast<int>(change.first), width,
                          static_cast<int>(change.end));
}

void VncServer::key(bool pressed, uint32_t symbol) {
    const auto key = key_of_symbol(symbol);
    if (!key) return;
    if (pressed) {
        pressed_.insert(key->value);
    } else {
        pressed_.erase(key->value);
    }
    lose(screen_.key({*key, pressed}));
}

// A client that goes leaves no key down.
void VncServer::release_keys() {
    for (const uint8_t key : pressed_)
        lose(screen_.key({{key}, false}));
    pressed_.clear();
    pointer_known_ = false;
}

// A PS/2 mouse only tells of movements: what the guest makes of them is its own affair.
void VncServer::pointer(unsigned buttons, int x, int y) {
    PointerEvent event;
    if (pointer_known_) {
        event.dx = x - x_;
        event.dy = y - y_;
    }
    if ((buttons & ~buttons_ & kWheelUp) != 0) event.wheel = -1;
    if ((buttons & ~buttons_ & kWheelDown) != 0) event.wheel = 1;
    event.buttons = to_pointer_buttons(buttons);
    pointer_known_ = true;
    x_ = x;
    y_ = y;
    buttons_ = buttons;
    lose(screen_.pointer(event));
}

}  // namespace banyan
