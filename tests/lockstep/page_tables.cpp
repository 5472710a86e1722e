// The two address spaces.
#include "lockstep/kernel.hpp"

namespace banyan::lockstep {

namespace {

constexpr uint64_t kUsed = 0x60;  // accessed and dirty
constexpr uint64_t kTablePage = kPresent | kWritable | kUserPage | kUsed;

uint64_t slot(uint64_t table, uint64_t offset) {
    return table + offset / kPage * 8;
}

// What a data page is like, by its number: the first ones are plain, so that most accesses find
// something; each kind of trouble has a few.
uint64_t attributes_of_data_page(uint64_t page, Random& random) {
    constexpr uint64_t kPlain = kPresent | kWritable | kUserPage;
    if (page < 8) return kPlain | kNoExecute;
    if (page < 12) return kWritable | kUserPage | kMapOnFault;
    if (page < 14) return kPresent | kUserPage | kWritableOnFault;
    if (page == 14) return kPresent | kUserPage;
    if (page == 15) return kWritable | kUserPage;
    if (page == 16) return kPresent | kWritable;
    if (page == 17) return kPlain | kNoExecute | kExecutableOnFault;
    if (page < 26) return kPlain;
    return random.pick({kPlain, kPlain, kPlain | kUsed, kPresent | kUserPage,
                        kWritable | kUserPage | kMapOnFault,
                        kPresent | kUserPage | kWritableOnFault, kWritable | kUserPage});
}

// Pages 18 to 21 show pages 0 to 3 once more; 22 to 25 are in another order under the second root.
uint64_t frame_of_data_page(uint64_t page, bool second_root) {
    uint64_t frame = page;
    if (page >= 18 && page < 22) frame = page - 18;
    if (page >= 22 && page < 26 && second_root) frame = 22 + (page - 21) % 4;
    return kData + frame * kPage;
}

void map_range(Image& image, uint64_t table, uint64_t offset, uint64_t gpa, uint64_t size,
               uint64_t attributes) {
    for (uint64_t done = 0; done < size; done += kPage)
        image.put(slot(table, offset + done), (gpa + done) | attributes);
}

// Most pages of code are there; some come, or become executable, when they are first run.
void map_code(Image& image, uint64_t table, uint64_t offset, uint64_t attributes, Random& random) {
    for (uint64_t page = 0; page < kCodeSize / kPage; ++page) {
        uint64_t own = attributes;
        if (random.chance(15)) own = (own & ~kPresent) | kMapOnFault;
        if (random.chance(10)) own |= kNoExecute | kExecutableOnFault;
        image.put(slot(table, offset + page * kPage), (kCode + page * kPage) | own);
    }
}

void build_kernel_window(Image& image, Random& random) {
    constexpr uint64_t kAttributes = kPresent | kWritable | kGlobal;
    map_range(image, kKernelTable, 0, 0, kLargePage, kAttributes | kUsed);
    for (uint64_t page = 0; page < kDataPages; ++page) {
        const uint64_t attributes = attributes_of_data_page(page, random) & ~kUserPage;
        image.put(slot(kKernelTable, kData + page * kPage),
                  frame_of_data_page(page, false) | attributes);
    }
    map_code(image, kKernelTable, kCode, kPresent | kWritable, random);
    image.put(slot(kKernelTable, kRemapWindow), kRemapPages | kAttributes);
    image.put(kKernelDirectory, kKernelTable | kTablePage);
    image.put(kKernelDirectory + 8, kLargePage | kAttributes | kLarge);
    image.put(kKernelPdpt, kKernelDirectory | kTablePage);
}

void build_user_window(Image& image, bool second_root, uint64_t random_seed) {
    const uint64_t step = second_root ? kPage : 0;
    const uint64_t table = kUserTableA + step;
    constexpr uint64_t kAttributes = kPresent | kWritable | kUserPage;
    Random random(random_seed, second_root ? 1 : 0);
    map_code(image, table, kCode, kAttributes, random);
    map_code(image, table, kCodeAlias + kCode, kAttributes, random);
    map_range(image, table, kControl, kControl, kPage, kAttributes | kNoExecute);
    map_range(image, table, kStack, kStack, kStackSize, kAttributes | kNoExecute);
    map_range(image, table, kScratchCode, kScratchCode, kScratchSize, kAttributes);
    map_range(image, table, kRemapWindow, kRemapPages + step, kPage, kAttributes);
    for (uint64_t page = 0; page < kDataPages; ++page) {
        image.put(slot(table, kData + page * kPage),
                  frame_of_data_page(page, second_root) | attributes_of_data_page(page, random));
    }
    image.put(kUserDirectoryA + step, table | kTablePage);
    image.put(kUserDirectoryA + step + 8, kLargePage | kAttributes | kLarge);
    image.put(kUserPdptA + step + (kUserWindow >> 30) * 8, (kUserDirectoryA + step) | kTablePage);
    const uint64_t root = kRootA + step;
    image.put(root, (kUserPdptA + step) | kTablePage);
    image.put(root + ((kKernelWindow >> 39) & 511) * 8, kKernelPdpt | kTablePage);
}

}  // namespace

void build_page_tables(Image& image, Random& random) {
    build_kernel_window(image, random);
    const uint64_t seed = random.bits();
    build_user_window(image, false, seed);
    build_user_window(image, true, seed);
}

}  // namespace banyan::lockstep
