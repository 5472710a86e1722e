// Any bytes as a client: the first says what happens between the pieces that follow.
#include <cstddef>
#include <cstdint>
#include <string>

#include "control/gdb/server.hpp"
#include "control/gdb/testing/fake_vm.hpp"

namespace {

using namespace banyan;

class Discard final : public gdb::GdbOutput {
public:
    void send(std::string_view) override {}
};

// Payloads, of which a random checksum would let almost none pass, are framed here.
void converse(gdb::GdbServer& server, gdb::FakeVm& vm, std::string_view text) {
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        server.received(gdb::frame(text.substr(0, end)));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (vm.client != nullptr && !vm.motions.empty())
            vm.client->on_stopped({vm.cpu_count() - 1, DebugStop{DebugEvent::breakpoint}});
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    gdb::FakeVm vm;
    Discard output;
    gdb::GdbServer server(vm, output);
    server.connected();
    server.received(text);
    server.disconnected();
    server.connected();
    converse(server, vm, text);
    server.ended(0);
    return 0;
}
