// What a client may send, in any pieces: as it is, and within a valid talk.
#include <cstddef>
#include <cstdint>

#include "control/qmp/server.hpp"
#include "support/assert.hpp"
#include "vmm/testing/fake_vm.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    if (size == 0) return 0;
    FakeVm vm;
    vm.drives.push_back({.name = "disk0", .file = "/a"});
    qmp::Server server(vm, "0", [] { return qmp::Time(1); });
    size_t sent = 0;
    bool whole_lines = true;
    qmp::Server::Client client(server, [&](std::string_view bytes) {
        sent += bytes.size();
        whole_lines &= bytes.ends_with("\r\n") && qmp::Json::accept(bytes);
    });
    if ((data[0] & 1) != 0) client.received(R"({"execute":"qmp_capabilities"})");
    const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
    const size_t half = bytes.size() / 2;
    client.received(bytes.substr(0, half));
    client.received(bytes.substr(half));
    BANYAN_ASSERT(whole_lines);
    BANYAN_ASSERT(sent <= 4096 * (size + 1));
    return 0;
}
