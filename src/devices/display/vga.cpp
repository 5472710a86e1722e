#include "devices/display/vga.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "devices/display/vga_dispi.hpp"
#include "devices/display/vga_renderer.hpp"
#include "devices/display/vga_text_mode.hpp"
#include "snapshot/state.hpp"
#include "support/assert.hpp"

namespace banyan {

using namespace vga;

namespace {

constexpr PciIdentity kVgaIdentity{
    .vendor = 0x1234,
    .device = 0x1111,
    .subsystem_vendor = 0x1AF4,
    .subsystem = 0x1100,
    .class_code = 0x030000,
    .revision = 2,  // has BAR 2 with all of its registers
    .interrupt_pin = 0,
};

constexpr std::array<PortRange, 2> kVgaPorts{
    {{kFirstPort, kPortCount}, {kDispiIndexPort, kDispiOldDataPort - kDispiIndexPort + 1}}};

// BAR 2 (QEMU, standard-vga.rst, "Memory area 2").
constexpr uint64_t kBarVga = 0x400;  // ports 3C0h..3DFh
constexpr uint64_t kBarVgaEnd = 0x420;
constexpr uint64_t kBarDispi = 0x500;  // 16 bits each
constexpr uint64_t kBarDispiEnd = kBarDispi + 2 * dispi::kCount;
constexpr uint64_t kBarExtended = 0x600;  // 32 bits each: their size, the byte order
constexpr uint32_t kExtendedSize = 8;
constexpr uint32_t kLittleEndian = 0x1E1E1E1E;
constexpr uint16_t kBarFirstPort = 0x3C0;

constexpr size_t kStatePage = sizeof(VgaPageState::words);

// Each byte is equal to the one before it, and the first is zero.
bool all_zero(std::span<const std::byte> page) {
    return page[0] == std::byte{0} &&
           std::memcmp(page.data(), page.data() + 1, page.size() - 1) == 0;
}

}  // namespace

Vga::Vga(const Wiring& wiring)
    : PciFunction(kVgaIdentity, wiring.pci),
      clock_(wiring.clock),
      memory_(wiring.memory),
      rom_(wiring.rom),
      registers_(state_, clock_),
      planes_(state_, memory_),
      window_(planes_),
      register_bar_(*this) {
    BANYAN_ASSERT(std::has_single_bit(memory_.size()) && memory_.size() >= kPlanes * kPlaneSize);
    declare_ram_bar(0, PciBarKind::memory32, memory_);
    declare_memory_bar(2, PciBarKind::memory32, kRegisterBarSize, register_bar_);
    declare_legacy_ports();
    if (!rom_.empty()) declare_rom(rom_);
}

std::span<const PortRange> Vga::port_ranges() const {
    return kVgaPorts;
}

void Vga::reset() {
    reset_config();
    state_ = {};
    clear_memory();
}

// Pages that were never written are left alone: the host has not given any memory for them.
void Vga::clear_memory() {
    for (size_t at = 0; at < memory_.size(); at += kStatePage) {
        const auto page = memory_.subspan(at, kStatePage);
        if (!all_zero(page)) std::fill(page.begin(), page.end(), std::byte{0});
    }
}

IoStatus Vga::port_read(uint16_t port, unsigned size, uint32_t& value) {
    if (port < kFirstPort) return dispi_port_read(port, size, value);
    if (size != 1) return IoStatus::bad_size;
    uint8_t byte = 0;
    const IoStatus status = registers_.read(port, byte);
    value = byte;
    return status;
}

IoStatus Vga::port_write(uint16_t port, unsigned size, uint32_t value) {
    if (port < kFirstPort) return dispi_port_write(port, size, value);
    if (size != 1) return IoStatus::bad_size;
    return registers_.write(port, static_cast<uint8_t>(value));
}

// Words; a register at an odd port is not split.
IoStatus Vga::dispi_port_read(uint16_t port, unsigned size, uint32_t& value) const {
    if (size != 2) return IoStatus::no_register;
    value = port == kDispiIndexPort ? state_.dispi_index : read_dispi(state_, memory_.size());
    return IoStatus::ok;
}

IoStatus Vga::dispi_port_write(uint16_t port, unsigned size, uint32_t value) {
    if (size != 2) return IoStatus::no_register;
    const auto word = static_cast<uint16_t>(value);
    if (port == kDispiIndexPort) {
        state_.dispi_index = word;
    } else {
        write_dispi(state_, memory_, word);
    }
    return IoStatus::ok;
}

// Through BAR 2 the index register keeps its value.
uint16_t Vga::read_dispi_at(uint16_t index) {
    const uint16_t before = std::exchange(state_.dispi_index, index);
    const uint16_t value = read_dispi(state_, memory_.size());
    state_.dispi_index = before;
    return value;
}

void Vga::write_dispi_at(uint16_t index, uint16_t value) {
    const uint16_t before = std::exchange(state_.dispi_index, index);
    write_dispi(state_, memory_, value);
    state_.dispi_index = before;
}

IoStatus Vga::Window::mmio_read(uint64_t offset, unsigned size, uint64_t& value) {
    if (offset + size > kWindowSize) return IoStatus::no_register;
    value = 0;
    for (unsigned i = 0; i < size; ++i)
        value |= uint64_t{planes_.read(offset + i)} << (8 * i);
    return IoStatus::ok;
}

IoStatus Vga::Window::mmio_write(uint64_t offset, unsigned size, uint64_t value) {
    if (offset + size > kWindowSize) return IoStatus::no_register;
    for (unsigned i = 0; i < size; ++i)
        planes_.write(offset + i, static_cast<uint8_t>(value >> (8 * i)));
    return IoStatus::ok;
}

IoStatus Vga::RegisterBar::mmio_read(uint64_t offset, unsigned size, uint64_t& value) {
    value = 0;
    if (offset + size <= kEdidSize) {
        std::memcpy(&value, vga_.edid_.data() + offset, size);
    } else if (offset >= kBarVga && offset + size <= kBarVgaEnd) {
        for (unsigned i = 0; i < size; ++i) {
            uint8_t byte = 0xFF;
            (void)vga_.registers_.read(
                static_cast<uint16_t>(kBarFirstPort + (offset - kBarVga) + i), byte);
            value |= uint64_t{byte} << (8 * i);
        }
    } else if (offset >= kBarDispi && offset + size <= kBarDispiEnd && size == 2) {
        value = vga_.read_dispi_at(static_cast<uint16_t>((offset - kBarDispi) / 2));
    } else if (offset == kBarExtended && size == 4) {
        value = kExtendedSize;
    } else if (offset == kBarExtended + 4 && size == 4) {
        value = kLittleEndian;
    } else {
        return size == 8 ? IoStatus::bad_size : IoStatus::no_register;
    }
    return IoStatus::ok;
}

// The EDID is the monitor's; the byte order of a PC's screen stays.
IoStatus Vga::RegisterBar::mmio_write(uint64_t offset, unsigned size, uint64_t value) {
    if (offset >= kBarVga && offset + size <= kBarVgaEnd) {
        for (unsigned i = 0; i < size; ++i)
            (void)vga_.registers_.write(
                static_cast<uint16_t>(kBarFirstPort + (offset - kBarVga) + i),
                static_cast<uint8_t>(value >> (8 * i)));
    } else if (offset >= kBarDispi && offset + size <= kBarDispiEnd && size == 2) {
        vga_.write_dispi_at(static_cast<uint16_t>((offset - kBarDispi) / 2),
                            static_cast<uint16_t>(value));
    } else if (size == 8) {
        return IoStatus::bad_size;
    }
    return IoStatus::ok;
}

DisplayChange Vga::update(DisplayFrame& frame) {
    FrameWriter writer(frame);
    render({state_, memory_, clock_.now_ns()}, writer);
    return writer.change();
}

bool Vga::text(std::string& to) {
    return screen_text({state_, memory_, clock_.now_ns()}, to);
}

void Vga::set_text_mode() {
    banyan::set_text_mode(state_, memory_, find_text_font(rom_));
}

void Vga::save(StateWriter& writer) const {
    save_config(writer);
    writer.section(VgaStateV1{state_});
    VgaMemoryStateV1 memory;
    for (size_t at = 0; at < memory_.size(); at += kStatePage) {
        if (all_zero(memory_.subspan(at, kStatePage))) continue;
        VgaPageState& page = memory.pages.emplace_back();
        page.number = static_cast<uint32_t>(at / kStatePage);
        std::memcpy(page.words.data(), memory_.data() + at, kStatePage);
    }
    writer.section(memory);
}

Result<void> Vga::restore(StateReader& reader) {
    reset();
    auto result = apply(reader);
    if (!result) reset();
    return result;
}

Result<void> Vga::apply(StateReader& reader) {
    TRY(restore_config(reader));
    TRY_ASSIGN(registers, reader.section<VgaStateV1>());
    TRY_ASSIGN(memory, reader.section<VgaMemoryStateV1>());
    bool possible = is_possible(registers.registers);
    for (const VgaPageState& page : memory.pages)
        possible &= page.number < memory_.size() / kStatePage;
    if (!possible)
        return fail(ErrorCode::invalid_data, "load saved state: a register of 'vga' is impossible");
    state_ = registers.registers;
    for (const VgaPageState& page : memory.pages)
        std::memcpy(memory_.data() + page.number * kStatePage, page.words.data(), kStatePage);
    return {};
}

}  // namespace banyan
