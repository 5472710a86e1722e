// Flow: control flow around the instruction families: conditions, loops, calls, jump tables, and
// where in a page the code lies.
#pragma once

#include "lockstep/families.hpp"

namespace banyan::lockstep {

class Flow {
public:
    Flow(Stream& stream, RandomEncodings& encodings) : s_(stream), encodings_(encodings) {}

    void statements(unsigned count, unsigned depth);
    // Up to `count` instructions in a row.
    void instructions(uint64_t count);
    // Ends with RET. Returns its linear address.
    uint64_t function();

private:
    void statement(unsigned depth);
    void condition(unsigned depth);
    void short_condition();
    void records();
    void loop(unsigned depth);
    void short_loop();
    void call();
    void jump_table(unsigned depth);
    void rare_path(unsigned depth);
    void move_to_page_end();
    void count_down(unsigned depth, Label top, bool in_memory);

    Stream& s_;
    RandomEncodings& encodings_;
};

}  // namespace banyan::lockstep
