// Names of register bits. Source: Intel SDM vol. 1 section 3.4.3 (EFLAGS), vol. 3 section 2.5
// (control registers), vol. 4 (MSRs); AMD APM vol. 2 for EFER and SYSCALL.
#pragma once

#include <cstdint>

namespace banyan::x86 {

// General registers in encoding order.
enum Gpr : uint8_t {
    kRax,
    kRcx,
    kRdx,
    kRbx,
    kRsp,
    kRbp,
    kRsi,
    kRdi,
    kR8,
    kR9,
    kR10,
    kR11,
    kR12,
    kR13,
    kR14,
    kR15
};

// Segment registers in encoding order.
enum Segment : uint8_t { kEs, kCs, kSs, kDs, kFs, kGs };
inline constexpr unsigned kSegmentCount = 6;

enum Flag : uint32_t {
    kCf = 1U << 0,
    kFlagsFixed = 1U << 1,  // reads as one
    kPf = 1U << 2,
    kAf = 1U << 4,
    kZf = 1U << 6,
    kSf = 1U << 7,
    kTf = 1U << 8,
    kIf = 1U << 9,
    kDf = 1U << 10,
    kOf = 1U << 11,
    kIopl = 3U << 12,
    kNt = 1U << 14,
    kRf = 1U << 16,
    kVm = 1U << 17,
    kAc = 1U << 18,
    kVif = 1U << 19,
    kVip = 1U << 20,
    kId = 1U << 21,
};
inline constexpr uint32_t kArithmeticFlags = kCf | kPf | kAf | kZf | kSf | kOf;
inline constexpr unsigned kIoplShift = 12;

enum Cr0 : uint64_t {
    kCr0Pe = 1U << 0,
    kCr0Mp = 1U << 1,
    kCr0Em = 1U << 2,
    kCr0Ts = 1U << 3,
    kCr0Et = 1U << 4,
    kCr0Ne = 1U << 5,
    kCr0Wp = 1U << 16,
    kCr0Am = 1U << 18,
    kCr0Nw = 1U << 29,
    kCr0Cd = 1U << 30,
    kCr0Pg = 1U << 31,
};

enum Cr4 : uint64_t {
    kCr4Vme = 1U << 0,
    kCr4Pvi = 1U << 1,
    kCr4Tsd = 1U << 2,
    kCr4De = 1U << 3,
    kCr4Pse = 1U << 4,
    kCr4Pae = 1U << 5,
    kCr4Mce = 1U << 6,
    kCr4Pge = 1U << 7,
    kCr4Pce = 1U << 8,
    kCr4OsFxsr = 1U << 9,
    kCr4OsXmmExcpt = 1U << 10,
    kCr4Umip = 1U << 11,
    kCr4La57 = 1U << 12,
    kCr4FsGsBase = 1U << 16,
    kCr4Pcide = 1U << 17,
    kCr4OsXsave = 1U << 18,
    kCr4Smep = 1U << 20,
    kCr4Smap = 1U << 21,
    kCr4Pke = 1U << 22,
};

enum Efer : uint64_t {
    kEferSce = 1U << 0,
    kEferLme = 1U << 8,
    kEferLma = 1U << 10,
    kEferNxe = 1U << 11,
};

enum Xcr0 : uint64_t {
    kXcr0X87 = 1,
    kXcr0Sse = 2,
    kXcr0Avx = 4,
    kXcr0Opmask = 0x20,
    kXcr0ZmmHigh = 0x40,  // bits 511:256 of ZMM0 to ZMM15
    kXcr0HighZmm = 0x80,  // ZMM16 to ZMM31
    kXcr0Avx512 = 0xE0,   // all of these
};

// Exception vectors: Intel SDM vol. 3 table 6-1.
enum class Vector : uint8_t {
    de = 0,
    db = 1,
    nmi = 2,
    bp = 3,
    of = 4,
    br = 5,
    ud = 6,
    nm = 7,
    df = 8,
    ts = 10,
    np = 11,
    ss = 12,
    gp = 13,
    pf = 14,
    mf = 16,
    ac = 17,
    mc = 18,
    xm = 19,
};

// Page-fault error code: Intel SDM vol. 3 section 4.7.
enum PageFaultBit : uint32_t {
    kPfPresent = 1,
    kPfWrite = 2,
    kPfUser = 4,
    kPfReserved = 8,
    kPfFetch = 16,
};

enum Msr : uint32_t {
    kMsrTsc = 0x10,
    kMsrApicBase = 0x1B,
    kMsrFeatureControl = 0x3A,
    kMsrTscAdjust = 0x3B,
    kMsrSpecCtrl = 0x48,
    kMsrPredCmd = 0x49,
    kMsrMicrocodeRevision = 0x8B,
    kMsrMtrrCap = 0xFE,
    kMsrArchCapabilities = 0x10A,
    kMsrSysenterCs = 0x174,
    kMsrSysenterEsp = 0x175,
    kMsrSysenterEip = 0x176,
    kMsrMcgCap = 0x179,
    kMsrMcgStatus = 0x17A,
    kMsrMiscEnable = 0x1A0,
    kMsrMtrrPhysBase0 = 0x200,
    kMsrMtrrFix64k = 0x250,
    kMsrMtrrFix16k80000 = 0x258,
    kMsrMtrrFix16kA0000 = 0x259,
    kMsrMtrrFix4kC0000 = 0x268,
    kMsrPat = 0x277,
    kMsrMtrrDefType = 0x2FF,
    kMsrTscDeadline = 0x6E0,
    kMsrX2ApicFirst = 0x800,
    kMsrX2ApicLast = 0x8FF,
    kMsrEfer = 0xC0000080,
    kMsrStar = 0xC0000081,
    kMsrLstar = 0xC0000082,
    kMsrCstar = 0xC0000083,
    kMsrSfmask = 0xC0000084,
    kMsrFsBase = 0xC0000100,
    kMsrGsBase = 0xC0000101,
    kMsrKernelGsBase = 0xC0000102,
    kMsrTscAux = 0xC0000103,
    // Linux Documentation/virt/kvm/x86/msr.rst
    kMsrKvmWallClockNew = 0x4B564D00,
    kMsrKvmSystemTimeNew = 0x4B564D01,
    kMsrKvmAsyncPfEn = 0x4B564D02,
    kMsrKvmStealTime = 0x4B564D03,
    kMsrKvmPvEoiEn = 0x4B564D04,
    kMsrKvmPollControl = 0x4B564D05,
    kMsrKvmAsyncPfInt = 0x4B564D06,
};

}  // namespace banyan::x86
