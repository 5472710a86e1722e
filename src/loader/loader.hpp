// load_kernel(): puts a kernel that the user gave into guest memory and says how the boot processor
// is to start it.
//
// Three formats, told apart by their content: Linux bzImage (64-bit boot protocol), ELF with a PVH
// note, multiboot 1. The files are not trusted: every offset and size is checked before it is used.
// Errors read "what: why; what to do".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "loader/e820.hpp"
#include "loader/image_file.hpp"
#include "support/result.hpp"
#include "vm/address.hpp"
#include "vm/guest_memory.hpp"

namespace banyan {
namespace x86 {
struct RegisterState;
}

namespace loader {

enum class ImageFormat : uint8_t { bzimage, pvh, multiboot };

// A file that goes to the guest beside the kernel. Linux and PVH kernels get all of them joined as
// one initrd; a multiboot kernel gets each as a module with its arguments.
struct ModuleFile {
    std::string_view name;       // for messages, and the first word of a multiboot module's string
    std::string_view arguments;  // multiboot only
    const ImageFile* file = nullptr;
};

struct LoadRequest {
    std::string_view kernel_name;  // for messages
    const ImageFile* kernel = nullptr;
    std::span<const ModuleFile> modules;
    std::string_view command_line;
    std::span<const E820Entry> memory_map;  // sorted by start, not overlapping
    Gpa rsdp;                               // of the ACPI tables; 0: there are none
    bool vga_text = false;                  // a VGA shows mode 3, an empty screen
};

enum class EntryMode : uint8_t { protected32, long64 };

// What the boot processor's registers hold when the kernel starts; all others are as after
// power-on. Segments are flat (base 0, limit 4 GiB): CS code, the others data, at the selectors
// given.
struct EntryState {
    ImageFormat format = ImageFormat::bzimage;
    EntryMode mode = EntryMode::long64;
    uint64_t rip = 0;
    uint64_t rax = 0;
    uint64_t rbx = 0;
    uint64_t rsi = 0;
    uint64_t cr0 = 0;
    uint64_t cr3 = 0;
    uint64_t cr4 = 0;
    uint64_t efer = 0;
    Gpa gdt_base;
    uint16_t gdt_limit = 0;
    uint16_t code_selector = 0;
    uint16_t data_selector = 0;
};

// Only the format; for choosing defaults before there is a machine.
Result<ImageFormat> identify(std::string_view kernel_name, const ImageFile& kernel);

Result<EntryState> load_kernel(const LoadRequest& request, GuestMemory& memory);

// Writes `entry` over the boot processor's power-on state.
void apply(const EntryState& entry, x86::RegisterState& state);

// What firmware leaves in every vCPU, the boot processor and the others: memory is write-back by
// MTRR. Without it Linux runs with PAT off, and complains of CPUs whose MTRRs differ.
void apply_firmware_state(x86::RegisterState& state);

}  // namespace loader
}  // namespace banyan
