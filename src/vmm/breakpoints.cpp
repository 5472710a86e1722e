#include "vmm/breakpoints.hpp"

#include <algorithm>

namespace banyan {

namespace {

constexpr std::byte kInt3{0xCC};

bool lies_in(Gpa gpa, Gpa start, size_t size) {
    return gpa >= start && gpa - start < size;
}

}  // namespace

const Breakpoints::Planted* Breakpoints::find(Gpa gpa) const {
    const auto found = std::find_if(planted_.begin(), planted_.end(),
                                    [gpa](const auto& entry) { return entry.second.gpa == gpa; });
    return found == planted_.end() ? nullptr : &found->second;
}

Result<void> Breakpoints::plant(uint64_t linear, Gpa gpa) {
    if (planted_.contains(linear)) return {};
    if (planted_.size() == kMost)
        return fail(ErrorCode::out_of_memory, "too many breakpoints; delete some");
    Planted planted{gpa};
    if (!read(gpa, {&planted.original, 1}) || !memory_.write_object(gpa, kInt3))
        return fail(ErrorCode::not_found, "there is no RAM at the breakpoint; use hbreak");
    planted_.emplace(linear, planted);
    return {};
}

void Breakpoints::lift(uint64_t linear) {
    const auto found = planted_.find(linear);
    if (found == planted_.end()) return;
    const Planted planted = found->second;
    planted_.erase(found);
    if (find(planted.gpa) == nullptr) restore(planted);
}

void Breakpoints::lift_all() {
    for (const auto& [linear, planted] : planted_)
        restore(planted);
    planted_.clear();
}

void Breakpoints::restore(const Planted& planted) {
    std::byte now{};
    if (!memory_.read_object(planted.gpa, now) || now != kInt3) return;
    (void)memory_.write_object(planted.gpa, planted.original);  // it was RAM
}

std::vector<uint64_t> Breakpoints::addresses() const {
    std::vector<uint64_t> all;
    for (const auto& [linear, planted] : planted_)
        all.push_back(linear);
    return all;
}

bool Breakpoints::read(Gpa gpa, std::span<std::byte> to) const {
    if (!memory_.read(gpa, to)) return false;
    for (const auto& [linear, planted] : planted_) {
        if (!lies_in(planted.gpa, gpa, to.size())) continue;
        std::byte& shown = to[planted.gpa - gpa];
        if (shown == kInt3) shown = planted.original;
    }
    return true;
}

bool Breakpoints::write(Gpa gpa, std::span<const std::byte> from) {
    std::vector<std::byte> bytes(from.begin(), from.end());
    for (const auto& [linear, planted] : planted_) {
        if (lies_in(planted.gpa, gpa, bytes.size())) bytes[planted.gpa - gpa] = kInt3;
    }
    if (!memory_.write(gpa, bytes)) return false;
    for (auto& [linear, planted] : planted_) {
        if (lies_in(planted.gpa, gpa, from.size())) planted.original = from[planted.gpa - gpa];
    }
    return true;
}

}  // namespace banyan
