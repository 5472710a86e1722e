// A board's side of BARs for tests: one memory space and one port space, in which ranges must not
// overlap.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "devices/pci/pci_function.hpp"
#include "support/assert.hpp"
#include "support/bits.hpp"

namespace banyan {

class FakeBarMapper final : public PciBarMapper {
public:
    struct Range {
        bool ports = false;
        uint64_t start = 0;
        uint64_t size = 0;
        MmioIo* memory = nullptr;
        PortIo* port_handler = nullptr;
    };
    using Key = std::pair<const PciFunction*, unsigned>;

    bool map_memory(PciFunction& function, unsigned bar, Gpa start, uint64_t size,
                    MmioIo& handler) override {
        return add({&function, bar}, {false, start.value, size, &handler, nullptr});
    }
    bool map_ram(PciFunction& function, unsigned bar, Gpa start) override {
        const uint64_t size = function.bars()[bar].ram.size();
        return add({&function, bar}, {false, start.value, size, nullptr, nullptr});
    }
    bool map_ports(PciFunction& function, unsigned bar, PortRange range, PortIo& handler) override {
        return add({&function, bar}, {true, range.first, range.count, nullptr, &handler});
    }
    void unmap(PciFunction& function, unsigned bar) override {
        BANYAN_ASSERT(ranges_.erase({&function, bar}) == 1);  // only what is mapped is unmapped
    }

    const Range* find(const PciFunction& function, unsigned bar) const {
        const auto found = ranges_.find({&function, bar});
        return found == ranges_.end() ? nullptr : &found->second;
    }
    size_t count() const { return ranges_.size(); }
    unsigned maps() const { return maps_; }

    // As a bus does: all ones where nobody answers.
    uint64_t read(uint64_t address, unsigned size) const {
        uint64_t value = ~uint64_t{0};
        const Range* range = at(address);
        if (range == nullptr ||
            range->memory->mmio_read(address - range->start, size, value) != IoStatus::ok) {
            value = ~uint64_t{0};
        }
        return value & size_mask(size);
    }
    IoStatus write(uint64_t address, unsigned size, uint64_t value) const {
        const Range* range = at(address);
        if (range == nullptr) return IoStatus::no_register;
        return range->memory->mmio_write(address - range->start, size, value & size_mask(size));
    }

private:
    bool add(Key key, const Range& range) {
        BANYAN_ASSERT(!ranges_.contains(key));  // unmapped before it is mapped elsewhere
        for (const auto& [other, taken] : ranges_) {
            const bool apart =
                range.start + range.size <= taken.start || taken.start + taken.size <= range.start;
            if (taken.ports == range.ports && !apart) return false;
        }
        ++maps_;
        ranges_.emplace(key, range);
        return true;
    }
    const Range* at(uint64_t address) const {
        for (const auto& [key, range] : ranges_) {
            if (!range.ports && address >= range.start && address - range.start < range.size)
                return &range;
        }
        return nullptr;
    }

    std::map<Key, Range> ranges_;
    unsigned maps_ = 0;
};

}  // namespace banyan
