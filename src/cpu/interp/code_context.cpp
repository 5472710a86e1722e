#include "cpu/interp/code_context.hpp"

namespace banyan::interp {

CodeContexts::CodeContexts() {
    std::random_device source;
    secret_ = source();
    random_.seed(source());
}

uint64_t CodeContexts::new_name(const Key& key) {
    constexpr uint32_t kOdd = 0x9E3779B1;  // times an odd number: one to one
    const uint64_t number = (++count_ * kOdd) ^ secret_;
    Known& known = known_[index(key)];
    known = {key, number << 32 | (random_() & 0xFFFFFFFF)};
    return known.name;
}

void AddressSpaces::switch_to(uint16_t pcid, bool keep) {
    saved_[pcid_ % kPcids] = {pcid_, user_};
    Saved& next = saved_[pcid % kPcids];
    if (!keep || next.space == 0 || next.pcid != pcid) next = {pcid, ++last_};
    pcid_ = pcid;
    user_ = next.space;
    if (local_kernel_code_) kernel_ = ++last_;
    local_kernel_code_ = false;
}

void AddressSpaces::forget_all() {
    saved_ = {};
    user_ = kernel_ = ++last_;
    local_kernel_code_ = false;
}

}  // namespace banyan::interp
