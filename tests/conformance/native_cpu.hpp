// Runs a case on the host's own processor, in this process, behind signal handlers.
#pragma once

#include "conformance/test_case.hpp"

namespace banyan::conformance {

class NativeCpu {
public:
    NativeCpu();  // maps the pages, installs the handlers; aborts with a message if the host
                  // refuses
    ~NativeCpu();
    NativeCpu(const NativeCpu&) = delete;
    NativeCpu& operator=(const NativeCpu&) = delete;

    Outcome run(const TestCase& test);
};

}  // namespace banyan::conformance
