// A driver that sets the controller up well enough for its commands to arrive, and then does wild
// things: commands, doorbells, registers, resets, saved states, a disk that takes its time.
#include <memory>

#include "devices/storage/testing/nvme_guest.hpp"
#include "vm/testing/device_fuzz.hpp"

namespace {

using namespace banyan;

// Commands with few bits that are wild, so that many get far.
nvme::Command wild_command(FuzzBytes& bytes) {
    nvme::Command command;
    command.opcode = bytes.u8() & 0x0F;
    const uint8_t what = bytes.u8();
    command.flags = (what & 1) != 0 ? bytes.u8() : uint8_t{0};
    command.nsid = (what & 2) != 0 ? bytes.u32() : 1U;
    command.prp1 = (what & 4) != 0 ? bytes.u64() : uint64_t{bytes.u16()} << 6;
    command.prp2 = (what & 8) != 0 ? bytes.u64() : uint64_t{bytes.u16()} << 8;
    command.cdw10 = (what & 16) != 0 ? bytes.u32() : bytes.u16() % 2048U;
    command.cdw11 = (what & 32) != 0 ? bytes.u32() : bytes.u8() & 7U;
    command.cdw12 = (what & 64) != 0 ? bytes.u32() : bytes.u8();
    return command;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    FuzzBytes bytes(data, size);
    NvmeBench bench(64 * 1024, (bytes.u8() & 7) == 0, 512 * 1024);
    NvmeController controller("fuzz", bench.wiring());
    NvmeGuest guest(bench, controller);
    BANYAN_ASSERT(guest.enable());
    BANYAN_ASSERT(guest.create_pair(1) && guest.create_pair(2));

    for (unsigned i = 0; i < 2000 && !bytes.empty(); ++i) {
        const uint8_t what = bytes.u8();
        const unsigned queue = what >> 4 & 3U;
        switch (what & 15) {
            case 0:
            case 1:
            case 2:
            case 3: (void)guest.submit(queue, wild_command(bytes)); break;
            case 4: (void)guest.put(queue, wild_command(bytes)); break;
            case 5: (void)guest.take(queue); break;
            case 6: guest.doorbell(bytes.u8(), bytes.u16() & 31U); break;
            case 7: guest.write(static_cast<nvme::Reg>(bytes.u8() & 0x3C), bytes.u32()); break;
            case 8: (void)guest.read(static_cast<nvme::Reg>(bytes.u8() & 0x38), 8); break;
            case 9:
                (void)bench.ram.memory().write_object(Gpa{bytes.u16() * uint64_t{8}}, bytes.u64());
                break;
            case 10: bench.disk.hold((what & 16) != 0); break;
            case 11: (void)bench.disk.complete_one(); break;
            case 12: bench.disk.fail_with(static_cast<BlockStatus>(bytes.u8() % 3)); break;
            case 13: bench.timers.advance(bytes.u16() * uint64_t{10}); break;
            case 14: controller.config_write(4, 2, what >> 4); break;
            default: {
                if ((what & 16) != 0) {
                    controller.reset();
                    guest.place();
                    (void)guest.enable();
                    break;
                }
                StateWriter writer;
                controller.save(writer);
                auto state = writer.take();
                if ((what & 32) != 0) state[bytes.u16() % state.size()] ^= std::byte{bytes.u8()};
                StateReader reader(state);
                (void)controller.restore(reader);
            }
        }
    }
    controller.drain();
    return 0;
}
