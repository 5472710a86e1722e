// SwitchedMmio: what answers at a window of the MMIO bus changes while vCPUs run; the window stays.
#pragma once

#include <cstdint>

#include "vm/device.hpp"

namespace banyan {

// All calls with the lock of the window's slot held, so that nobody is in the old handler when
// connect() returns.
class SwitchedMmio final : public MmioIo {
public:
    // Null: nobody answers.
    void connect(MmioIo* handler) { handler_ = handler; }

    IoStatus mmio_read(uint64_t offset, unsigned size, uint64_t& value) override {
        if (handler_ == nullptr) return IoStatus::no_register;
        return handler_->mmio_read(offset, size, value);
    }
    IoStatus mmio_write(uint64_t offset, unsigned size, uint64_t value) override {
        if (handler_ == nullptr) return IoStatus::no_register;
        return handler_->mmio_write(offset, size, value);
    }

private:
    MmioIo* handler_ = nullptr;
};

}  // namespace banyan
