// A driver that sets the card up and then does wild things: registers, descriptors, frames from a
// network that is sometimes full, resets, saved states.
#include <string>

#include "devices/net/testing/e1000e_guest.hpp"
#include "vm/testing/device_fuzz.hpp"

namespace {

using namespace banyan;

// Few bits are wild, so that many get far.
e1000e::TransmitDescriptor wild_descriptor(FuzzBytes& bytes) {
    const uint8_t what = bytes.u8();
    e1000e::TransmitDescriptor descriptor;
    descriptor.low = (what & 1) != 0 ? bytes.u64() : uint64_t{bytes.u16()} << 4;
    descriptor.command = (what & 2) != 0 ? bytes.u32() : bytes.u16() | uint32_t{bytes.u8()} << 24;
    descriptor.high = bytes.u32();
    return descriptor;
}

std::string wild_frame(FuzzBytes& bytes) {
    const uint8_t what = bytes.u8();
    std::string frame((what & 1) != 0 ? bytes.u16() : bytes.u8(), '\0');
    for (size_t i = 0; i < frame.size() && i < 20; ++i)
        frame[i] = static_cast<char>(bytes.u8());
    return frame;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    FuzzBytes bytes(data, size);
    E1000eBench bench;
    E1000eGuest guest(bench);
    guest.enable();
    for (unsigned i = 0; i < 1000 && !bytes.empty(); ++i) {
        const uint8_t what = bytes.u8();
        switch (what & 15) {
            case 0:
            case 1: guest.write(bytes.u16() & 0x5FFCU, bytes.u32()); break;
            case 2: (void)guest.read(bytes.u16() & 0x7FFCU); break;
            case 3:
            case 4: guest.put_transmit(wild_descriptor(bytes)); break;
            case 5: guest.ring_bell(); break;
            case 6:
            case 7: (void)bench.network.deliver({wild_frame(bytes)}); break;
            case 8: bench.network.room = bytes.u8(); break;
            case 9:
                if (bench.network.client() != nullptr) bench.network.client()->on_send_room();
                break;
            case 10: guest.write(e1000e::RCTL, bytes.u32() | 2); break;
            case 11: guest.put(uint64_t{bytes.u16()} << 3, bytes.u64()); break;
            case 12: guest.write(e1000e::RDT, bytes.u8() & 7U); break;
            case 13: guest.card.config_write(4, 2, what >> 4); break;
            case 14:
                guest.card.reset();
                guest.place();
                guest.enable();
                break;
            default: {
                bench.network.sent.clear();
                StateWriter writer;
                guest.card.save(writer);
                auto state = writer.take();
                if ((what & 32) != 0) state[bytes.u16() % state.size()] ^= std::byte{bytes.u8()};
                StateReader reader(state);
                (void)guest.card.restore(reader);
            }
        }
    }
    return 0;
}
