// Linux bzImage by the 64-bit boot protocol: Linux Documentation/arch/x86/boot.rst, "64-bit Boot
// Protocol".
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "loader/bzimage_regs.hpp"
#include "loader/loading.hpp"
#include "support/bits.hpp"
#include "support/le.hpp"

namespace banyan::loader {

namespace {

namespace zp = zero_page;

// The fields of the setup header that decide how the kernel is loaded, checked.
struct SetupHeader {
    std::vector<std::byte> bytes;  // the header as it goes to the zero page
    uint64_t kernel_offset = 0;    // in the file: the protected-mode part
    uint64_t kernel_size = 0;
    uint64_t init_size = 0;  // memory that it needs from its load address
    uint64_t pref_address = 0;
    uint64_t alignment = 0;
    bool relocatable = false;
    uint64_t initrd_end = 0;
    uint64_t cmdline_size = 0;
};

tl::unexpected<Error> bad_kernel(const LoadRequest& request, const char* why) {
    return image_error(ErrorCode::invalid_data, "kernel", request.kernel_name, "%s", why);
}

template <class T>
T field(const LoadRequest& request, uint64_t offset) {
    // check_header has seen that the bytes are there.
    return request.kernel->object<T>(offset).value_or(T{});
}

// Is the header of a kind that can be started, and all there?
Result<void> check_header(const LoadRequest& request) {
    if (request.kernel->size() < zp::kHeaderEndMax) {
        return bad_kernel(request,
                          "the file ends inside the setup header; it is truncated, copy it again");
    }
    const unsigned version = field<le16>(request, zp::kVersion);
    if (version < zp::kFirstVersion) {
        return image_error(ErrorCode::invalid_data, "kernel", request.kernel_name,
                           "boot protocol %u.%02u is too old; give a kernel of Linux 3.8 or newer",
                           version >> 8, version & 0xFF);
    }
    if ((field<le16>(request, zp::kXloadflags) & zp::kXlfKernel64) == 0) {
        return bad_kernel(request,
                          "it is a 32-bit kernel without a 64-bit entry; give a kernel for x86-64");
    }
    const uint64_t end = zp::kHeaderMagic + field<uint8_t>(request, zp::kHeaderLength);
    if (end < zp::kInitSize + sizeof(le32) || end > zp::kHeaderEndMax) {
        return bad_kernel(
            request,
            "its setup header has an impossible length; the file is damaged, copy it again");
    }
    return {};
}

// The part behind the real-mode code. Signed kernels have more bytes behind it, which do not
// matter.
Result<void> find_kernel(const LoadRequest& request, SetupHeader& header) {
    const uint8_t sectors = field<uint8_t>(request, zp::kSetupSects);
    constexpr uint8_t kDefaultSectors = 4;  // what 0 stands for
    header.kernel_offset =
        (uint64_t{sectors == 0 ? kDefaultSectors : sectors} + 1) * zp::kSectorSize;
    header.kernel_size = uint64_t{field<le32>(request, zp::kSyssize)} * 16;
    if (!request.kernel->has(header.kernel_offset, header.kernel_size) ||
        header.kernel_size <= zp::kEntry64) {
        return image_error(
            ErrorCode::invalid_data, "kernel", request.kernel_name,
            "the file is truncated: it has %llu bytes of %llu; copy it again",
            static_cast<unsigned long long>(request.kernel->size()),
            static_cast<unsigned long long>(header.kernel_offset + header.kernel_size));
    }
    return {};
}

Result<SetupHeader> read_header(const LoadRequest& request) {
    TRY(check_header(request));
    SetupHeader header;
    TRY(find_kernel(request, header));
    const uint64_t end = zp::kHeaderMagic + field<uint8_t>(request, zp::kHeaderLength);
    header.bytes.resize(end - zp::kSetupHeader);
    TRY(request.kernel->read(zp::kSetupHeader, header.bytes));
    header.init_size = std::max<uint64_t>(field<le32>(request, zp::kInitSize), header.kernel_size);
    header.pref_address = field<le64>(request, zp::kPrefAddress);
    header.alignment = field<le32>(request, zp::kKernelAlignment);
    header.relocatable = field<uint8_t>(request, zp::kRelocatable) != 0;
    header.initrd_end = uint64_t{field<le32>(request, zp::kInitrdAddrMax)} + 1;
    header.cmdline_size = field<le32>(request, zp::kCmdlineSize);
    if (!std::has_single_bit(header.alignment)) {
        return bad_kernel(request,
                          "its alignment is no power of two; the file is damaged, copy it again");
    }
    return header;
}

Result<void> check_command_line(const LoadRequest& request, const SetupHeader& header) {
    if (request.command_line.size() <= header.cmdline_size) return {};
    return image_error(ErrorCode::invalid_argument, "kernel", request.kernel_name,
                       "it takes a command line of at most %llu bytes, not %zu; shorten --append",
                       static_cast<unsigned long long>(header.cmdline_size),
                       request.command_line.size());
}

// At the address that the kernel prefers (it then need not relocate itself), or for a relocatable
// one anywhere from 16 MiB, then from 1 MiB.
Result<Gpa> place_kernel(Loading& loading, const SetupHeader& header) {
    Placement& placement = loading.placement;
    if (placement.take(header.pref_address, header.init_size)) return Gpa{header.pref_address};
    if (header.relocatable) {
        for (const uint64_t from : {uint64_t{16} << 20, uint64_t{1} << 20}) {
            if (const auto at = placement.take_lowest(header.init_size, header.alignment, from))
                return *at;
        }
    }
    return image_error(
        ErrorCode::invalid_argument, "kernel", loading.request.kernel_name,
        "it needs %lluM of memory to start, and the guest has %lluM below 4G; give at least "
        "--memory %lluM",
        in_mib(header.init_size), in_mib(placement.ram_bytes()),
        in_mib(header.init_size + (uint64_t{16} << 20)));
}

class ZeroPage {
public:
    template <class T>
    void set(uint64_t offset, T value) {
        std::memcpy(bytes_.data() + offset, &value, sizeof(value));
    }
    void copy(uint64_t offset, std::span<const std::byte> from) {
        std::copy(from.begin(), from.end(), bytes_.begin() + static_cast<ptrdiff_t>(offset));
    }
    std::span<const std::byte> bytes() const { return bytes_; }

private:
    std::array<std::byte, zp::kSize> bytes_{};
};

void set_memory_map(ZeroPage& page, std::span<const E820Entry> map) {
    const uint64_t count = std::min<uint64_t>(map.size(), zp::kE820Max);
    page.set(zp::kE820Entries, static_cast<uint8_t>(count));
    for (uint64_t i = 0; i < count; ++i) {
        const uint64_t at = zp::kE820Table + i * zp::kE820EntrySize;
        page.set(at, map[i].start.value);
        page.set(at + 8, map[i].length);
        page.set(at + 16, static_cast<uint32_t>(map[i].type));
    }
}

// Mode 3 of a colour VGA with 256 KiB.
void set_screen(ZeroPage& page) {
    page.set(zp::kVideoMode, uint8_t{3});
    page.set(zp::kVideoColumns, uint8_t{80});
    page.set(zp::kVideoEgaBx, uint16_t{3});
    page.set(zp::kVideoLines, uint8_t{25});
    page.set(zp::kVideoIsVga, uint8_t{1});
    page.set(zp::kVideoPoints, uint16_t{16});
}

Result<Gpa> put_zero_page(Loading& loading, const SetupHeader& header, const Initrd& initrd,
                          Gpa command_line) {
    ZeroPage page;
    page.copy(zp::kSetupHeader, header.bytes);
    page.set(zp::kTypeOfLoader, zp::kLoaderUndefined);
    page.set(zp::kRamdiskImage,
             static_cast<uint32_t>(initrd.start.value));  // below 4 GiB, as is all of Placement
    page.set(zp::kRamdiskSize, static_cast<uint32_t>(initrd.length));
    page.set(zp::kCmdLinePtr, static_cast<uint32_t>(command_line.value));
    page.set(zp::kAcpiRsdpAddr, loading.request.rsdp.value);
    if (loading.request.vga_text) set_screen(page);
    set_memory_map(page, loading.request.memory_map);
    return put_low(loading, page.bytes(), kPageSize);
}

}  // namespace

Result<EntryState> load_bzimage(Loading& loading) {
    TRY_ASSIGN(header, read_header(loading.request));
    TRY(check_command_line(loading.request, header));
    TRY_ASSIGN(kernel, place_kernel(loading, header));
    TRY(copy_in(loading, kernel, *loading.request.kernel, header.kernel_offset,
                header.kernel_size));
    TRY_ASSIGN(initrd, put_initrd(loading, header.initrd_end));
    TRY_ASSIGN(command_line, put_string(loading, loading.request.command_line));
    TRY_ASSIGN(page, put_zero_page(loading, header, initrd, command_line));

    EntryState entry;
    entry.format = ImageFormat::bzimage;
    entry.mode = EntryMode::long64;
    entry.rip = kernel.value + zp::kEntry64;
    entry.rsi = page.value;
    TRY(put_entry_tables(loading, entry));
    return entry;
}

}  // namespace banyan::loader
