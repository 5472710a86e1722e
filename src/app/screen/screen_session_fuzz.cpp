// Requests that a client may send, in any pieces.
#include <cstddef>
#include <cstdint>

#include "app/screen/screen_session.hpp"
#include "app/screen/testing/fake_screen.hpp"
#include "support/assert.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FakeScreen screen;
    RecordingInput input;
    size_t sent = 0;
    ScreenSession session({.display = &screen,
                           .input = &input,
                           .send = [&](std::string_view bytes) { sent += bytes.size(); }});
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const size_t half = size / 2;
    session.received(bytes.substr(0, half));
    session.received(bytes.substr(half));
    BANYAN_ASSERT(sent <= 128 * (size + 1));
    return 0;
}
