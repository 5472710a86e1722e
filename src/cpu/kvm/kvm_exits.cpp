#include "cpu/kvm/kvm_exits.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace banyan::kvm {

std::optional<Exit> KvmExits::handle() {
    switch (run_.exit_reason) {
        case KVM_EXIT_IO: access_ports(); return std::nullopt;
        case KVM_EXIT_MMIO: access_memory(); return std::nullopt;
        case KVM_EXIT_IOAPIC_EOI:
            ++ends_of_interrupt_;
            eoi_.end_of_interrupt(run_.eoi.vector);
            return std::nullopt;
        case KVM_EXIT_IRQ_WINDOW_OPEN: ++interrupt_windows_; return std::nullopt;
        case KVM_EXIT_INTR: ++others_; return std::nullopt;
        case KVM_EXIT_SHUTDOWN: return Exit{ExitReason::shutdown, {}};
        case KVM_EXIT_FAIL_ENTRY:
            return fail("the processor refuses the vCPU's state, reason",
                        run_.fail_entry.hardware_entry_failure_reason);
        case KVM_EXIT_INTERNAL_ERROR:
            return fail("KVM reports an internal error, kind", run_.internal.suberror);
        default: return fail("an exit from KVM that is not known, reason", run_.exit_reason);
    }
}

// Several of one kind for a string instruction.
void KvmExits::access_ports() {
    ++ports_;
    const auto& io = run_.io;
    auto* data = reinterpret_cast<std::byte*>(&run_) + io.data_offset;
    for (uint32_t i = 0; i < io.count; ++i, data += io.size) {
        uint32_t value = 0;
        if (io.direction == KVM_EXIT_IO_OUT) {
            std::memcpy(&value, data, io.size);
            io_.port_write(io.port, io.size, value);
        } else {
            value = io_.port_read(io.port, io.size);
            std::memcpy(data, &value, io.size);
        }
    }
}

void KvmExits::access_memory() {
    ++memory_;
    auto& access = run_.mmio;
    const Gpa gpa{access.phys_addr};
    uint64_t value = 0;
    if (access.is_write != 0) {
        std::memcpy(&value, access.data, access.len);
        io_.mmio_write(gpa, access.len, value);
    } else {
        value = io_.mmio_read(gpa, access.len);
        std::memcpy(access.data, &value, access.len);
    }
}

Exit KvmExits::fail(const char* what, uint64_t number) {
    const int length = std::snprintf(text_.data(), text_.size(), "%s %#" PRIx64, what, number);
    const size_t kept = std::min(static_cast<size_t>(length), text_.size() - 1);
    return {ExitReason::internal_error, {text_.data(), kept}};
}

void KvmExits::add_statistics(Statistics& to) const {
    to.push_back({"port_exits", ports_});
    to.push_back({"memory_exits", memory_});
    to.push_back({"ends_of_interrupt", ends_of_interrupt_});
    to.push_back({"interrupt_windows", interrupt_windows_});
    to.push_back({"other_exits", others_});
}

}  // namespace banyan::kvm
