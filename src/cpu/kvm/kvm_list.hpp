// KvmList: one of KVM's structures that end in an array without a length, with room for entries.
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace banyan::kvm {

template <class Header, class Entry, size_t kMost>
class KvmList {
public:
    static_assert(sizeof(Header) % alignof(Entry) == 0, "the array follows the header at once");

    Header& header() { return *reinterpret_cast<Header*>(bytes_.data()); }
    Entry& operator[](size_t i) { return entries()[i]; }
    const Entry& operator[](size_t i) const { return entries()[i]; }
    Entry* entries() { return reinterpret_cast<Entry*>(bytes_.data() + sizeof(Header)); }
    const Entry* entries() const {
        return reinterpret_cast<const Entry*>(bytes_.data() + sizeof(Header));
    }

private:
    alignas(Header) alignas(
        Entry) std::array<std::byte, sizeof(Header) + kMost * sizeof(Entry)> bytes_{};
};

}  // namespace banyan::kvm
