// The socket device with a driver whose packets are half right, and a host whose ends come, go and
// are full at any time.
#include "devices/virtio/testing/virtio_fuzz.hpp"
#include "devices/virtio/virtio_vsock.hpp"
#include "vm/testing/fake_vsock.hpp"

namespace {

using namespace banyan;

constexpr uint64_t kFuzzCid = 3;

// Few ports, so that packets meet connections.
void write_header(GuestMemory& memory, Gpa gpa, FuzzBytes& bytes) {
    virtio::VsockHeader header;
    header.src_cid = (bytes.u8() & 15) != 0 ? kFuzzCid : bytes.u64();
    header.dst_cid = (bytes.u8() & 15) != 0 ? virtio::kVsockHostCid : bytes.u64();
    header.src_port = bytes.u8() % 4U;
    header.dst_port = bytes.u8() % 4U + ((bytes.u8() & 1) != 0 ? 0x4000'0000U : 0U);
    header.len = (bytes.u8() & 3) != 0 ? bytes.u8() : bytes.u32();
    header.type = static_cast<uint16_t>((bytes.u8() & 15) != 0 ? 1 : bytes.u16());
    header.op = static_cast<uint16_t>(bytes.u8() % 10);
    header.flags = bytes.u8() % 4U;
    header.buf_alloc = (bytes.u8() & 3) != 0 ? bytes.u16() : bytes.u32();
    header.fwd_cnt = bytes.u8() % 32U;
    (void)memory.write_object(gpa, header);
}

void disturb(FakeVsock& host, VirtioVsock& vsock, FuzzBytes& bytes) {
    if ((bytes.u8() & 7) == 0) return vsock.on_connect(bytes.u8() % 4U, host.make(1));
    if ((bytes.u8() & 15) == 0) return vsock.hold((bytes.u8() & 1) != 0);
    if (host.peers.empty()) return;
    FakeVsockPeer& peer = *host.peers[bytes.u8() % host.peers.size()];
    peer.to_guest.append(bytes.u8(), 'x');
    peer.room = bytes.u8();
    peer.ends = (bytes.u8() & 7) == 0;
    peer.gone = (bytes.u8() & 7) == 0;
    vsock.on_stream_ready((bytes.u8() & 15) != 0 ? peer.cookie : bytes.u32(), {true, true});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    FuzzBytes bytes(data, size);
    VirtioBench bench(VirtioFuzz::kRamSize);
    FakeVsock host;
    auto owned =
        std::make_unique<VirtioVsock>(kFuzzCid, VirtioVsockWiring{bench.ram.memory(), host});
    VirtioVsock& vsock = *owned;
    VirtioFuzz fuzz(
        bench, std::move(owned), [&](FuzzBytes& rest) { disturb(host, vsock, rest); },
        [&](Gpa gpa, FuzzBytes& rest) { write_header(bench.ram.memory(), gpa, rest); });
    fuzz.run(bytes);
    return 0;
}
