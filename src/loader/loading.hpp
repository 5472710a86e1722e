// What the formats share while one kernel is being loaded.
#pragma once

#include "loader/image_error.hpp"
#include "loader/loader.hpp"
#include "loader/placement.hpp"

namespace banyan::loader {

struct Loading {
    Loading(const LoadRequest& asked, GuestMemory& guest)
        : request(asked), memory(guest), placement(asked.memory_map) {}

    const LoadRequest& request;
    GuestMemory& memory;
    Placement placement;
};

Result<EntryState> load_bzimage(Loading& loading);
Result<EntryState> load_pvh(Loading& loading);
Result<EntryState> load_multiboot(Loading& loading);

// Is there a PVH note, a multiboot header?
bool has_pvh_note(const ImageFile& file);
bool has_multiboot_header(const ImageFile& file);

// Copies into RAM that placement gave. Fails only if the memory map shows RAM that GuestMemory has
// not.
Result<void> copy_in(Loading& loading, Gpa to, std::span<const std::byte> bytes);
Result<void> clear(Loading& loading, Gpa from, uint64_t length);
// The same with a part of a file, which has it.
Result<void> copy_in(Loading& loading, Gpa to, const ImageFile& file, uint64_t offset,
                     uint64_t length);

// Places bytes in the lowest free RAM.
Result<Gpa> put_low(Loading& loading, std::span<const std::byte> bytes, uint64_t alignment);
// A string with its terminating zero.
Result<Gpa> put_string(Loading& loading, std::string_view text);

// All modules one after the other, each at a multiple of 4 as the kernel's initramfs reader wants
// them, as high as possible and ending at or below `end`.
struct Initrd {
    Gpa start;
    uint64_t length = 0;  // 0: there is none
};
Result<Initrd> put_initrd(Loading& loading, uint64_t end);

// A GDT with flat segments, and for long64 page tables that map the first 4 GiB to themselves;
// fills the control registers and selectors of `entry` to match its mode.
Result<void> put_entry_tables(Loading& loading, EntryState& entry);

}  // namespace banyan::loader
