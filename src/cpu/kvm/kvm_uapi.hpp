// <linux/kvm.h>, mended for C++.
//
// QUIRK: in the headers of Linux 6.1, arrays without a length stand beside an empty structure,
// whose size is 0 in C and 1 in C++: structures that end in one were too large, and with them the
// numbers of their ioctls wrong. Later headers give C++ the definition that is given here.
#pragma once

#include <linux/stddef.h>
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"  // arrays of length 0
#undef __DECLARE_FLEX_ARRAY
#define __DECLARE_FLEX_ARRAY(T, member) T member[0]
#include <linux/kvm.h>
#pragma GCC diagnostic pop

static_assert(sizeof(kvm_cpuid2) == 8);
static_assert(sizeof(kvm_msrs) == 8);
static_assert(sizeof(kvm_irq_routing) == 8);
static_assert(sizeof(kvm_xsave) == 4096);
