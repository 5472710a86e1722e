#include "devices/pci/msix.hpp"

#include <algorithm>

#include "devices/pci/msix_state.hpp"
#include "snapshot/state.hpp"
#include "support/assert.hpp"
#include "support/bits.hpp"

namespace banyan {

namespace {

enum Word : uint8_t { kAddress = 0, kUpperAddress = 1, kData = 2, kVectorControl = 3 };
constexpr uint32_t kEntrySize = 16;
constexpr uint32_t kMasked = 1;  // the only writable bit of vector control
constexpr std::array<uint32_t, 4> kPowerOnEntry{0, 0, 0, kMasked};  // 6.8.2.9: masked after reset

uint32_t pba_offset_for(unsigned vectors) {
    BANYAN_ASSERT(vectors >= 1 && vectors <= Msix::kMaxVectors);
    // Half a BAR each, and a BAR of at least a page so that no other function shares it.
    return std::max(std::bit_ceil(vectors * kEntrySize), 2048U);
}

}  // namespace

Msix::Msix(unsigned vectors, MsiSink& sink)
    : pba_offset_(pba_offset_for(vectors)),
      sink_(sink),
      table_(vectors, kPowerOnEntry),
      pending_((vectors + 63) / 64) {}

void Msix::reset() {
    std::fill(table_.begin(), table_.end(), kPowerOnEntry);
    std::fill(pending_.begin(), pending_.end(), 0);
    enabled_ = false;
    all_masked_ = false;
}

void Msix::signal(unsigned vector) {
    if (!enabled_ || vector >= table_.size()) return;
    if (masked(vector)) {
        pending_[vector / 64] |= bit(vector % 64);
    } else {
        send(vector);
    }
}

void Msix::set_control(bool enabled, bool masked) {
    enabled_ = enabled;
    all_masked_ = masked;
    for (unsigned vector = 0; vector < table_.size(); ++vector)
        send_if_unmasked(vector);
}

bool Msix::masked(unsigned vector) const {
    return all_masked_ || (table_[vector][kVectorControl] & kMasked) != 0;
}

void Msix::send(unsigned vector) const {
    const Entry& entry = table_[vector];
    sink_.send_msi({uint64_t{entry[kUpperAddress]} << 32 | entry[kAddress], entry[kData]});
}

// 6.8.2.10: a pending vector is sent as soon as it is unmasked.
void Msix::send_if_unmasked(unsigned vector) {
    uint64_t& word = pending_[vector / 64];
    if (!enabled_ || !has_bit(word, vector % 64) || masked(vector)) return;
    word &= ~bit(vector % 64);
    send(vector);
}

uint32_t Msix::read_word(uint64_t offset) const {
    if (offset >= pba_offset_) return read_pending(offset - pba_offset_);
    const uint64_t vector = offset / kEntrySize;
    return vector < table_.size() ? table_[vector][(offset % kEntrySize) / 4] : 0;
}

uint32_t Msix::read_pending(uint64_t offset) const {
    const uint64_t index = offset / 8;
    if (index >= pending_.size()) return 0;
    return static_cast<uint32_t>(pending_[index] >> (offset % 8 * 8));
}

void Msix::write_word(uint64_t offset, uint32_t value) {
    const uint64_t vector = offset / kEntrySize;
    if (offset >= pba_offset_ || vector >= table_.size())
        return;  // 6.8.2.10: pending bits are read-only
    const auto word = static_cast<Word>(offset % kEntrySize / 4);
    if (word == kAddress) value &= ~3U;  // 6.8.2.6: the low two bits are zero
    if (word == kVectorControl) value &= kMasked;
    table_[vector][word] = value;
    if (word == kVectorControl) send_if_unmasked(static_cast<unsigned>(vector));
}

// 6.8.2: software uses aligned accesses of 4 or 8 bytes.
IoStatus Msix::mmio_read(uint64_t offset, unsigned size, uint64_t& value) {
    if (size < 4 || !is_aligned<uint64_t>(offset, size)) return IoStatus::bad_size;
    value = read_word(offset);
    if (size == 8) value |= uint64_t{read_word(offset + 4)} << 32;
    return IoStatus::ok;
}

IoStatus Msix::mmio_write(uint64_t offset, unsigned size, uint64_t value) {
    if (size < 4 || !is_aligned<uint64_t>(offset, size)) return IoStatus::bad_size;
    write_word(offset, static_cast<uint32_t>(value));
    if (size == 8) write_word(offset + 4, static_cast<uint32_t>(value >> 32));
    return IoStatus::ok;
}

void Msix::save(StateWriter& writer) const {
    MsixStateV1 state;
    for (const Entry& entry : table_)
        state.table.insert(state.table.end(), entry.begin(), entry.end());
    state.pending = pending_;
    writer.section(state);
}

Result<void> Msix::restore(StateReader& reader) {
    TRY_ASSIGN(state, reader.section<MsixStateV1>());
    if (state.table.size() != table_.size() * 4 || state.pending.size() != pending_.size()) {
        return fail(ErrorCode::invalid_data,
                    "load saved state: MSI-X: the number of vectors differs");
    }
    if (table_.size() % 64 != 0 && state.pending.back() >> (table_.size() % 64) != 0) {
        return fail(ErrorCode::invalid_data,
                    "load saved state: MSI-X: a vector is pending that does not exist");
    }
    for (unsigned i = 0; i < state.table.size(); ++i) {
        const unsigned word = i % 4;
        const uint32_t writable = word == kAddress ? ~3U : word == kVectorControl ? kMasked : ~0U;
        table_[i / 4][word] = state.table[i] & writable;
    }
    pending_ = state.pending;
    return {};
}

}  // namespace banyan
