// An engine around another one: forwards everything. For engines that change a little of it.
#pragma once

#include <memory>
#include <utility>

#include "vm/engine.hpp"

namespace banyan::lockstep {

class WrappedVcpu : public Vcpu {
public:
    explicit WrappedVcpu(std::unique_ptr<Vcpu> inner) : inner_(std::move(inner)) {}

    Exit run() override { return inner_->run(); }
    void kick() override { inner_->kick(); }
    bool has_work() const override { return inner_->has_work(); }
    VcpuSignals& signals() override { return inner_->signals(); }
    void get_state(x86::RegisterState& state) const override { inner_->get_state(state); }
    Result<void> set_state(const x86::RegisterState& state) override {
        return inner_->set_state(state);
    }
    void reset() override { inner_->reset(); }
    Result<void> set_debug(const DebugRequest& request) override {
        return inner_->set_debug(request);
    }
    std::optional<Gpa> translate(uint64_t linear) const override {
        return inner_->translate(linear);
    }
    uint64_t instructions() const override { return inner_->instructions(); }

private:
    std::unique_ptr<Vcpu> inner_;
};

// `V` is made from a vCPU of the inner engine.
template <class V>
class WrappedEngine final : public Engine {
public:
    explicit WrappedEngine(std::unique_ptr<Engine> inner) : inner_(std::move(inner)) {}

    std::string_view name() const override { return inner_->name(); }
    Result<std::unique_ptr<Vcpu>> create_vcpu(const VcpuWiring& wiring) override {
        TRY_ASSIGN(vcpu, inner_->create_vcpu(wiring));
        return std::make_unique<V>(std::move(vcpu));
    }
    void drop_write_mappings() override { inner_->drop_write_mappings(); }

private:
    std::unique_ptr<Engine> inner_;
};

}  // namespace banyan::lockstep
