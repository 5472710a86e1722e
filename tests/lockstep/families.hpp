// Families: each emits a few instructions of one kind. They return false when this time nothing
// came of it (registers taken, no such encoding).
#pragma once

#include "lockstep/random_encodings.hpp"
#include "lockstep/stream.hpp"

namespace banyan::lockstep {

// integer.cpp
bool emit_integer(Stream& s);
// stack.cpp: all leave RSP where it was.
bool emit_stack(Stream& s);
// strings.cpp
bool emit_string(Stream& s);
// vectors.cpp: instructions by random bytes, mostly SSE, AVX, x87, BMI.
bool emit_encoding(Stream& s, RandomEncodings& encodings);
// records.cpp: fields of records, by a register that goes from one record to another.
class Records {
public:
    explicit Records(Stream& s);
    ~Records();
    Records(const Records&) = delete;
    Records& operator=(const Records&) = delete;

    // To another record, or a few bytes further in this one.
    void move_on();
    void access_field();

private:
    Stream& s_;
    unsigned base_;  // the register
};
// system.cpp: kernel services, page tables, interrupts, ports.
bool emit_system(Stream& s);
// The body of a kernel function that exchanges the two pages of code in the user's window.
inline constexpr uint64_t kRemapFunction = 0;
void emit_remap_function(Stream& s);
// self_modifying.cpp
bool emit_self_modifying(Stream& s);

// Any of the first four.
void emit_instruction(Stream& s, RandomEncodings& encodings);

}  // namespace banyan::lockstep
