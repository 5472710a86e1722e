// Msix: the MSI-X vectors of one PCI function: table, pending bits, masks (PCI Local Bus
// Specification 3.0, 6.8.2).
//
// It is the handler of a memory BAR of its own: the table at offset 0, the pending bits at
// pba_offset().
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "support/result.hpp"
#include "vm/device.hpp"
#include "vm/irq.hpp"

namespace banyan {

class Msix final : public MmioIo {
public:
    static constexpr unsigned kMaxVectors = 2048;

    // `vectors` is 1..kMaxVectors.
    Msix(unsigned vectors, MsiSink& sink);

    unsigned vectors() const { return static_cast<unsigned>(table_.size()); }
    uint32_t pba_offset() const { return pba_offset_; }
    uint64_t bar_size() const { return uint64_t{pba_offset_} * 2; }

    // Sends the vector's message, or remembers it as pending while it is masked. Without effect
    // while MSI-X is off and for vectors that do not exist.
    void signal(unsigned vector);

    // From the capability's message control: while `masked`, all vectors are.
    void set_control(bool enabled, bool masked);
    bool enabled() const { return enabled_; }

    IoStatus mmio_read(uint64_t offset, unsigned size, uint64_t& value) override;
    IoStatus mmio_write(uint64_t offset, unsigned size, uint64_t value) override;

    void reset();
    void save(StateWriter& writer) const;
    Result<void> restore(StateReader& reader);

private:
    // The four double words of an entry: address, upper address, data, vector control.
    using Entry = std::array<uint32_t, 4>;

    bool masked(unsigned vector) const;
    void send(unsigned vector) const;
    void send_if_unmasked(unsigned vector);
    uint32_t read_word(uint64_t offset) const;
    void write_word(uint64_t offset, uint32_t value);
    uint32_t read_pending(uint64_t offset) const;

    // configuration
    uint32_t pba_offset_;
    // wiring
    MsiSink& sink_;
    // bookkeeping: copies of the message control register
    bool enabled_ = false;
    bool all_masked_ = false;
    // guest-visible state
    std::vector<Entry> table_;
    std::vector<uint64_t> pending_;
};

}  // namespace banyan
