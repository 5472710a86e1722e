#include "loader/loader.hpp"

#include "arch/x86/register_state.hpp"
#include "loader/bzimage_regs.hpp"
#include "loader/elf.hpp"
#include "loader/loading.hpp"
#include "support/le.hpp"

namespace banyan::loader {

namespace {

bool is_bzimage(const ImageFile& file) {
    return file.object<le16>(zero_page::kBootFlag).value_or(uint16_t{0}) ==
               zero_page::kBootFlagValue &&
           file.object<le32>(zero_page::kHeaderMagic).value_or(0U) == zero_page::kHeaderMagicValue;
}

}  // namespace

Result<ImageFormat> identify(std::string_view kernel_name, const ImageFile& kernel) {
    if (is_bzimage(kernel)) return ImageFormat::bzimage;
    if (has_pvh_note(kernel)) return ImageFormat::pvh;
    if (has_multiboot_header(kernel)) return ImageFormat::multiboot;
    if (kernel.size() == 0) {
        return image_error(ErrorCode::invalid_data, "kernel", kernel_name,
                           "the file is empty; copy it again");
    }
    if (is_elf(kernel)) {
        TRY(parse_elf(kernel_name, kernel));  // truncated, or for another processor
        return image_error(ErrorCode::invalid_data, "kernel", kernel_name,
                           "the ELF file has neither a PVH note nor a multiboot header; give a "
                           "bzImage, or a kernel "
                           "built with CONFIG_PVH");
    }
    return image_error(ErrorCode::invalid_data, "kernel", kernel_name,
                       "it is not a kernel that can be started; give a bzImage (vmlinuz), an ELF "
                       "file with a PVH note "
                       "or a multiboot image");
}

Result<EntryState> load_kernel(const LoadRequest& request, GuestMemory& memory) {
    TRY_ASSIGN(format, identify(request.kernel_name, *request.kernel));
    Loading loading(request, memory);
    switch (format) {
        case ImageFormat::bzimage: return load_bzimage(loading);
        case ImageFormat::pvh: return load_pvh(loading);
        case ImageFormat::multiboot: break;
    }
    return load_multiboot(loading);
}

void apply(const EntryState& entry, x86::RegisterState& state) {
    using x86::Segment;
    const bool long_mode = entry.mode == EntryMode::long64;
    constexpr uint16_t kFlatData = 0xC093;  // as the descriptors of put_entry_tables()
    const auto code = static_cast<uint16_t>(long_mode ? 0xA09B : 0xC09B);

    for (auto& segment : state.segments)
        segment = {entry.data_selector, {kFlatData}, 0xFFFFFFFF, 0};
    state.segments[Segment::kCs] = {entry.code_selector, {code}, 0xFFFFFFFF, 0};
    state.gdtr = {entry.gdt_base.value, entry.gdt_limit};
    state.idtr = {0, 0};  // a fault before the kernel has its own handlers ends in a shutdown
    state.rip = entry.rip;
    state.gpr[x86::kRax] = entry.rax;
    state.gpr[x86::kRbx] = entry.rbx;
    state.gpr[x86::kRsi] = entry.rsi;
    state.cr0 = entry.cr0;
    state.cr3 = entry.cr3;
    state.cr4 = entry.cr4;
    state.msr.efer = entry.efer;
    state.rflags = x86::kFlagsFixed;
}

void apply_firmware_state(x86::RegisterState& state) {
    // IA32_MTRR_DEF_TYPE: MTRRs on, default type 6 (Intel SDM vol. 3 section 12.11.2.1). Device
    // memory is kept uncached by the page tables.
    constexpr uint64_t kEnabled = 1U << 11;
    constexpr uint64_t kWriteBack = 6;
    state.msr.mtrr_def_type = kEnabled | kWriteBack;
}

}  // namespace banyan::loader
