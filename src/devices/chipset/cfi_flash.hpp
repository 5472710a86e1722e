// CfiFlash: a NOR flash of 8 bits with Intel's command set, as firmware keeps its variables in
// (Intel StrataFlash Memory J3 data sheet, 290667, section 9 "Device commands"; JEDEC JESD68.01 for
// the query table).
//
// While the flash is in read-array mode its bytes are memory, which vCPUs read without the device:
// Bytes says whether they are. Writes always come here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "support/result.hpp"
#include "vm/device.hpp"

namespace banyan {

class CfiFlash final : public Device, public MmioIo {
public:
    static constexpr uint32_t kBlock = 4096;  // bytes that are erased at once

    // Where the bytes are. Called with the device's lock held.
    class Bytes {
    public:
        // Whether vCPUs read the bytes themselves.
        virtual void show(bool readable) = 0;
        // The guest has changed these bytes.
        virtual void changed(uint64_t offset, uint64_t length) = 0;

    protected:
        ~Bytes() = default;
    };
    struct Wiring {
        std::span<std::byte> memory;  // a multiple of kBlock
        Bytes& bytes;
        bool read_only = false;  // programming and erasing fail
    };
    explicit CfiFlash(const Wiring& wiring);

    std::string_view name() const override { return "cfi_flash"; }
    // The bytes stay.
    void reset() override;
    void save(StateWriter& writer) const override;
    Result<void> restore(StateReader& reader) override;

    MmioIo* mmio() override { return this; }
    IoStatus mmio_read(uint64_t offset, unsigned size, uint64_t& value) override;
    IoStatus mmio_write(uint64_t offset, unsigned size, uint64_t value) override;

private:
    // What reads give, and what the next write is.
    enum class Read : uint8_t { array, status, identity, query };
    enum class Next : uint8_t {
        command,
        program,
        erase_confirm,
        lock_confirm,
        count,
        fill,
        confirm
    };
    struct State {
        Read read = Read::array;
        Next next = Next::command;
        uint8_t status = 0x80;  // ready
        // Write to buffer.
        uint8_t fill_left = 0;  // bytes to come, less one
        bool fill_failed = false;
    };

    uint8_t read_byte(uint64_t offset) const;
    uint8_t query(uint64_t offset) const;
    void write_byte(uint64_t offset, uint8_t value);
    void start_command(uint8_t command);
    void expect(Next next);
    void program(uint64_t offset, uint8_t value);
    void erase(uint64_t offset);
    void fill(uint64_t offset, uint8_t value);
    void finish(uint8_t error_bits);
    void fail_sequence();
    void set_read(Read read);

    // wiring
    const std::span<std::byte> memory_;
    Bytes& bytes_;
    const bool read_only_;

    // guest-visible state
    State state_;
};

}  // namespace banyan
