#include "cpu/interp/debugger.hpp"

#include <algorithm>

namespace banyan::interp {

namespace {

bool is_on_data(const DebugPoint& point) {
    return point.kind != DebugAccess::execute;
}

bool is_touched(const DebugPoint& point, uint64_t linear, uint64_t size) {
    return linear - point.address < point.length || point.address - linear < size;
}

}  // namespace

void Debugger::set(const DebugRequest& request) {
    request_ = request;
    one_by_one_ = request_.single_step ||
                  std::any_of(request_.points.begin(), request_.points.end(), is_on_data);
    hit_.reset();
}

// Instructions that run one by one look for themselves.
bool Debugger::take_new_marks() {
    if (one_by_one_ || request_.points == marked_) return false;
    marked_ = request_.points;
    return true;
}

const DebugPoint* Debugger::execution_point(uint64_t linear) const {
    const auto found = std::find_if(
        request_.points.begin(), request_.points.end(), [linear](const DebugPoint& point) {
            return point.kind == DebugAccess::execute && point.address == linear;
        });
    return found == request_.points.end() ? nullptr : &*found;
}

void Debugger::note_access(uint64_t linear, unsigned size, Access access) {
    for (const DebugPoint& point : request_.points) {
        const bool matches = point.kind == DebugAccess::access ||
                             (point.kind == DebugAccess::write && access == Access::write);
        if (matches && is_touched(point, linear, size)) hit_ = point;
    }
}

std::optional<DebugStop> Debugger::end_instruction() const {
    if (hit_) return DebugStop{DebugEvent::point, *hit_};
    if (request_.single_step) return DebugStop{DebugEvent::step};
    return std::nullopt;
}

bool Debugger::watches(uint64_t linear, uint64_t size) const {
    return std::any_of(request_.points.begin(), request_.points.end(),
                       [=](const DebugPoint& point) {
                           return is_on_data(point) && is_touched(point, linear, size);
                       });
}

}  // namespace banyan::interp
