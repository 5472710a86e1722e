// A guest that does wild things to a whole board: ports, memory-mapped registers, configuration
// space, rings in its own memory, time, resets, saved states, and a disk that comes and goes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "machine/boards/board_testing.hpp"
#include "snapshot/state.hpp"
#include "vm/testing/device_fuzz.hpp"

namespace {

using namespace banyan;

constexpr unsigned kCpus = 2;
constexpr unsigned kMaxActions = 2000;

// Addresses at which something is, so that few accesses go to nobody.
uint64_t choose_address(FuzzBytes& bytes) {
    constexpr uint64_t kPlaces[] = {0xE0000000, 0xE0008000, 0xE0010000, 0xE0018000, 0xFEC00000,
                                    0xFED00000, 0xFEE00000, 0xC0000000, 0xC0004000, 0xC0008000,
                                    0xC000C000, 0xC0010000, 0xA0000,    0xB8000,    0xE00F0000};
    return kPlaces[bytes.u8() % std::size(kPlaces)] + (bytes.u16() & 0x1FFF);
}

uint16_t choose_port(FuzzBytes& bytes) {
    constexpr uint16_t kPlaces[] = {0x20,  0xA0,  0x40,  0x60,  0x70,  0x92,  0xB2,
                                    0x00,  0xC0,  0x3F0, 0x3F8, 0x4D0, 0x505, 0x510,
                                    0x600, 0xCC0, 0xCF8, 0x1CE, 0x3B4};
    return static_cast<uint16_t>(kPlaces[bytes.u8() % std::size(kPlaces)] + (bytes.u8() & 0x3F));
}

void write_memory(testing::TestMachine& machine, FuzzBytes& bytes) {
    constexpr uint64_t kRings = 0x100000;
    const uint64_t value = bytes.u64();
    (void)machine.memory.write_object(Gpa{kRings + (bytes.u16() & 0x3FFF)}, value);
}

void receive(testing::TestMachine& machine, FuzzBytes& bytes) {
    const uint8_t text[] = {bytes.u8(), bytes.u8(), bytes.u8()};
    CharClient* console = machine.board->console_client();
    CharClient& client = (bytes.u8() & 1) != 0 ? *console : machine.board->serial_client();
    client.on_receive(text);
}

void save_and_restore(testing::TestMachine& machine) {
    StateWriter writer;
    machine.board->save(writer);
    StateReader reader(writer.bytes());
    BANYAN_ASSERT(machine.board->restore(reader).has_value());
    StateWriter again;
    machine.board->save(again);
    BANYAN_ASSERT(std::ranges::equal(writer.bytes(), again.bytes()));
}

void remove_ejected(testing::TestMachine& machine) {
    for (unsigned device = 0; device < 32; ++device)
        (void)machine.board->remove_ejected(device);
}

void plug_and_unplug(testing::TestMachine& machine, FuzzBytes& bytes) {
    switch (bytes.u8() % 4) {
        case 0: (void)machine.board->plug_disk({&machine.hotplug_disk, "hot"}); return;
        case 1: return machine.board->request_unplug(bytes.u8());
        case 2: return remove_ejected(machine);
        default:
            (void)machine.board->resize_disk(machine.hotplug_disk, [&]() -> Result<void> {
                machine.hotplug_disk.bytes().resize((1U + bytes.u8()) * 4096);
                return {};
            });
    }
}

void act(testing::TestMachine& machine, FuzzBytes& bytes) {
    const uint8_t what = bytes.u8();
    const unsigned cpu = what >> 7;
    CpuIo& io = machine.board->cpu_io(cpu);
    constexpr unsigned kPortSizes[] = {1, 2, 4};
    switch (what & 15) {
        case 0:
        case 1: (void)io.port_read(choose_port(bytes), kPortSizes[bytes.u8() % 3]); break;
        case 2:
        case 3: io.port_write(choose_port(bytes), kPortSizes[bytes.u8() % 3], bytes.u32()); break;
        case 4:
        case 5: (void)io.mmio_read({choose_address(bytes)}, 1 + bytes.u8() % 8); break;
        case 6:
        case 7:
        case 8: io.mmio_write({choose_address(bytes)}, 1 + bytes.u8() % 8, bytes.u64()); break;
        case 9:
        case 10: write_memory(machine, bytes); break;
        case 11: machine.timers.advance(bytes.u32() % 50'000'000); break;
        case 12: (void)machine.board->cpu_interrupts(cpu).acknowledge_interrupt(); break;
        case 13: receive(machine, bytes); break;
        case 14:
            (void)machine.board->cpu_interrupts(cpu).write_apic_msr(0x800 + bytes.u8(),
                                                                    bytes.u64());
            break;
        default:
            if ((what & 0x10) != 0) return machine.board->reset();
            if ((what & 0x20) != 0) return machine.board->press_power_button();
            if ((what & 0x40) != 0) return plug_and_unplug(machine, bytes);
            save_and_restore(machine);
    }
}

// One machine of each kind for all inputs, because making one takes longer than running an input.
// What an input leaves behind is undone by restoring the first state.
class Rig {
public:
    explicit Rig(BoardKind kind) : machine_(kind, kCpus) {
        machine_.add_legacy_parts();
        machine_.config.hotplug_places = 1;
        if (kind == BoardKind::pc) machine_.add_vga();
        BANYAN_ASSERT(machine_.build().has_value());
        BANYAN_ASSERT(machine_.board->prepare_direct_boot().has_value());
        machine_.board->save(first_state_);
    }

    testing::TestMachine& fresh() {
        for (auto& region : machine_.ram)
            std::ranges::fill(region, testing::TestMachine::Page{});
        machine_.clock.set_now(0);
        machine_.serial.clear();
        machine_.console.clear();
        machine_.debugcon.clear();
        for (unsigned device = 0; device < 32; ++device)
            machine_.board->request_unplug(device);
        machine_.board->reset();
        remove_ejected(machine_);
        StateReader reader(first_state_.bytes());
        BANYAN_ASSERT(machine_.board->restore(reader).has_value());
        return machine_;
    }

private:
    testing::TestMachine machine_;
    StateWriter first_state_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static Rig pc(BoardKind::pc);
    static Rig micro(BoardKind::micro);
    FuzzBytes bytes(data, size);
    testing::TestMachine& machine = ((bytes.u8() & 1) != 0 ? pc : micro).fresh();
    for (unsigned i = 0; i < kMaxActions && !bytes.empty(); ++i)
        act(machine, bytes);
    return 0;
}
