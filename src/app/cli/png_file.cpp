#include "app/cli/png_file.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <memory>
#include <png.h>
#include <vector>

#include "host/linux/new_file.hpp"
#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

using WriteToFile = decltype(&::png_image_write_to_file);

WriteToFile load_writer() {
    void* const library = ::dlopen("libpng16.so.16", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return nullptr;
    // SAFETY: png.h, which comes with the library, says that the symbol is of this type.
    return reinterpret_cast<WriteToFile>(::dlsym(library, "png_image_write_to_file"));
}

// Null: libpng is not installed, or could not be loaded any more. It stays loaded.
WriteToFile find_writer() {
    static const WriteToFile writer = load_writer();
    return writer;
}

std::vector<uint8_t> to_rgb(const DisplayFrame& frame) {
    std::vector<uint8_t> bytes;
    bytes.reserve(3 * frame.pixels.size());
    for (const uint32_t pixel : frame.pixels) {
        for (const unsigned shift : {16U, 8U, 0U})
            bytes.push_back(static_cast<uint8_t>(pixel >> shift));
    }
    return bytes;
}

}  // namespace

void load_png_library() {
    (void)find_writer();
}

Result<void> write_png(const DisplayFrame& frame, const std::string& path) {
    const WriteToFile write_to_file = find_writer();
    if (write_to_file == nullptr) {
        return fail(
            ErrorCode::unsupported,
            fmt::format("write {}: there is no libpng here; install the package libpng16-16",
                        quote_name(path)));
    }
    TRY_ASSIGN(file, NewFile::create(path, NewFile::IfThere::replace));
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = frame.width;
    image.height = frame.height;
    image.format = PNG_FORMAT_RGB;
    const std::vector<uint8_t> pixels = to_rgb(frame);
    if (write_to_file(&image, file.temporary_path().c_str(), 0, pixels.data(), 0, nullptr) == 0) {
        return fail(ErrorCode::io, fmt::format("write {}: {}; see whether the disk is full",
                                               quote_name(path), image.message));
    }
    return file.keep();
}

}  // namespace banyan
