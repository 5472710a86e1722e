// A network card whose driver offers garbage, on a network that sends and takes what it likes.
#include "devices/virtio/testing/virtio_fuzz.hpp"
#include "devices/virtio/virtio_net.hpp"
#include "vm/testing/fake_network.hpp"

namespace {

using banyan::FuzzBytes;

banyan::NetFrameInfo any_info(FuzzBytes& bytes) {
    return {.needs_checksum = (bytes.u8() & 1) != 0,
            .checksum_valid = (bytes.u8() & 1) != 0,
            .checksum_start = bytes.u8(),
            .checksum_offset = bytes.u8(),
            .segmentation = static_cast<banyan::NetFrameInfo::Segmentation>(bytes.u8() % 4),
            .ecn = (bytes.u8() & 1) != 0,
            .segment_size = bytes.u8(),
            .header_length = bytes.u8()};
}

std::vector<std::string> any_frames(FuzzBytes& bytes) {
    std::vector<std::string> frames(1 + bytes.u8() % 3U);
    for (std::string& frame : frames) {
        frame.assign(bytes.u16() % 3000U, static_cast<char>(bytes.u8()));
        for (size_t i = 0; i < std::min<size_t>(frame.size(), 24); ++i)
            frame[i] = static_cast<char>(bytes.u8());
    }
    return frames;
}

// A header for a frame, or a command.
void put_start(banyan::VirtioBench& bench, banyan::Gpa gpa, FuzzBytes& bytes) {
    std::array<uint8_t, 16> start{};
    for (uint8_t& byte : start)
        byte = static_cast<uint8_t>((bytes.u8() & 3) != 0 ? bytes.u8() % 8U : bytes.u8());
    (void)bench.ram.memory().write_object(gpa, start);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FuzzBytes bytes(data, size);
    VirtioBench bench(VirtioFuzz::kRamSize);
    FakeNetwork network;
    network.room = bytes.u8();
    const unsigned pairs = 1 + bytes.u8() % 2U;
    VirtioFuzz fuzz(
        bench,
        std::make_unique<VirtioNet>(VirtioNetConfig{.mac = {2}, .mtu = 9000, .queue_pairs = pairs},
                                    VirtioNetWiring{bench.ram.memory(), network}),
        [&](FuzzBytes& rest) {
            if (!network.running()) return;
            switch (rest.u8() % 4) {
                case 0: network.room += rest.u8(); return network.client()->on_send_room();
                case 1: return network.client()->on_link_changed((rest.u8() & 1) != 0);
                default: {
                    const auto frames = any_frames(rest);
                    (void)network.deliver(frames, any_info(rest));
                }
            }
        },
        [&](Gpa gpa, FuzzBytes& rest) { put_start(bench, gpa, rest); });
    fuzz.run(bytes);
    return 0;
}
