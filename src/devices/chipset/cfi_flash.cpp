#include "devices/chipset/cfi_flash.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "devices/chipset/cfi_flash_state.hpp"
#include "snapshot/state.hpp"
#include "support/assert.hpp"

namespace banyan {

namespace {

// Table 11 "Command bus operations".
enum Command : uint8_t {
    kProgramAlternate = 0x10,
    kEraseBlock = 0x20,
    kProgram = 0x40,
    kClearStatus = 0x50,
    kLockSetup = 0x60,
    kReadStatus = 0x70,
    kReadIdentity = 0x90,
    kReadQuery = 0x98,
    kConfirm = 0xD0,
    kWriteToBuffer = 0xE8,
    kReadArray = 0xFF,
};

// Table 18 "Status register".
constexpr uint8_t kReady = 0x80;
constexpr uint8_t kEraseError = 0x20;
constexpr uint8_t kProgramError = 0x10;
constexpr uint8_t kLockedError = 0x02;

constexpr uint8_t kManufacturer = 0x89;  // Intel
constexpr uint8_t kDevice = 0x18;
constexpr uint32_t kBufferBytes = 32;

// JESD68.01: what begins at address 10h. Sizes are filled in by query().
constexpr uint64_t kQueryStart = 0x10;
constexpr std::array<uint8_t, 33> kQuery{
    'Q',  'R',  'Y',         // 10h
    0x01, 0x00,              // 13h: Intel's extended command set
    0x31, 0x00,              // 15h: its table, of which there is none
    0,    0,    0,    0,     // 17h: no alternate set
    0x45, 0x55, 0x00, 0x00,  // 1Bh: supply voltages
    0x07, 0x07, 0x0A, 0x00,  // 1Fh: times, as powers of two
    0x04, 0x04, 0x04, 0x00,  // 23h
    0,                       // 27h: size, as a power of two
    0x00, 0x00,              // 28h: 8 bits wide
    0x05, 0x00,              // 2Ah: 32 bytes of buffer
    0x01,                    // 2Ch: one region of blocks
    0,    0,    0,    0,     // 2Dh: blocks less one, size of a block by 256
};
constexpr uint64_t kQuerySize = 0x27;
constexpr uint64_t kQueryBlocks = 0x2D;

}  // namespace

CfiFlash::CfiFlash(const Wiring& wiring)
    : memory_(wiring.memory), bytes_(wiring.bytes), read_only_(wiring.read_only) {
    BANYAN_ASSERT(!memory_.empty() && memory_.size() % kBlock == 0);
}

void CfiFlash::reset() {
    state_ = {};
    bytes_.show(true);
}

// The bytes are read by bytes: a wider access is several.
IoStatus CfiFlash::mmio_read(uint64_t offset, unsigned size, uint64_t& value) {
    if (offset + size > memory_.size()) return IoStatus::no_register;
    value = 0;
    for (unsigned i = 0; i < size; ++i)
        value |= uint64_t{read_byte(offset + i)} << (8 * i);
    return IoStatus::ok;
}

IoStatus CfiFlash::mmio_write(uint64_t offset, unsigned size, uint64_t value) {
    if (offset + size > memory_.size()) return IoStatus::no_register;
    for (unsigned i = 0; i < size; ++i)
        write_byte(offset + i, static_cast<uint8_t>(value >> (8 * i)));
    return IoStatus::ok;
}

uint8_t CfiFlash::read_byte(uint64_t offset) const {
    switch (state_.read) {
        case Read::array: return std::to_integer<uint8_t>(memory_[offset]);
        case Read::status: return state_.status;
        case Read::identity:
            if (offset % kBlock > 2) return 0;
            return offset % kBlock == 0   ? kManufacturer
                   : offset % kBlock == 1 ? kDevice
                                          : uint8_t{0};
        case Read::query: return query(offset % kBlock);
    }
    return 0;
}

uint8_t CfiFlash::query(uint64_t offset) const {
    const uint64_t blocks = memory_.size() / kBlock - 1;
    switch (offset) {
        case kQuerySize: return static_cast<uint8_t>(std::bit_width(memory_.size() - 1));
        case kQueryBlocks: return static_cast<uint8_t>(blocks);
        case kQueryBlocks + 1: return static_cast<uint8_t>(blocks >> 8);
        case kQueryBlocks + 2: return static_cast<uint8_t>(kBlock / 256);
        default: break;
    }
    if (offset < kQueryStart || offset - kQueryStart >= kQuery.size()) return 0;
    return kQuery[offset - kQueryStart];
}

void CfiFlash::write_byte(uint64_t offset, uint8_t value) {
    switch (state_.next) {
        case Next::command: return start_command(value);
        case Next::program: return program(offset, value);
        case Next::erase_confirm: return value == kConfirm ? erase(offset) : fail_sequence();
        // Blocks cannot be locked: both commands succeed.
        case Next::lock_confirm: return finish(0);
        case Next::count:
            if (value >= kBufferBytes) return fail_sequence();
            state_.fill_left = value;
            state_.fill_failed = false;
            state_.next = Next::fill;
            return;
        case Next::fill: return fill(offset, value);
        case Next::confirm:
            if (value != kConfirm) return fail_sequence();
            return finish(state_.fill_failed ? kProgramError | kLockedError : 0);
    }
}

// An unknown command leaves the flash as a read of the array would.
void CfiFlash::start_command(uint8_t command) {
    switch (command) {
        case kProgram:
        case kProgramAlternate: return expect(Next::program);
        case kEraseBlock: return expect(Next::erase_confirm);
        case kLockSetup: return expect(Next::lock_confirm);
        case kWriteToBuffer: return expect(Next::count);
        case kReadStatus: return set_read(Read::status);
        // All bits, even the ready bit until the next operation: OVMF tells flash from ROM by it.
        case kClearStatus: state_.status = 0; return set_read(Read::array);
        case kReadIdentity: return set_read(Read::identity);
        case kReadQuery: return set_read(Read::query);
        default: return set_read(Read::array);
    }
}

// The status is read until a command asks for something else.
void CfiFlash::expect(Next next) {
    state_.next = next;
    set_read(Read::status);
}

// Programming clears bits, never sets them.
void CfiFlash::program(uint64_t offset, uint8_t value) {
    if (read_only_) return finish(kProgramError | kLockedError);
    memory_[offset] &= std::byte{value};
    bytes_.changed(offset, 1);
    finish(0);
}

void CfiFlash::erase(uint64_t offset) {
    if (read_only_) return finish(kEraseError | kLockedError);
    const uint64_t start = offset / kBlock * kBlock;
    std::fill_n(memory_.begin() + static_cast<std::ptrdiff_t>(start), kBlock, std::byte{0xFF});
    bytes_.changed(start, kBlock);
    finish(0);
}

// The buffer's bytes are programmed as they come; the data sheet lets the guest see them only after
// the last command, until which it reads the status.
void CfiFlash::fill(uint64_t offset, uint8_t value) {
    if (read_only_) {
        state_.fill_failed = true;
    } else {
        memory_[offset] &= std::byte{value};
        bytes_.changed(offset, 1);
    }
    if (state_.fill_left == 0) {
        state_.next = Next::confirm;
    } else {
        --state_.fill_left;
    }
}

void CfiFlash::finish(uint8_t error_bits) {
    state_.status = static_cast<uint8_t>(state_.status | kReady | error_bits);
    state_.next = Next::command;
}

void CfiFlash::fail_sequence() {
    finish(kProgramError | kEraseError);
}

void CfiFlash::set_read(Read read) {
    const bool was_array = state_.read == Read::array;
    state_.read = read;
    if (was_array != (read == Read::array)) bytes_.show(!was_array);
}

void CfiFlash::save(StateWriter& writer) const {
    CfiFlashStateV1 saved;
    saved.read = static_cast<uint8_t>(state_.read);
    saved.next = static_cast<uint8_t>(state_.next);
    saved.status = state_.status;
    saved.fill_left = state_.fill_left;
    saved.fill_failed = state_.fill_failed;
    writer.section(saved);
}

Result<void> CfiFlash::restore(StateReader& reader) {
    reset();
    TRY_ASSIGN(saved, reader.section<CfiFlashStateV1>());
    if (saved.read > static_cast<uint8_t>(Read::query) ||
        saved.next > static_cast<uint8_t>(Next::confirm) || saved.fill_left >= kBufferBytes) {
        return fail(ErrorCode::invalid_data,
                    "load saved state: section 'cfi_flash' has impossible values");
    }
    set_read(static_cast<Read>(saved.read));
    state_.next = static_cast<Next>(saved.next);
    state_.status = saved.status;
    state_.fill_left = saved.fill_left;
    state_.fill_failed = saved.fill_failed;
    return {};
}

}  // namespace banyan
