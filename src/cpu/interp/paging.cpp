// Page walks. Intel SDM vol. 3 chapter 4: formats 4.3 (32-bit), 4.4 (PAE), 4.5 (4-level);
// rights 4.6; faults 4.7; accessed and dirty flags 4.8.
#include "cpu/interp/code_cache.hpp"
#include "cpu/interp/cpu.hpp"
#include "cpu/interp/cpu_model.hpp"
#include "cpu/interp/system.hpp"
#include "support/bits.hpp"

namespace banyan::interp {

using x86::Vector;

namespace {

enum Entry : uint64_t {
    kPresent = 1 << 0,
    kWritable = 1 << 1,
    kUserPage = 1 << 2,
    kAccessedPage = 1 << 5,
    kDirty = 1 << 6,
    kLarge = 1 << 7,
    kGlobal = 1 << 8,
    kNoExecute = uint64_t{1} << 63,
};

constexpr uint64_t kAddressMask = mask(51, 12);

// One paging structure on the way down.
struct WalkLevel {
    unsigned shift;  // of the linear address bits that index it
    unsigned index_bits;
    bool may_be_large;  // an entry here may map a page
};
constexpr std::array<WalkLevel, 4> kFourLevel{
    {{39, 9, false}, {30, 9, true}, {21, 9, true}, {12, 9, false}}};
constexpr std::array<WalkLevel, 2> kPae{{{21, 9, true}, {12, 9, false}}};
constexpr std::array<WalkLevel, 2> kTwoLevel{{{22, 10, true}, {12, 10, false}}};

// An entry in guest memory, 4 or 8 bytes. Accesses are atomic: other vCPUs set bits too.
class EntryRef {
public:
    EntryRef(const std::optional<MemoryRegion>& region, uint64_t gpa, bool wide)
        : host_(region ? region->host + (gpa - region->start.value) : nullptr),
          writable_(region && region->kind == MemoryKind::ram),
          wide_(wide) {}

    // Outside RAM nothing answers: all ones.
    uint64_t load() const {
        if (host_ == nullptr) return wide_ ? ~uint64_t{0} : 0xFFFFFFFF;
        return wide_ ? __atomic_load_n(as<uint64_t>(), __ATOMIC_ACQUIRE)
                     : __atomic_load_n(as<uint32_t>(), __ATOMIC_ACQUIRE);
    }
    // Sets bits if the entry is still `expected`.
    bool set_bits(uint64_t expected, uint64_t bits_to_set) const {
        if (!writable_) return true;
        return wide_ ? exchange<uint64_t>(expected, bits_to_set)
                     : exchange<uint32_t>(expected, bits_to_set);
    }

private:
    template <class T>
    T* as() const {
        return reinterpret_cast<T*>(host_);  // SAFETY: guest RAM, entries are aligned
    }
    template <class T>
    bool exchange(uint64_t expected, uint64_t bits_to_set) const {
        T old = static_cast<T>(expected);
        return __atomic_compare_exchange_n(as<T>(), &old, static_cast<T>(expected | bits_to_set),
                                           false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }

    std::byte* host_;
    bool writable_;
    bool wide_;
};

}  // namespace

// The state of one walk, so that its steps stay small.
class PageWalk {
public:
    PageWalk(const Cpu& cpu, uint64_t linear, Access access, View as)
        : cpu_(cpu), linear_(linear), access_(access), as_(as) {}

    enum class Outcome : uint8_t { mapped, fault, retry };

