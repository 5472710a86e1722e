// Random command blocks, biased to those that exist, with scatter lists that lie anywhere, for a
// disk and a CD-ROM; the medium fails now and then.
#include <memory>

#include "devices/scsi/scsi_cdrom.hpp"
#include "devices/scsi/scsi_disk.hpp"
#include "devices/scsi/testing/scsi_initiator.hpp"
#include "vm/testing/device_fuzz.hpp"

namespace banyan {
namespace {

constexpr std::array<uint8_t, 40> kOps{0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x1a, 0x1b, 0x1e, 0x25,
                                       0x28, 0x2a, 0x2b, 0x2f, 0x35, 0x41, 0x42, 0x43, 0x46, 0x4a,
                                       0x51, 0x55, 0x5a, 0x88, 0x8a, 0x8f, 0x91, 0x93, 0x9e, 0xa0,
                                       0xa8, 0xaa, 0xbd, 0xbe, 0x28, 0x2a, 0x42, 0x93, 0x15, 0x55};

// Numbers in command blocks are small, or their bytes are anything.
std::vector<uint8_t> random_cdb(FuzzBytes& bytes) {
    std::vector<uint8_t> cdb(16);
    const bool wild = bytes.u8() % 8 == 0;
    cdb[0] = wild ? bytes.u8() : kOps[bytes.u8() % kOps.size()];
    const bool sparse = bytes.u8() % 2 == 0;
    for (size_t i = 1; i < cdb.size(); ++i)
        cdb[i] = sparse && i % 3 == 0 ? 0 : static_cast<uint8_t>(bytes.u8() >> (sparse ? 4 : 0));
    return cdb;
}

std::vector<DmaSegment> random_list(FuzzBytes& bytes) {
    std::vector<DmaSegment> segments(bytes.u8() % 6U);
    for (DmaSegment& segment : segments) {
        const uint8_t where = bytes.u8();
        segment.gpa = Gpa{where % 16 == 0 ? bytes.u64() : bytes.u16()};
        segment.length = 2U + bytes.u16();
    }
    return segments;
}

}  // namespace
}  // namespace banyan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    FuzzBytes bytes(data, size);
    MemoryBlock disk(64 * 1024, (bytes.u8() & 7) == 0);
    std::unique_ptr<ScsiUnit> unit;
    if ((bytes.u8() & 1) != 0) {
        unit = std::make_unique<ScsiDisk>(ScsiUnitConfig{}, disk);
    } else {
        unit = std::make_unique<ScsiCdrom>(ScsiUnitConfig{}, disk);
    }
    ScsiInitiator initiator(*unit);
    while (!bytes.empty()) {
        switch (bytes.u8() % 16) {
            case 0: disk.fail_with(static_cast<BlockStatus>(bytes.u8() % 3)); break;
            case 1: unit->reset(); break;
            case 2: BANYAN_ASSERT(unit->restore(ScsiUnitStateV1(unit->state()))); break;
            case 3: {
                const uint32_t text[] = {bytes.u32(), bytes.u32(), bytes.u32()};
                initiator.poke({reinterpret_cast<const char*>(text), sizeof(text)},
                               Gpa{bytes.u16()});
                break;
            }
            default: {
                auto cdb = random_cdb(bytes);
                (void)initiator.send(std::move(cdb), random_list(bytes));
            }
        }
    }
    return 0;
}
