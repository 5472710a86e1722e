// A host with a disk and a CD-ROM drive whose driver offers garbage, and whose media take their
// time and fail now and then.
#include "devices/scsi/scsi_cdrom.hpp"
#include "devices/scsi/scsi_disk.hpp"
#include "devices/virtio/testing/virtio_fuzz.hpp"
#include "devices/virtio/virtio_scsi.hpp"

namespace banyan {
namespace {

constexpr std::array<uint8_t, 16> kFuzzedOps{0x00, 0x12, 0x1a, 0x15, 0x28, 0x2a, 0x35, 0x41,
                                             0x42, 0x43, 0x55, 0x5a, 0x88, 0x8a, 0x93, 0xa0};

// A header and a command block, or a task management function.
void fill_request(GuestMemory& memory, Gpa gpa, FuzzBytes& bytes) {
    std::array<uint8_t, 64> request{};
    if ((bytes.u8() & 3) == 0) {
        request[4] = bytes.u8() % 9;
        request[8] = 1;
        request[9] = bytes.u8() & 1;
    } else {
        request[0] = 1;
        request[1] = bytes.u8() % 3;
        request[3] = bytes.u8() % 2;
        request[19] = kFuzzedOps[bytes.u8() % kFuzzedOps.size()];
        for (size_t i = 20; i < 35; ++i)
            request[i] = bytes.u8() % 4 == 0 ? bytes.u8() : 0;
    }
    (void)memory.write_object(gpa, request);
}

}  // namespace
}  // namespace banyan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FuzzBytes bytes(data, size);
    VirtioBench bench(VirtioFuzz::kRamSize);
    MemoryBlock disk(64 * 1024, (bytes.u8() & 7) == 0);
    MemoryBlock disc(64 * 1024, true);
    std::vector<VirtioScsiUnit> units;
    units.push_back({0, 0, std::make_unique<ScsiDisk>(ScsiUnitConfig{}, disk)});
    units.push_back({1, 1, std::make_unique<ScsiCdrom>(ScsiUnitConfig{}, disc)});
    auto host = std::make_unique<VirtioScsi>(bench.ram.memory(), std::move(units));
    VirtioFuzz fuzz(
        bench, std::move(host),
        [&](FuzzBytes& rest) {
            MemoryBlock& medium = (rest.u8() & 1) != 0 ? disk : disc;
            switch (rest.u8() % 6) {
                case 0: return medium.hold(true);
                case 1: return medium.hold(false);
                case 2: return medium.fail_with(static_cast<BlockStatus>(rest.u8() % 3));
                case 3: return medium.drain();
                default: (void)medium.complete_one();
            }
        },
        [&](Gpa gpa, FuzzBytes& rest) { fill_request(bench.ram.memory(), gpa, rest); });
    fuzz.run(bytes);
    return 0;
}
