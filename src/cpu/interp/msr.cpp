#include "cpu/interp/msr.hpp"

#include "cpu/interp/cpu.hpp"
#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/kvm_clock.hpp"
#include "cpu/interp/msr_vendor.hpp"
#include "cpu/interp/mtrr.hpp"
#include "cpu/interp/system.hpp"
#include "support/log.hpp"

namespace banyan::interp {

uint64_t guest_tsc(const Cpu& cpu) {
    return cpu.clock.tsc() + cpu.msr.tsc_offset;
}

namespace {

bool is_apic(uint32_t index) {
    return index == x86::kMsrApicBase ||
           (index >= x86::kMsrX2ApicFirst && index <= x86::kMsrX2ApicLast);
}

// Registers that hold whatever was written to them.
uint64_t* plain_register(Cpu& cpu, uint32_t index) {
    x86::MsrState& msr = cpu.msr;
    switch (index) {
        case x86::kMsrSysenterCs: return &msr.sysenter_cs;
        case x86::kMsrSysenterEsp: return &msr.sysenter_esp;
        case x86::kMsrSysenterEip: return &msr.sysenter_eip;
        case x86::kMsrMiscEnable: return &msr.misc_enable;
        case x86::kMsrPat: return &msr.pat;
        case x86::kMsrEfer: return &msr.efer;
        case x86::kMsrStar: return &msr.star;
        case x86::kMsrLstar: return &msr.lstar;
        case x86::kMsrCstar: return &msr.cstar;
        case x86::kMsrSfmask: return &msr.sfmask;
        case x86::kMsrFsBase: return &cpu.seg[x86::kFs].base;
        case x86::kMsrGsBase: return &cpu.seg[x86::kGs].base;
        case x86::kMsrKernelGsBase: return &msr.kernel_gs_base;
        case x86::kMsrTscAux: return &msr.tsc_aux;
        case x86::kMsrTscAdjust: return &msr.tsc_adjust;
        case x86::kMsrKvmSystemTimeNew: return &msr.kvm_system_time;
        case x86::kMsrKvmWallClockNew: return &msr.kvm_wall_clock;
        default: return nullptr;
    }
}

bool must_be_canonical(const Cpu& cpu, uint32_t index) {
    switch (index) {
        case x86::kMsrLstar:
        case x86::kMsrCstar:
        case x86::kMsrFsBase:
        case x86::kMsrGsBase:
        case x86::kMsrKernelGsBase: return true;
        // AMD implements 32 bits of these, and checks nothing.
        case x86::kMsrSysenterEsp:
        case x86::kMsrSysenterEip: return !cpu.model.is_amd();
        default: return false;
    }
}

// Intel SDM vol. 3 section 12.12.2: no reserved memory type.
bool pat_allowed(uint64_t value) {
    for (unsigned i = 0; i < 8; ++i) {
        const uint64_t type = value >> (i * 8) & 0xFF;
        if (type > 7 || type == 2 || type == 3) return false;
    }
    return true;
}

// AMD APM vol. 2 section 3.1.7. LMA follows LME and CR0.PG and is not written.
bool write_efer(Cpu& cpu, uint64_t value) {
    uint64_t known = x86::kEferSce | x86::kEferLme | x86::kEferLma;
    if (cpu.model.has(Feature::nx)) known |= x86::kEferNxe;
    if (cpu.model.is_amd()) known |= kEferAutomaticIbrs;
    if ((value & ~known) != 0) return false;
    const uint64_t changed = value ^ cpu.msr.efer;
    if ((changed & x86::kEferLme) != 0 && cpu.paging()) return false;
    cpu.msr.efer = (value & ~uint64_t{x86::kEferLma}) | (cpu.msr.efer & x86::kEferLma);
    if ((changed & x86::kEferNxe) != 0) cpu.flush_tlb();
    cpu.mode_changed();
    return true;
}

bool read_apic(Cpu& cpu, uint32_t index, uint64_t& value) {
    return cpu.wiring.interrupts != nullptr && cpu.wiring.interrupts->read_apic_msr(index, value);
}
bool write_apic(Cpu& cpu, uint32_t index, uint64_t value) {
    return cpu.wiring.interrupts != nullptr && cpu.wiring.interrupts->write_apic_msr(index, value);
}

// The APIC compares the deadline with the machine's counter; 0 stands for "none".
bool read_deadline(Cpu& cpu, uint64_t& value) {
    if (!read_apic(cpu, x86::kMsrTscDeadline, value)) return false;
    if (value != 0) value += cpu.msr.tsc_offset;
    return true;
}
bool write_deadline(Cpu& cpu, uint64_t value) {
    const uint64_t machine = value - cpu.msr.tsc_offset;
    if (value == 0) return write_apic(cpu, x86::kMsrTscDeadline, 0);
    return write_apic(cpu, x86::kMsrTscDeadline, machine != 0 ? machine : 1);
}

// A write to the counter moves TSC_ADJUST along, and the other way round: Intel SDM vol. 3
// section 18.17.3. An armed deadline stays at its value of the guest's counter.
void move_tsc(Cpu& cpu, uint64_t by) {
    uint64_t deadline = 0;
    const bool armed = read_deadline(cpu, deadline) && deadline != 0;
    cpu.msr.tsc_offset += by;
    cpu.msr.tsc_adjust += by;
    if (armed && !write_deadline(cpu, deadline)) {
        LOG_LIMITED(LogLevel::warning, "cpu", "the APIC refuses the deadline it had");
    }
    update_kvm_clock(cpu);
}

void write_system_time(Cpu& cpu, uint64_t value) {
    cpu.msr.kvm_system_time = value;
    update_kvm_clock(cpu);
}

void write_wall_clock(Cpu& cpu, uint64_t value) {
    cpu.msr.kvm_wall_clock = value;
    write_kvm_wall_clock(cpu, value);
}

bool write_plain(Cpu& cpu, uint32_t index, uint64_t value) {
    uint64_t* const target = plain_register(cpu, index);
    if (target == nullptr || (must_be_canonical(cpu, index) && !is_canonical(value))) return false;
    *target = value;
    if (index == x86::kMsrFsBase || index == x86::kMsrGsBase) cpu.mode_changed();
    return true;
}

bool unknown(const char* what, uint32_t index) {
    LOG_LIMITED(LogLevel::debug, "cpu", "%s of MSR 0x%X, which this CPU does not have", what,
                index);
    return false;
}

}  // namespace

bool read_msr(Cpu& cpu, uint32_t index, uint64_t& value) {
    if (is_apic(index)) return read_apic(cpu, index, value);
    if (const uint64_t* const plain = plain_register(cpu, index)) {
        value = *plain;
        return true;
    }
    switch (index) {
        case x86::kMsrTsc: value = guest_tsc(cpu); return true;
        case x86::kMsrTscDeadline: return read_deadline(cpu, value);
        case x86::kMsrMcgCap: value = 0; return true;  // no banks
        case x86::kMsrMcgStatus: value = 0; return true;
        case x86::kMsrMicrocodeRevision: value = microcode_revision(cpu); return true;
        case x86::kMsrKvmPvEoiEn:
            value = cpu.wiring.interrupts != nullptr ? cpu.wiring.interrupts->pv_eoi() : 0;
            return true;
        default: break;
    }
    if (read_mtrr(cpu, index, value) || read_vendor_msr(cpu, index, value)) return true;
    return unknown("read", index);
}

bool write_msr(Cpu& cpu, uint32_t index, uint64_t value) {
    if (is_apic(index)) return write_apic(cpu, index, value);
    switch (index) {
        case x86::kMsrTsc: move_tsc(cpu, value - guest_tsc(cpu)); return true;
        case x86::kMsrTscDeadline: return write_deadline(cpu, value);
        case x86::kMsrTscAdjust: move_tsc(cpu, value - cpu.msr.tsc_adjust); return true;
        case x86::kMsrTscAux: return value >> 32 == 0 && write_plain(cpu, index, value);
        case x86::kMsrEfer: return write_efer(cpu, value);
        case x86::kMsrPat: return pat_allowed(value) && write_plain(cpu, index, value);
        case x86::kMsrMcgStatus: return value == 0;
        case x86::kMsrMicrocodeRevision:
            return true;  // how kernels prepare to read it: Intel SDM vol. 3 section 10.11.7.1
        case x86::kMsrKvmSystemTimeNew: write_system_time(cpu, value); return true;
        case x86::kMsrKvmWallClockNew: write_wall_clock(cpu, value); return true;
        case x86::kMsrKvmPvEoiEn:
            return cpu.wiring.interrupts != nullptr && cpu.wiring.interrupts->set_pv_eoi(value);
        default: break;
    }
    if (plain_register(cpu, index) != nullptr) return write_plain(cpu, index, value);
    if (is_mtrr(index)) return write_mtrr(cpu, index, value);
    return write_vendor_msr(cpu, index, value) || unknown("write", index);
}

}  // namespace banyan::interp
