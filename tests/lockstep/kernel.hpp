// The guest's kernel: descriptor tables, page tables, and the handlers of all vectors.
//
// A handler of an exception writes vector, error code, RIP, CS, RFLAGS without the arithmetic
// flags, RSP, SS and CR2 to the log. Then it repairs the page, or skips the instruction, or, where
// none of the program's instructions begins at RIP, goes on at the address in the control page.
//
// An instruction that is skipped may have been about to overwrite flags that nothing else reads: an
// engine need not have made those. So the skipping handler clears all that the instruction writes.
#pragma once

#include "lockstep/program.hpp"
#include "lockstep/random.hpp"

namespace banyan::lockstep {

// Every case has its own attributes of data pages.
void build_page_tables(Image& image, Random& random);
void build_kernel(Image& image, const Settings& settings);
// Flat segments, the first root, interrupts on, RSP at the top of the stack.
x86::RegisterState initial_state(const Image& image, const Settings& settings, uint64_t entry);

}  // namespace banyan::lockstep
