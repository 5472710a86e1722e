#include "lockstep/stepped_engine.hpp"

#include "arch/x86/register_state.hpp"
#include "cpu/interp/interp_engine.hpp"
#include "lockstep/wrapped_engine.hpp"

namespace banyan::lockstep {

namespace {

constexpr uint64_t kNowhere = 0x7FFF'0000'0000;
// L0, on writes of one byte: Intel SDM vol. 3 section 18.2.4.
constexpr uint64_t kBreakOnWrite = 0x00010001;

class SteppedVcpu final : public WrappedVcpu {
public:
    using WrappedVcpu::WrappedVcpu;

    void get_state(x86::RegisterState& state) const override {
        WrappedVcpu::get_state(state);
        state.dr[0] = 0;
        state.dr7 &= ~kBreakOnWrite;
    }
    Result<void> set_state(const x86::RegisterState& state) override {
        x86::RegisterState stepped = state;
        stepped.dr[0] = kNowhere;
        stepped.dr7 |= kBreakOnWrite;
        return WrappedVcpu::set_state(stepped);
    }
};

}  // namespace

Result<std::unique_ptr<Engine>> create_stepped_engine(const EngineConfig& config,
                                                      std::string_view cpu_model) {
    TRY_ASSIGN(inner, interp::create_engine(config, cpu_model));
    return std::make_unique<WrappedEngine<SteppedVcpu>>(std::move(inner));
}

}  // namespace banyan::lockstep
