#include "machine/boards/flash_memory.hpp"

namespace banyan {

Result<std::unique_ptr<FlashMemory>> FlashMemory::create(GuestMemory& memory, Gpa start,
                                                         std::span<std::byte> bytes) {
    TRY_ASSIGN(window, memory.add_window(bytes, 1));
    const WindowPlace place{start, 0, bytes.size(), MemoryKind::rom};
    auto made = std::unique_ptr<FlashMemory>(new FlashMemory(memory, place, window));
    made->show(true);
    return made;
}

void FlashMemory::show(bool readable) {
    memory_.place_window(window_, std::span(&place_, readable ? 1 : 0));
}

void FlashMemory::changed(uint64_t offset, uint64_t length) {
    memory_.written(place_.start + offset, length);
}

}  // namespace banyan