    Outcome run(bool set_bits) {
        if (!start()) return fault(false, false);
        for (unsigned i = 0; i < level_count_; ++i) {
            const WalkLevel& level = levels_[i];
            const uint64_t gpa =
                table_ +
                (bits(linear_, level.shift + level.index_bits - 1, level.shift) << (wide_ ? 3 : 2));
            const EntryRef ref(cpu_.memory.find(Gpa{gpa}), gpa, wide_);
            const uint64_t entry = ref.load();
            if ((entry & kPresent) == 0) return fault(false, false);
            const bool large = level.may_be_large && (entry & kLarge) != 0 && large_pages_allowed();
            if (has_reserved_bits(entry, level, large)) return fault(true, true);
            writable_ &= (entry & kWritable) != 0;
            user_ &= (entry & kUserPage) != 0;
            no_execute_ |= wide_ && no_execute_enabled() && (entry & kNoExecute) != 0;
            refs_[i] = {ref, entry, gpa};
            used_ = i + 1;
            if (large || i + 1 == level_count_) return finish(entry, level, large, set_bits);
            table_ = wide_ ? entry & kAddressMask : entry & 0xFFFFF000;
        }
        return Outcome::fault;
    }

    Translation result() const { return result_; }
    uint32_t error() const { return error_; }
    // The entries whose bits were changed: their pages may hold code or be dirty-logged.
    template <class F>
    void for_each_changed(F f) const {
        for (unsigned i = 0; i < used_; ++i) {
            if (refs_[i].changed) f(refs_[i].gpa, wide_ ? 8U : 4U);
        }
    }

private:
    struct Visited {
        EntryRef ref{std::nullopt, 0, false};
        uint64_t entry = 0;
        uint64_t gpa = 0;
        bool changed = false;
    };

    bool no_execute_enabled() const { return (cpu_.msr.efer & x86::kEferNxe) != 0; }
    bool large_pages_allowed() const { return wide_ || (cpu_.cr4 & x86::kCr4Pse) != 0; }

    bool start() {
        if (cpu_.long_mode()) {
            levels_ = kFourLevel.data();
            level_count_ = 4;
            table_ = cpu_.cr3 & kAddressMask;
        } else if ((cpu_.cr4 & x86::kCr4Pae) != 0) {
            levels_ = kPae.data();
            level_count_ = 2;
            const uint64_t pdpte = cpu_.pdpte[bits(linear_, 31, 30)];
            if ((pdpte & kPresent) == 0) return false;
            table_ = pdpte & kAddressMask;
        } else {
            levels_ = kTwoLevel.data();
            level_count_ = 2;
            wide_ = false;
            table_ = cpu_.cr3 & 0xFFFFF000;
        }
        return true;
    }

    bool has_reserved_bits(uint64_t entry, const WalkLevel& level, bool large) const {
        if (!wide_)
            return large && (entry & bit(21)) != 0;  // bits 20..13 are address bits 39..32 (PSE-36)
        uint64_t reserved = mask(51, cpu_.model.physical_address_bits());
        if (!no_execute_enabled()) reserved |= kNoExecute;
        if (!cpu_.long_mode()) reserved |= mask(62, 52);
        if (large) reserved |= mask(level.shift - 1, 13);
        if (!level.may_be_large && level.shift == 39) reserved |= kLarge;
        return (entry & reserved) != 0;
    }

    bool allowed() const {
        const bool supervisor = as_ != View::user;
        if (!supervisor && !user_) return false;
        if (access_ == Access::fetch) {
            if (no_execute_) return false;
            return !(supervisor && user_ && (cpu_.cr4 & x86::kCr4Smep) != 0);
        }
        if (as_ == View::supervisor_smap && user_) return false;
        if (access_ == Access::write && !writable_)
            return supervisor && (cpu_.cr0 & x86::kCr0Wp) == 0;
        return true;
    }

    Outcome finish(uint64_t entry, const WalkLevel& level, bool large, bool set_bits) {
        if (!allowed()) return fault(true, false);
        const bool dirty = access_ == Access::write;
        if (set_bits && !mark(dirty)) return Outcome::retry;
        result_.gpa = (large ? large_base(entry, level) : leaf_base(entry)) |
                      (linear_ & mask(level.shift - 1, 0));
        result_.large = large;
        result_.global = (entry & kGlobal) != 0 && (cpu_.cr4 & x86::kCr4Pge) != 0;
        const bool may_write = writable_ || (as_ != View::user && (cpu_.cr0 & x86::kCr0Wp) == 0);
        result_.writable = may_write && (dirty || (entry & kDirty) != 0);
        return Outcome::mapped;
    }

