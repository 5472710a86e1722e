// Saved state of LocalApic.
#include "devices/chipset/local_apic_state.hpp"

#include <algorithm>

#include "devices/chipset/local_apic.hpp"
#include "snapshot/state.hpp"

namespace banyan {

namespace {

// Exceptions' vectors are never requested.
bool valid_vectors(const VectorSet::Words& words) {
    return (words[0] & mask<uint32_t>(kFirstApicVector - 1, 0)) == 0;
}

bool valid_lvt(const std::array<uint32_t, kLvtCount>& lvt, bool software_enabled) {
    return std::all_of(lvt.begin(), lvt.end(), [&](uint32_t raw) {
        return (raw & ~Lvt::kSaved) == 0 && (software_enabled || Lvt{raw}.get<Lvt::Masked>());
    });
}

bool valid_registers(const LocalApicStateV1& saved) {
    const ApicBase base{saved.base};
    if (base.get<ApicBase::X2Apic>() && !base.get<ApicBase::Enabled>()) return false;
    if ((saved.dfr | kDfrWritable) != 0xFFFF'FFFF) return false;
    if ((saved.svr & ~Svr::kWritable) != 0) return false;
    if ((saved.icr & mask(31, 0) & ~uint64_t{Icr::kLowWritable}) != 0) return false;
    if (!valid_lvt(saved.lvt, Svr{saved.svr}.get<Svr::SoftwareEnabled>())) return false;
    return valid_vectors(saved.irr) && valid_vectors(saved.isr) && valid_vectors(saved.tmr);
}

}  // namespace

void LocalApic::save(StateWriter& writer) const {
    MutexLock lock(mutex_);
    LocalApicStateV1 saved{.base = state_.base.raw,
                           .tpr = state_.tpr,
                           .ldr = state_.ldr,
                           .dfr = state_.dfr,
                           .svr = state_.svr.raw,
                           .esr = state_.esr,
                           .errors = state_.errors,
                           .icr = state_.icr.raw,
                           .irr = state_.irr.words(),
                           .isr = state_.isr.words(),
                           .tmr = state_.tmr.words(),
                           .lint = state_.lint,
                           .ext_int_message = state_.ext_int_message,
                           .pv_eoi = pv_eoi_.msr(),
                           .pv_eoi_offered = pv_eoi_.offered()};
    std::transform(state_.lvt.begin(), state_.lvt.end(), saved.lvt.begin(),
                   [](const Lvt& entry) { return entry.raw; });
    timer_.save(saved);
    writer.section(saved);
}

Result<void> LocalApic::restore(StateReader& reader) {
    Outbox out;
    {
        MutexLock lock(mutex_);
        auto result = apply(reader);
        if (!result) {
            reset_locked();
            return result;
        }
        publish(out);
    }
    send(out);
    return {};
}

Result<void> LocalApic::apply(StateReader& reader) {
    TRY_ASSIGN(saved, reader.section<LocalApicStateV1>());
    const auto invalid = [] {
        return fail(ErrorCode::invalid_data,
                    "load saved state: local APIC registers are impossible");
    };
    if (!valid_registers(saved) || (saved.base & base_reserved_) != 0) return invalid();
    state_ = {.base = {saved.base},
              .tpr = saved.tpr,
              .ldr = saved.ldr,
              .dfr = saved.dfr,
              .svr = {saved.svr},
              .esr = saved.esr,
              .errors = saved.errors,
              .icr = {saved.icr},
              .irr = VectorSet(saved.irr),
              .isr = VectorSet(saved.isr),
              .tmr = VectorSet(saved.tmr),
              .lint = saved.lint,
              .ext_int_message = saved.ext_int_message};
    std::transform(saved.lvt.begin(), saved.lvt.end(), state_.lvt.begin(),
                   [](uint32_t raw) { return Lvt{raw}; });
    const Lvt& timer = lvt(LvtIndex::timer);
    if (!timer_.restore(saved, timer.get<Lvt::TimerMode>(), timer.get<Lvt::Masked>()))
        return invalid();
    // An offer is made for the only interrupt in service.
    if (saved.pv_eoi_offered && state_.isr.count() != 1) return invalid();
    if (!pv_eoi_.restore(saved.pv_eoi, saved.pv_eoi_offered)) return invalid();
    return {};
}

}  // namespace banyan
