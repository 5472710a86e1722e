// A console whose driver offers garbage, with input and output that come and go.
#include <algorithm>

#include "devices/virtio/testing/virtio_fuzz.hpp"
#include "devices/virtio/virtio_console.hpp"

namespace {

// Keeps nothing, and takes only so much.
class LimitedChar final : public banyan::CharBackend {
public:
    size_t write(std::span<const uint8_t> bytes) override {
        const size_t taken = std::min(bytes.size(), room);
        room -= taken;
        return taken;
    }
    size_t room = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FuzzBytes bytes(data, size);
    VirtioBench bench(VirtioFuzz::kRamSize);
    LimitedChar out;
    FakeCharSource source;
    auto made =
        std::make_unique<VirtioConsole>(VirtioConsoleWiring{bench.ram.memory(), out, &source});
    VirtioConsole& console = *made;
    source.connect(console);
    VirtioFuzz fuzz(bench, std::move(made), [&](FuzzBytes& rest) {
        switch (rest.u8() % 4) {
            case 0: return source.send(std::string(rest.u8(), 'i'));
            case 1: out.room += rest.u16(); return;
            case 2: return console.on_writable();
            default: return console.resize(rest.u8(), rest.u8());
        }
    });
    fuzz.run(bytes);
    return 0;
}
