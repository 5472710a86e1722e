#include "support/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace banyan {

void assertion_failed(const char* expression, const char* file, int line) {
    std::fprintf(stderr, "banyan: a defect in Banyan: %s:%d: %s does not hold; please report it\n",
                 file, line, expression);
    std::abort();
}

}  // namespace banyan
