// Events and how they combine. Source: Intel SDM vol. 3 chapter 6.
#pragma once

#include "cpu/interp/cpu.hpp"

namespace banyan::interp {

enum class EventClass : uint8_t { benign, contributory, page_fault };

// Intel SDM vol. 3 table 6-4.
constexpr EventClass classify(uint8_t vector) {
    switch (static_cast<x86::Vector>(vector)) {
        case x86::Vector::de:
        case x86::Vector::ts:
        case x86::Vector::np:
        case x86::Vector::ss:
        case x86::Vector::gp: return EventClass::contributory;
        case x86::Vector::pf: return EventClass::page_fault;
        default: return EventClass::benign;
    }
}

// Does a fault of vector `second`, raised while `first` was delivered, make a double fault? Table
// 6-5. (After a double fault, any contributory or page fault shuts the processor down.)
constexpr bool is_double_fault(uint8_t first, uint8_t second) {
    const EventClass a = classify(first);
    const EventClass b = classify(second);
    if (a == EventClass::contributory) return b == EventClass::contributory;
    return a == EventClass::page_fault && b != EventClass::benign;
}

// Exceptions of the fault class show RF set in the flags they push, so that their handler's IRET
// does not run into an execution breakpoint again: section 18.3.1.1. #DB decides for itself.
constexpr bool is_fault(uint8_t vector) {
    switch (static_cast<x86::Vector>(vector)) {
        case x86::Vector::db:
        case x86::Vector::nmi:
        case x86::Vector::bp:
        case x86::Vector::of:
        case x86::Vector::df:
        case x86::Vector::mc: return false;
        default: return vector < 20;
    }
}

// deliver() for an instruction that causes the event itself: cpu.rip is the return address, and
// faults on the way are those of `op`.
[[nodiscard]] bool deliver_event(Cpu& cpu, const Op* op, const Interruption& interruption);

}  // namespace banyan::interp
