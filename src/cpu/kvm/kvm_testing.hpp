// For this room's tests: handles that answer as the test says, and a vCPU's surroundings.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "cpu/kvm/kvm_handle.hpp"
#include "vm/engine.hpp"
#include "vm/guest_memory.hpp"

namespace banyan::kvm {

// Memory for a small guest.
struct alignas(kPageSize) Pages {
    std::byte bytes[4 * kPageSize] = {};
};

// Counts calls; what has no answer fails as an old kernel fails.
class FakeHandle : public KvmVcpuHandle {
public:
    using Answer = std::function<int(uint64_t argument)>;

    int call(unsigned long request, uint64_t argument) const override {
        ++counts[request];
        const auto found = answers.find(request);
        return found == answers.end() ? -EINVAL : found->second(argument);
    }
    kvm_run& run_page() const override { return *reinterpret_cast<kvm_run*>(page.data()); }

    // `answer` gets the structure behind the call's argument.
    template <class T, class Function>
    void on(unsigned long request, Function answer) {
        answers[request] = [answer](uint64_t argument) {
            return answer(*reinterpret_cast<T*>(static_cast<uintptr_t>(argument)));
        };
    }
    void accept(std::initializer_list<unsigned long> requests) {
        for (const unsigned long request : requests)
            answers[request] = [](uint64_t) { return 0; };
    }
    unsigned count(unsigned long request) const { return counts[request]; }

    std::map<unsigned long, Answer> answers;
    mutable std::map<unsigned long, unsigned> counts;
    // The shared page, and the one after it, where data of port accesses is.
    mutable std::vector<std::byte> page = std::vector<std::byte>(8192);
};

struct Access {
    uint64_t address = 0;
    unsigned size = 0;
    uint64_t value = 0;
    friend bool operator==(const Access&, const Access&) = default;
};

// Reads give 0x11, 0x22, 0x33 ...
class RecordingIo final : public CpuIo {
public:
    uint32_t port_read(uint16_t port, unsigned size) override {
        reads.push_back({port, size, next_ += 0x11});
        return static_cast<uint32_t>(next_);
    }
    void port_write(uint16_t port, unsigned size, uint32_t value) override {
        writes.push_back({port, size, value});
    }
    uint64_t mmio_read(Gpa gpa, unsigned size) override {
        reads.push_back({gpa.value, size, next_ += 0x11});
        return next_;
    }
    void mmio_write(Gpa gpa, unsigned size, uint64_t value) override {
        writes.push_back({gpa.value, size, value});
    }

    std::vector<Access> reads;
    std::vector<Access> writes;

private:
    uint64_t next_ = 0;
};

class RecordingEoi final : public EoiListener {
public:
    void end_of_interrupt(uint8_t vector) override { vectors.push_back(vector); }
    std::vector<uint8_t> vectors;
};

}  // namespace banyan::kvm