    uint64_t leaf_base(uint64_t entry) const {
        return wide_ ? entry & kAddressMask : entry & 0xFFFFF000;
    }
    uint64_t large_base(uint64_t entry, const WalkLevel& level) const {
        if (wide_) return entry & kAddressMask & ~mask(level.shift - 1, 0);
        return (entry & 0xFFC00000) | (bits(entry, 20, 13) << 32);
    }

    // Accessed in every entry used, dirty in the last one.
    bool mark(bool dirty) {
        for (unsigned i = 0; i < used_; ++i) {
            uint64_t wanted = kAccessedPage;
            if (dirty && i + 1 == used_) wanted |= kDirty;
            if ((refs_[i].entry & wanted) == wanted) continue;
            if (!refs_[i].ref.set_bits(refs_[i].entry, wanted)) return false;
            refs_[i].changed = true;
        }
        return true;
    }

    Outcome fault(bool present, bool reserved) {
        error_ = present ? x86::kPfPresent : 0U;
        if (reserved) error_ |= x86::kPfReserved;
        if (access_ == Access::write) error_ |= x86::kPfWrite;
        if (as_ == View::user) error_ |= x86::kPfUser;
        const bool says_fetch = (wide_ && no_execute_enabled()) || (cpu_.cr4 & x86::kCr4Smep) != 0;
        if (access_ == Access::fetch && says_fetch) error_ |= x86::kPfFetch;
        return Outcome::fault;
    }

    const Cpu& cpu_;
    uint64_t linear_;
    Access access_;
    View as_;
    const WalkLevel* levels_ = nullptr;
    unsigned level_count_ = 0;
    unsigned used_ = 0;
    uint64_t table_ = 0;
    bool wide_ = true;
    bool writable_ = true;
    bool user_ = true;
    bool no_execute_ = false;
    std::array<Visited, 4> refs_{};
    Translation result_;
    uint32_t error_ = 0;
};

bool Cpu::translate(const Op* op, uint64_t linear, Access access, View as, Translation& result) {
    if (!paging()) {
        result = {.gpa = linear, .writable = true, .large = false};
        return true;
    }
    for (;;) {
        PageWalk walk(*this, linear, access, as);
        const PageWalk::Outcome outcome = walk.run(true);
        walk.for_each_changed([this](uint64_t gpa, unsigned size) { note_write(gpa, size); });
        if (outcome == PageWalk::Outcome::retry)
            continue;  // another vCPU changed an entry meanwhile
        if (outcome == PageWalk::Outcome::fault) return page_fault(op, linear, walk.error());
        result = walk.result();
        return true;
    }
}

bool Cpu::page_fault(const Op* op, uint64_t linear, uint32_t error) {
    fault = {
        .active = true, .has_error = true, .vector = Vector::pf, .error = error, .address = linear};
    fault_op = op;
    return false;
}

bool Cpu::translate_for_debug(uint64_t linear, uint64_t& gpa) const {
    if (!paging()) {
        gpa = linear;
        return true;
    }
    if (long_mode() && !is_canonical(linear)) return false;
    PageWalk walk(*this, linear, Access::read, View::supervisor);
    if (walk.run(false) != PageWalk::Outcome::mapped) return false;
    gpa = walk.result().gpa;
    return true;
}

// Intel SDM vol. 3 section 4.4.1.
bool Cpu::load_pdptes(uint64_t cr3_value) {
    const uint64_t reserved = mask(63, model.physical_address_bits()) | mask(8, 5) | mask(2, 1);
    std::array<uint64_t, 4> loaded{};
    const uint64_t table = cr3_value & 0xFFFFFFE0;
    for (unsigned i = 0; i < 4; ++i) {
        if (!memory.read_object(Gpa{table + i * 8}, loaded[i])) loaded[i] = ~uint64_t{0};
        if ((loaded[i] & kPresent) != 0 && (loaded[i] & reserved) != 0) return false;
    }
    pdpte = loaded;
    return true;
}

}  // namespace banyan::interp
