// Random register accesses and whole commands, with DMA that is masked now and then and a disk that
// takes its time and fails.
#include "devices/storage/floppy_controller.hpp"
#include "vm/testing/device_fuzz.hpp"

namespace {

using namespace banyan;

// Moves what it likes.
class FuzzDma final : public DmaSink {
public:
    DmaMoved from_device(unsigned, std::span<const std::byte> bytes) override {
        return move(bytes.size());
    }
    DmaMoved to_device(unsigned, std::span<std::byte> bytes) override { return move(bytes.size()); }
    void set_left(uint32_t left) { left_ = left; }

private:
    DmaMoved move(size_t bytes) {
        const auto moved = static_cast<uint32_t>(std::min<size_t>(bytes, left_));
        left_ -= moved;
        return {moved, moved != 0 && left_ == 0};
    }
    uint32_t left_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    FakeClock clock;
    FakeTimerService timers(clock);
    RecordingIrq irq;
    FuzzDma dma;
    FuzzBytes bytes(data, size);
    // For all inputs: to make one takes longer than to run an input.
    static MemoryBlock small(360 * 1024);
    static MemoryBlock writable(2880 * 1024);
    static MemoryBlock read_only(2880 * 1024, true);
    MemoryBlock& large = (bytes.u8() & 1) != 0 ? read_only : writable;
    for (MemoryBlock* disk : {&small, &large}) {
        disk->hold(false);
        disk->fail_with(BlockStatus::ok);
    }
    FloppyController floppy({clock, timers, irq.line(), {dma, 2}});
    floppy.insert(0, large);
    floppy.insert(1, small);

    DeviceFuzzOptions options;
    options.other_action = [&](FuzzBytes& rest) {
        const uint8_t what = rest.u8();
        MemoryBlock& disk = (what & 0x80) != 0 ? large : small;
        switch (what % 8) {
            case 0: return dma.set_left(rest.u16());
            case 1: return disk.hold((what & 8) != 0);
            case 2:
                return disk.fail_with((what & 8) != 0 ? BlockStatus::io_error : BlockStatus::ok);
            case 3: (void)disk.complete_one(); return;
            default:
                // Out of reset, and a command of some length.
                (void)floppy.port_write(0x3F2, 1, 0x0C);
                for (unsigned i = 0; i < 9; ++i)
                    (void)floppy.port_write(0x3F5, 1, rest.u8());
        }
    };
    fuzz_device(bytes, floppy, timers, options);
    floppy.drain();
    return 0;
}
