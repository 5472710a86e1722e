// Qcow2Image: requests that others carry out, in the places where their clusters are.
#include "backends/block/image/qcow2_image.hpp"

namespace banyan {

// An image that is only read gives up no clusters, so that nobody asks who is under way in it.
bool Qcow2Image::begin_direct(DirectKind kind, uint64_t offset, uint64_t, const Scatter& bytes,
                              DirectPlaces& places) {
    if (kind != DirectKind::read && kind != DirectKind::write) return false;
    if (!writable_) return find_places(kind, offset, bytes, places);
    const uint64_t mark = in_flight_.enter();
    if (!find_places(kind, offset, bytes, places)) {
        in_flight_.leave(mark);
        return false;
    }
    places.set_mark(mark);
    return true;
}

void Qcow2Image::end_direct(const DirectPlaces& places) {
    if (writable_) in_flight_.leave(places.mark());
}

bool Qcow2Image::find_places(DirectKind kind, uint64_t offset, const Scatter& bytes,
                             DirectPlaces& places) {
    for (uint64_t done = 0; done < bytes.size();) {
        const auto extent = mapping_.map_from_cache(offset + done, bytes.size() - done);
        if (!extent) return false;
        const Scatter part = bytes.part(done, extent->length);
        if (!add_place(kind, *extent, offset + done, part, places)) return false;
        done += extent->length;
    }
    return true;
}

bool Qcow2Image::add_place(DirectKind kind, const Qcow2Extent& extent, uint64_t offset,
                           const Scatter& bytes, DirectPlaces& places) {
    const DirectPlace there{file_.get(), extent.host, extent.length};
    // What lies behind the end of the file, its last cluster's rest, is for those who can let it
    // grow, or know it to be zeroes.
    if (extent.kind == ExtentKind::data) {
        const uint64_t size = file_->size();
        if (extent.host > size || extent.length > size - extent.host) return false;
    }
    if (kind == DirectKind::write) {
        return extent.in_place() && !failed_ && !leads_to_table(extent) && places.add(there);
    }
    if (extent.kind == ExtentKind::data) return places.add(there);
    if (reads_as_zeroes(extent, offset)) return places.add({nullptr, 0, extent.length});
    const bool in_backing = extent.kind == ExtentKind::absent && backing_covers(offset) &&
                            extent.length <= backing_->size() - offset;
    return in_backing && backing_->begin_direct(kind, offset, extent.length, bytes, places);
}

}  // namespace banyan
