// Where everything stands in the guest: physical addresses, and the linear windows onto them.
//
// kKernelWindow maps the first two megabytes for the supervisor, kUserWindow parts of them for user
// mode, each at its own offset; the two megabytes above are one large page behind both. There are
// two page-table roots: their user windows map some data pages differently.
#pragma once

#include <cstdint>

namespace banyan::lockstep {

inline constexpr uint64_t kPage = 4096;
inline constexpr uint64_t kRamSize = 4 << 20;

inline constexpr uint64_t kKernelWindow = 0xFFFF'8000'0000'0000;
inline constexpr uint64_t kUserWindow = 0x4000'0000;
inline constexpr uint64_t kLargePage = 2 << 20;    // offset in both windows, and physical address
inline constexpr uint64_t kCodeAlias = 0x10'0000;  // kUserWindow + this + kCode: the code again

// The kernel's: descriptor tables, stacks (the names give their tops), handlers.
inline constexpr uint64_t kIdt = 0x1000;
inline constexpr uint64_t kGdt = 0x2000;
inline constexpr uint64_t kTss = 0x3000;
inline constexpr uint64_t kPerCpu = 0x4000;
inline constexpr uint64_t kUncompared = 0x5000;       // one page: what comes at random times
inline constexpr uint64_t kFaultStack = 0x7000;       // IST 1: exceptions
inline constexpr uint64_t kRandomTimeStack = 0x8000;  // IST 2: interrupts at random times
inline constexpr uint64_t kCheckpointStack = 0x9000;  // IST 3
inline constexpr uint64_t kPortStack = 0xA000;        // IST 4: interrupts that port I/O raised
inline constexpr uint64_t kInnerStack = 0xC000;       // RSP0
inline constexpr uint64_t kSyscallStack = 0xE000;
inline constexpr uint64_t kHandlers = 0xE000;
inline constexpr uint64_t kHandlersSize = 0x2000;

inline constexpr uint64_t kRootA = 0x10000;
inline constexpr uint64_t kRootB = 0x11000;
inline constexpr uint64_t kKernelPdpt = 0x12000;
inline constexpr uint64_t kKernelDirectory = 0x13000;
inline constexpr uint64_t kKernelTable = 0x14000;
inline constexpr uint64_t kUserPdptA = 0x15000;  // B's tables follow A's page by page
inline constexpr uint64_t kUserDirectoryA = 0x17000;
inline constexpr uint64_t kUserTableA = 0x19000;

inline constexpr uint64_t kControl = 0x1B000;   // for the program's own use, always there
inline constexpr uint64_t kSyscalls = 0x1C000;  // eight addresses of kernel functions
inline constexpr uint64_t kLog = 0x20000;       // 64 bytes for each exception

// The program: code, and for each of its bytes how to skip the instruction that begins there.
inline constexpr uint64_t kCode = 0x40000;
inline constexpr uint64_t kCodeSize = 0x10000;
inline constexpr uint64_t kLengths = 0x50000;
inline constexpr uint64_t kFlagMasks = 0x60000;
inline constexpr uint64_t kData = 0x80000;
inline constexpr uint64_t kDataPages = 32;
inline constexpr uint64_t kStack = 0xA0000;
inline constexpr uint64_t kStackSize = 0x8000;
inline constexpr uint64_t kScratchCode = 0xB0000;  // writable and executable, for copied code
inline constexpr uint64_t kScratchSize = 0x4000;
inline constexpr uint64_t kRemapPages = 0xB8000;    // two pages of code ...
inline constexpr uint64_t kRemapWindow = 0x1F0000;  // ... that this page of both windows may show

// Members of the per-CPU page.
inline constexpr uint64_t kPerCpuExceptions = 0x00;
inline constexpr uint64_t kPerCpuUserRsp = 0x08;
inline constexpr uint64_t kPerCpuKernelRsp = 0x10;
inline constexpr uint64_t kPerCpuCs = 0x18;
inline constexpr uint64_t kPerCpuSs = 0x20;
inline constexpr uint64_t kPerCpuRsp = 0x28;
inline constexpr uint64_t kPerCpuFsBase = 0x30;
inline constexpr uint64_t kPerCpuGsBase = 0x38;
inline constexpr uint64_t kPerCpuLimit = 0x40;  // of exceptions
inline constexpr uint64_t kPerCpuSyscallEntry = 0x48;
inline constexpr uint64_t kPerCpuInterrupts = 0x80;
inline constexpr uint64_t kPerCpuServices = 0x100;
// Of the control page.
inline constexpr uint64_t kControlResume = 0x00;  // where to go on when control was lost
inline constexpr uint64_t kControlRsp = 0x08;
inline constexpr uint64_t kControlTable = 0x100;  // pointers for indirect branches
inline constexpr uint64_t kControlCounters = 0x200;
// Of the uncompared page.
inline constexpr uint64_t kWoken = 0x00;
inline constexpr uint64_t kRandomTimeCount = 0x08;
inline constexpr uint64_t kLateCount = 0x10;

inline constexpr uint16_t kKernelCs = 0x08;
inline constexpr uint16_t kKernelSs = 0x10;
inline constexpr uint16_t kUserSs = 0x1B;
inline constexpr uint16_t kUserCs = 0x23;
inline constexpr uint16_t kTssSelector = 0x28;

// Vectors of the guest's own.
inline constexpr uint8_t kServiceVector = 0x30;  // eight: INT n that only counts
inline constexpr uint8_t kServices = 8;
inline constexpr uint8_t kCheckpointVector = 0x40;  // HLT, until kWakeVector
inline constexpr uint8_t kExitVector = 0x41;        // HLT for good
inline constexpr uint8_t kWakeVector = 0x42;
inline constexpr uint8_t kPortVector = 0x50;
inline constexpr uint8_t kPortVectors = 4;
inline constexpr uint8_t kRandomTimeVector = 0x60;

inline constexpr uint16_t kInterruptPort = 0x70;  // OUT of n: vector kPortVector + n % 4
inline constexpr uint16_t kPlainPort = 0x80;

// A page-table entry: the low three as hardware has them, then what the page-fault handler does.
inline constexpr uint64_t kPresent = 1;
inline constexpr uint64_t kWritable = 2;
inline constexpr uint64_t kUserPage = 4;
inline constexpr uint64_t kLarge = 0x80;
inline constexpr uint64_t kGlobal = 0x100;
inline constexpr uint64_t kMapOnFault = 0x200;
inline constexpr uint64_t kWritableOnFault = 0x400;
inline constexpr uint64_t kExecutableOnFault = 0x800;
inline constexpr uint64_t kNoExecute = 1ULL << 63;

}  // namespace banyan::lockstep
