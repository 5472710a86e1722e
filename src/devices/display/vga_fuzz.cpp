// Random accesses to ports, the window, and both BARs, in any mode, with pictures in between.
#include "devices/display/testing/vga_board.hpp"
#include "vm/testing/device_fuzz.hpp"

namespace {

using namespace banyan;

void set_random_mode(FuzzBytes& bytes, VgaBoard& board) {
    switch (bytes.u8() % 6) {
        case 0: return board.set_mode(vga_modes::kText);
        case 1: return board.set_mode(vga_modes::kCga4);
        case 2: return board.set_mode(vga_modes::kPlanar640x480);
        case 3: return board.set_mode(vga_modes::kMode13h);
        case 4: return board.set_dispi_mode(bytes.u16(), bytes.u16(), bytes.u8());
        default: return board.set_dispi_mode(640, 200, 8U * (bytes.u8() % 5));
    }
}

void look(VgaBoard& board, DisplayFrame& frame) {
    const DisplayChange change = board.vga.update(frame);
    BANYAN_ASSERT(change.first <= change.end && change.end <= frame.height);
    BANYAN_ASSERT(frame.pixels.size() == size_t{frame.width} * frame.height);
    std::string text;
    (void)board.vga.text(text);
}

void access_memory(FuzzBytes& bytes, VgaBoard& board) {
    const unsigned size = 1U << bytes.u8() % 4;
    const uint64_t at = bytes.u32() & ~uint64_t{size - 1};
    switch (bytes.u8() % 4) {
        case 0: return board.write(at % Vga::kWindowSize, bytes.u64(), size);
        case 1: (void)board.read(at % Vga::kWindowSize, size); return;
        case 2: {  // as a vCPU does, without the device
            const uint64_t value = bytes.u64();
            std::memcpy(board.memory.data() + at % board.memory.size(), &value, size);
            return;
        }
        default: (void)board.mapper.read(VgaBoard::kRegisters + at % Vga::kRegisterBarSize, size);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    VgaBoard board(256 << 10);
    FakeTimerService timers(board.clock);
    FuzzBytes bytes(data, size);
    DisplayFrame frame;
    unsigned looks = 0;
    DeviceFuzzOptions options;
    options.other_action = [&](FuzzBytes& rest) {
        switch (rest.u8() % 8) {
            case 0: return set_random_mode(rest, board);
            case 1:
                if (++looks < 4) look(board, frame);
                return;
            case 2: return board.place_bars();
            case 3:
                (void)board.mapper.write(VgaBoard::kRegisters + rest.u16() % Vga::kRegisterBarSize,
                                         2, rest.u16());
                return;
            case 4: return board.dispi(rest.u8() % 12U, rest.u16());
            default: return access_memory(rest, board);
        }
    };
    fuzz_device(bytes, board.vga, timers, options);
    return 0;
}
