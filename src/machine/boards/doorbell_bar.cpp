#include "machine/boards/doorbell_bar.hpp"

namespace banyan {

namespace {

// As drivers write it, for the function (virtio 1.2, 4.1.5.2); the value says nothing.
constexpr unsigned kWidth = 2;

}  // namespace

Result<std::unique_ptr<DoorbellBar>> DoorbellBar::create(DeviceSlot& slot, const PciBar& bar,
                                                         EngineDoorbells& engine) {
    auto made = std::unique_ptr<DoorbellBar>(new DoorbellBar(slot, bar));
    for (unsigned index = 0; index < bar.doorbells.count; ++index) {
        TRY_ASSIGN(doorbell, engine.create(*made, index));
        made->bells_.push_back({std::move(doorbell), Place::nowhere});
    }
    return made;
}

void DoorbellBar::map(Gpa start) {
    unmap();
    start_ = start;
}

void DoorbellBar::unmap() {
    for (Bell& bell : bells_) {
        if (bell.place == Place::engine) bell.doorbell->remove();
        bell.place = Place::nowhere;
    }
    start_.reset();
}

DoorbellBar::Bell* DoorbellBar::find(uint64_t offset) {
    const PciDoorbells& all = bar_.doorbells;
    if (offset < all.offset || (offset - all.offset) % all.stride != 0) return nullptr;
    const uint64_t index = (offset - all.offset) / all.stride;
    return index < bells_.size() ? &bells_[index] : nullptr;
}

// The engine first: a write that comes between the two is then not lost, but one too many.
IoStatus DoorbellBar::mmio_write(uint64_t offset, unsigned size, uint64_t value) {
    Bell* bell = find(offset);
    if (bell != nullptr && start_ && bell->place == Place::nowhere)
        bell->place = bell->doorbell->place(*start_ + offset) ? Place::engine : Place::refused;
    return bar_.memory->mmio_write(offset, size, value);
}

void DoorbellBar::on_doorbell(unsigned index) {
    SlotLock lock(slot_);
    (void)bar_.memory->mmio_write(offset_of(index), kWidth, 0);
}

}  // namespace banyan
