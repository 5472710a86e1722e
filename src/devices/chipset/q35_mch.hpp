// Q35Mch: the host bridge of a Q35 chipset, as far as firmware and kernels set it up (Intel 3
// Series Express Chipset Family data sheet, document 316966, section 5.1 "DRAM controller
// registers"): where configuration space lies (PCIEXBAR), what is seen from C0000h to FFFFFh (PAM),
// and SMRAM control.
//
// There is no system management mode: SMRAM's registers are kept and locked as the data sheet says,
// and open nothing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "devices/pci/pci_function.hpp"
#include "vm/address.hpp"

namespace banyan {

// What reaches the RAM of a part of the area; what does not, goes to the firmware's ROM, if there
// is one, or nowhere.
struct ShadowAccess {
    bool read = false;
    bool write = false;

    friend bool operator==(const ShadowAccess&, const ShadowAccess&) = default;
};

class Q35Mch final : public PciFunction {
public:
    // C0000h to EFFFFh by 16 KiB, then F0000h to FFFFFh.
    static constexpr unsigned kSegments = 13;
    using Shadow = std::array<ShadowAccess, kSegments>;

    // What the registers rule. Called with the device's lock held.
    class Space {
    public:
        // Nothing: configuration space is reached by ports alone.
        virtual void map_ecam(std::optional<Gpa> base) = 0;
        virtual void set_shadow(const Shadow& shadow) = 0;

    protected:
        ~Space() = default;
    };
    struct Wiring {
        PciWiring pci;
        Space& space;
    };
    explicit Q35Mch(const Wiring& wiring);

    // What firmware does, for a kernel that is started without one.
    void set_ecam(Gpa base);
    void open_shadow();

    std::string_view name() const override { return "q35_mch"; }
    void reset() override;
    void save(StateWriter& writer) const override { save_config(writer); }
    Result<void> restore(StateReader& reader) override;

private:
    void on_config_written(uint16_t offset, unsigned size) override;
    void lock_smram();
    std::optional<Gpa> ecam() const;
    Shadow shadow() const;
    void apply();

    // wiring
    Space& space_;
};

}  // namespace banyan
