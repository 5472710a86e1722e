// Runs a case in one of our engines: 64-bit user mode, with the pages of the native run and an IDT
// that tells faults.
#pragma once

#include <memory>

#include "conformance/test_case.hpp"

namespace banyan::conformance {

class EngineCpu {
public:
    enum class Kind { interpreter, jit };
    explicit EngineCpu(Kind kind);
    ~EngineCpu();

    Outcome run(const TestCase& test);

private:
    struct Guest;
    std::unique_ptr<Guest> guest_;
};

}  // namespace banyan::conformance
