// Runs a case in the interpreter: 64-bit user mode, with the pages of the native run and an IDT
// that tells faults.
#pragma once

#include <memory>

#include "conformance/test_case.hpp"

namespace banyan::conformance {

class InterpCpu {
public:
    InterpCpu();
    ~InterpCpu();

    Outcome run(const TestCase& test);

private:
    struct Guest;
    std::unique_ptr<Guest> guest_;
};

}  // namespace banyan::conformance
