// The register accesses of LocalApic: memory range, MSRs, CR8.
#include "devices/chipset/local_apic.hpp"

namespace banyan {

namespace {

bool in(ApicRegister reg, ApicRegister first, unsigned count) {
    return reg >= first && static_cast<unsigned>(reg) < static_cast<unsigned>(first) + count;
}

bool is_vector_word(ApicRegister reg) {
    return in(reg, ApicRegister::isr, 3 * 8);
}
bool is_lvt(ApicRegister reg) {
    return in(reg, ApicRegister::lvt_timer, kLvtCount);
}

// Intel SDM table 11-1, without the entries for machine checks.
bool exists_in_memory(ApicRegister reg) {
    switch (reg) {
        case ApicRegister::id:
        case ApicRegister::version:
        case ApicRegister::esr:
        case ApicRegister::icr_low:
        case ApicRegister::icr_high:
        case ApicRegister::initial_count:
        case ApicRegister::current_count:
        case ApicRegister::divide: return true;
        default: return in(reg, ApicRegister::tpr, 8) || is_vector_word(reg) || is_lvt(reg);
    }
}

// What an LVT entry keeps of a write, Intel SDM figure 11-8.
uint32_t lvt_writable(ApicRegister reg) {
    constexpr uint32_t kCommon = mask<uint32_t>(7, 0) | bit<uint32_t>(16);
    constexpr uint32_t kMode = mask<uint32_t>(10, 8);
    constexpr uint32_t kPin = bit<uint32_t>(15) | bit<uint32_t>(13);
    switch (reg) {
        case ApicRegister::lvt_timer: return kCommon | mask<uint32_t>(18, 17);
        case ApicRegister::lvt_thermal:
        case ApicRegister::lvt_perf: return kCommon | kMode;
        case ApicRegister::lvt_lint0:
        case ApicRegister::lvt_lint1: return kCommon | kMode | kPin;
        default: return kCommon;
    }
}

// Intel SDM table 11-6. A write of bits outside `writable` is #GP; bits that are read only are
// ignored, and therefore inside.
struct MsrAccess {
    bool readable = false;
    bool can_write = false;
    uint64_t writable = 0;
};

MsrAccess msr_access(ApicRegister reg) {
    if (is_vector_word(reg)) return {.readable = true};
    if (is_lvt(reg)) return {true, true, lvt_writable(reg) | Lvt::kReadOnly};
    switch (reg) {
        case ApicRegister::id:
        case ApicRegister::version:
        case ApicRegister::ppr:
        case ApicRegister::ldr:
        case ApicRegister::current_count: return {.readable = true};
        case ApicRegister::tpr: return {true, true, 0xFF};
        case ApicRegister::eoi: return {false, true, 0};
        case ApicRegister::svr: return {true, true, Svr::kWritable};
        case ApicRegister::esr: return {true, true, 0};
        case ApicRegister::icr_low:
            return {true, true, mask(63, 32) | Icr::kLowWritable | Icr::kDeliveryStatus};
        case ApicRegister::initial_count: return {true, true, mask(31, 0)};
        case ApicRegister::divide: return {true, true, kDivideWritable};
        case ApicRegister::self_ipi: return {false, true, 0xFF};
        default: return {};
    }
}

uint64_t with_low(uint64_t whole, uint32_t low) {
    return (whole & mask(63, 32)) | low;
}
uint64_t with_high(uint64_t whole, uint32_t high) {
    return uint64_t{high} << 32 | bits(whole, 31, 0);
}

}  // namespace

IoStatus LocalApic::mmio_read(uint64_t offset, unsigned size, uint64_t& value) {
    const auto reg = static_cast<ApicRegister>(bits(offset, 11, 4));
    const uint64_t byte = offset % 16;
    if (byte + size > 4) return IoStatus::bad_size;
    Outbox out;
    {
        MutexLock lock(mutex_);
        if (!enabled() || x2apic()) return IoStatus::no_register;
        catch_up(out);
        value = read_memory(reg, out) >> (8 * byte);
        publish(out);
    }
    send(out);
    return IoStatus::ok;
}

// Registers are written with 32 bits at their own address (Intel SDM 11.4.1).
IoStatus LocalApic::mmio_write(uint64_t offset, unsigned size, uint64_t value) {
    if (size != 4 || offset % 16 != 0) return IoStatus::bad_size;
    const auto reg = static_cast<ApicRegister>(bits(offset, 11, 4));
    Outbox out;
    {
        MutexLock lock(mutex_);
        if (!enabled() || x2apic()) return IoStatus::no_register;
        catch_up(out);
        write_memory(reg, static_cast<uint32_t>(value), out);
        publish(out);
    }
    send(out);
    return IoStatus::ok;
}

uint32_t LocalApic::read_memory(ApicRegister reg, Outbox& out) {
    switch (reg) {
        case ApicRegister::id: return id_ << 24;
        case ApicRegister::apr: return ppr();  // there is no bus to arbitrate for
        case ApicRegister::eoi:
        case ApicRegister::rrd: return 0;
        case ApicRegister::ldr: return uint32_t{state_.ldr} << 24;
        case ApicRegister::dfr: return state_.dfr;
        case ApicRegister::icr_high: return static_cast<uint32_t>(bits(state_.icr.raw, 63, 32));
        default: break;
    }
    if (exists_in_memory(reg)) return read_register(reg);
    report_error(kEsrIllegalRegister, out);
    return 0;
}

void LocalApic::write_memory(ApicRegister reg, uint32_t value, Outbox& out) {
    switch (reg) {
        case ApicRegister::ldr: state_.ldr = static_cast<uint8_t>(value >> 24); return;
        case ApicRegister::dfr: state_.dfr = value | ~kDfrWritable; return;
        case ApicRegister::icr_low:
            state_.icr.raw = with_low(state_.icr.raw, value & Icr::kLowWritable);
            return send_ipi(out);
        case ApicRegister::icr_high:
            state_.icr.raw = with_high(state_.icr.raw, value & Icr::kHighWritable);
            return;
        default: break;
    }
    if (exists_in_memory(reg)) return write_register(reg, value, out);
    report_error(kEsrIllegalRegister, out);
}

bool LocalApic::read_apic_msr(uint32_t index, uint64_t& value) {
    Outbox out;
    bool known = true;
    {
        MutexLock lock(mutex_);
        catch_up_timer(out);
        if (index == kMsrApicBase) {
            value = state_.base.raw;
        } else if (index == kMsrTscDeadline) {
            value = timer_.deadline();
        } else {
            catch_up_pv_eoi(out);
            known = read_x2apic(index, value);
        }
        publish(out);
    }
    send(out);
    return known;
}

bool LocalApic::write_apic_msr(uint32_t index, uint64_t value) {
    Outbox out;
    bool allowed = true;
    {
        MutexLock lock(mutex_);
        catch_up_timer(out);
        if (index == kMsrTscDeadline) {
            timer_.write_deadline(value);
            catch_up_timer(out);  // it may have passed already
        } else {
            catch_up_pv_eoi(out);
            allowed = index == kMsrApicBase ? write_base({value}) : write_x2apic(index, value, out);
        }
        publish(out);
    }
    send(out);
    return allowed;
}

// Intel SDM 11.12.5, figure 11-27: x2APIC mode is entered from xAPIC mode only and left by
// disabling only. A disabled APIC has lost its state when it is enabled again (11.4.3).
bool LocalApic::write_base(ApicBase base) {
    if ((base.raw & base_reserved_) != 0) return false;
    const bool enable = base.get<ApicBase::Enabled>();
    const bool extend = base.get<ApicBase::X2Apic>();
    if (extend && !enable) return false;
    if (extend && !enabled()) return false;
    if (x2apic() && enable && !extend) return false;
    if (enabled() && !enable) init_registers();
    state_.base = base;
    return true;
}

bool LocalApic::read_x2apic(uint32_t index, uint64_t& value) {
    if (index < kMsrX2ApicFirst || index > kMsrX2ApicLast || !x2apic()) return false;
    const auto reg = static_cast<ApicRegister>(index - kMsrX2ApicFirst);
    if (!msr_access(reg).readable) return false;
    switch (reg) {
        case ApicRegister::id: value = id_; break;
        // Intel SDM 11.12.10.2.
        case ApicRegister::ldr: value = (id_ >> 4) << 16 | 1U << (id_ & 0xF); break;
        case ApicRegister::icr_low: value = state_.icr.raw; break;
        default: value = read_register(reg);
    }
    return true;
}

bool LocalApic::write_x2apic(uint32_t index, uint64_t value, Outbox& out) {
    if (index < kMsrX2ApicFirst || index > kMsrX2ApicLast || !x2apic()) return false;
    const auto reg = static_cast<ApicRegister>(index - kMsrX2ApicFirst);
    const MsrAccess access = msr_access(reg);
    if (!access.can_write || (value & ~access.writable) != 0) return false;
    switch (reg) {
        case ApicRegister::icr_low:
            state_.icr.raw = value & ~uint64_t{Icr::kDeliveryStatus};
            send_ipi(out);
            break;
        case ApicRegister::self_ipi: {  // Intel SDM 11.12.11
            const auto vector = static_cast<uint8_t>(value);
            if (vector < kFirstApicVector) report_error(kEsrSendIllegalVector, out);
            receive({.vector = vector}, out);
            break;
        }
        default: write_register(reg, static_cast<uint32_t>(value), out);
    }
    return true;
}

// Registers that are the same in both modes.
uint32_t LocalApic::read_register(ApicRegister reg) const {
    const auto word = static_cast<size_t>(reg) % 8;
    if (in(reg, ApicRegister::isr, 8)) return state_.isr.words()[word];
    if (in(reg, ApicRegister::tmr, 8)) return state_.tmr.words()[word];
    if (in(reg, ApicRegister::irr, 8)) return state_.irr.words()[word];
    if (is_lvt(reg)) return state_.lvt[lvt_index(reg)].raw;
    switch (reg) {
        case ApicRegister::version: return kApicVersion;
        case ApicRegister::tpr: return state_.tpr;
        case ApicRegister::ppr: return ppr();
        case ApicRegister::svr: return state_.svr.raw;
        case ApicRegister::esr: return state_.esr;
        case ApicRegister::icr_low: return static_cast<uint32_t>(bits(state_.icr.raw, 31, 0));
        case ApicRegister::initial_count: return timer_.initial_count();
        case ApicRegister::current_count: return timer_.current_count();
        case ApicRegister::divide: return timer_.divide();
        default: return 0;
    }
}

void LocalApic::write_register(ApicRegister reg, uint32_t value, Outbox& out) {
    if (is_lvt(reg)) return write_lvt(reg, value, out);
    switch (reg) {
        case ApicRegister::tpr: state_.tpr = static_cast<uint8_t>(value); break;
        case ApicRegister::eoi: end_of_interrupt(out); break;
        case ApicRegister::svr: write_svr(value); break;
        case ApicRegister::esr:  // Intel SDM 11.5.3: what was found since the last write
            state_.esr = state_.errors;
            state_.errors = 0;
            break;
        case ApicRegister::initial_count: timer_.write_initial_count(value); break;
        case ApicRegister::divide: timer_.write_divide(value); break;
        default: break;  // read only
    }
}

// While the APIC is disabled by software, entries cannot be unmasked (Intel SDM 11.4.7.2).
void LocalApic::write_lvt(ApicRegister reg, uint32_t value, Outbox& out) {
    Lvt& entry = state_.lvt[lvt_index(reg)];
    const bool remote_irr = entry.get<Lvt::RemoteIrr>();
    entry.raw = value & lvt_writable(reg);
    if (!state_.svr.get<Svr::SoftwareEnabled>()) entry.set<Lvt::Masked>(true);
    if (reg == ApicRegister::lvt_timer) configure_timer();
    if (reg == ApicRegister::lvt_lint0) {
        entry.set<Lvt::RemoteIrr>(remote_irr && lint0_is_level());
        fire_level_lint0(out);
    }
}

void LocalApic::write_svr(uint32_t value) {
    state_.svr.raw = value & Svr::kWritable;
    if (state_.svr.get<Svr::SoftwareEnabled>()) return;
    for (Lvt& entry : state_.lvt)
        entry.set<Lvt::Masked>(true);
    configure_timer();
}

void LocalApic::configure_timer() {
    const Lvt& entry = lvt(LvtIndex::timer);
    timer_.configure(entry.get<Lvt::TimerMode>(), entry.get<Lvt::Masked>());
}

uint8_t LocalApic::read_cr8() const {
    MutexLock lock(mutex_);
    return state_.tpr >> 4;
}

// Intel SDM 11.8.6.1.
void LocalApic::write_cr8(uint8_t priority) {
    Outbox out;
    {
        MutexLock lock(mutex_);
        state_.tpr = static_cast<uint8_t>(priority << 4);
        publish(out);
    }
    send(out);
}

bool LocalApic::set_pv_eoi(uint64_t msr) {
    Outbox out;
    bool allowed = false;
    {
        MutexLock lock(mutex_);
        catch_up_pv_eoi(out);
        allowed = pv_eoi_.write_msr(msr);
        publish(out);
    }
    send(out);
    return allowed;
}

uint64_t LocalApic::pv_eoi() const {
    MutexLock lock(mutex_);
    return pv_eoi_.msr();
}

void LocalApic::set_tsc_offset(uint64_t offset) {
    Outbox out;
    {
        MutexLock lock(mutex_);
        timer_.set_tsc_offset(offset);
        catch_up_timer(out);
        publish(out);
    }
    send(out);
}

}  // namespace banyan
