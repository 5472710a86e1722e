#include "backends/block/image_chain.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <vector>

#include "backends/block/foreign/vdi_image.hpp"
#include "backends/block/foreign/vhd_image.hpp"
#include "backends/block/foreign/vhdx_image.hpp"
#include "backends/block/foreign/vmdk_image.hpp"
#include "backends/block/image/image_error.hpp"
#include "backends/block/image/raw_image.hpp"
#include "backends/block/nbd_file.hpp"
#include "backends/block/posix_file.hpp"
#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

constexpr size_t kMostFiles = 64;
constexpr uint64_t kSectorSize = 512;

std::string message_name(const std::string& path) {
    return "the disk image " + quote_name(path);
}

Result<ImageFormat> format_in(ImageFile& file) {
    std::array<std::byte, 4> bytes{};
    TRY(file.read_bytes(0, bytes));
    return looks_like_qcow2(bytes) ? ImageFormat::qcow2 : ImageFormat::raw;
}

// Who calls a file so says what it is.
bool named_as_qcow2(const std::string& path) {
    return path.ends_with(".qcow2");
}

Result<void> check_raw_size(uint64_t size, const std::string& path) {
    const std::string what = "open the disk " + quote_name(path);
    if (size < kSectorSize) {
        return fail(ErrorCode::invalid_data,
                    fmt::format("{}: {} bytes are less than a sector of 512; give a complete image",
                                what, size));
    }
    if (size % kSectorSize != 0) {
        return fail(ErrorCode::invalid_data,
                    fmt::format("{}: {} bytes are not a multiple of 512; give a complete raw "
                                "image, or lengthen it with truncate -s %512",
                                what, size));
    }
    return {};
}

// Opens files from the top to the base, and sees to it that there is a base.
class ChainOpener {
public:
    explicit ChainOpener(DiskCache cache) : cache_(cache) {}

    Result<OpenedImage> open_top(const ImageOptions& options) {
        if (is_nbd_uri(options.path)) return open_server(options);
        const auto said = options.format ? options.format : format_of_name(options.path);
        if (said && !can_be_written(*said)) return open_foreign(options, *said);
        TRY_ASSIGN(file, open_file("open the disk", options.path, options.read_only));
        TRY_ASSIGN(found, format_in(*file));
        OpenedImage opened{nullptr, options.format.value_or(found), !options.format};
        if (opened.format == ImageFormat::raw) {
            TRY(check_raw_size(file->size(), options.path));
            const auto guard = opened.guessed ? RawImage::Guard::formats : RawImage::Guard::none;
            opened.disk =
                std::make_unique<RawImage>(std::move(file), message_name(options.path), guard);
            return opened;
        }
        TRY_ASSIGN(image, open_qcow2(std::move(file), options.path, !options.read_only));
        const bool named = options.format.has_value() || named_as_qcow2(options.path);
        if (!image->header().backing_file.empty() && !named) {
            return unsupported_image(
                message_name(options.path),
                "it holds a qcow2 image that names another file, which a guest may have written",
                "if it is an image of yours, say format=qcow2, else format=raw");
        }
        TRY(open_backing(*image, options.path));
        opened.disk = std::move(image);
        return opened;
    }

private:
    static Result<void> check_read_only(const ImageOptions& options, std::string_view what) {
        if (options.read_only) return {};
        return unsupported_image(message_name(options.path), fmt::format("{} are only read", what),
                                 "add ,readonly=on to --disk, or make a qcow2 image of it with "
                                 "banyan image convert");
    }

    static Result<OpenedImage> open_server(const ImageOptions& options) {
        TRY(check_read_only(options, "disks of NBD servers"));
        if (options.format.value_or(ImageFormat::raw) != ImageFormat::raw) {
            return unsupported_image(message_name(options.path), "a server's disk is always raw",
                                     "let the server read the image that it has");
        }
        TRY_ASSIGN(file, open_nbd(options.path));
        TRY(check_raw_size(file->size(), options.path));
        return OpenedImage{std::make_unique<RawImage>(std::move(file), message_name(options.path)),
                           ImageFormat::raw, false};
    }

    Result<OpenedImage> open_foreign(const ImageOptions& options, ImageFormat format) {
        TRY(check_read_only(options, fmt::format("images of the format {}", name_of(format))));
        TRY_ASSIGN(file, open_file("open the disk", options.path, true));
        TRY_ASSIGN(disk, read_foreign(std::move(file), format, options.path));
        return OpenedImage{std::move(disk), format, false};
    }

    Result<std::unique_ptr<DiskImage>> read_foreign(std::unique_ptr<ImageFile> file,
                                                    ImageFormat format, const std::string& path) {
        const std::string name = message_name(path);
        switch (format) {
            case ImageFormat::vdi: return open_vdi(std::move(file), name);
            case ImageFormat::vhd: return open_vhd(std::move(file), name);
            case ImageFormat::vhdx: return open_vhdx(std::move(file), name);
            case ImageFormat::vmdk:
            case ImageFormat::raw:
            case ImageFormat::qcow2: break;
        }
        return open_vmdk(std::move(file), name,
                         [&](const std::string& extent) { return open_beside(path, extent); });
    }

    Result<std::unique_ptr<ImageFile>> open_beside(const std::string& path,
                                                   const std::string& name) {
        const size_t slash = path.rfind('/');
        const std::string folder = slash == std::string::npos ? "" : path.substr(0, slash + 1);
        TRY_ASSIGN(file, open_file("open a part of the disk", folder + name, true));
        return file;
    }

    Result<std::unique_ptr<PosixFile>> open_file(std::string_view verb, const std::string& path,
                                                 bool read_only) {
        TRY_ASSIGN(file, open_image(fmt::format("{} {}", verb, quote_name(path)), path, read_only,
                                    cache_));
        if (std::find(files_.begin(), files_.end(), file.identity) != files_.end()) {
            return malformed(message_name(path), "it stands on itself");
        }
        if (files_.size() >= kMostFiles) {
            return unsupported_image(message_name(path),
                                     fmt::format("it stands on more than {} files", kMostFiles),
                                     "make one of several with banyan image convert");
        }
        files_.push_back(file.identity);
        return std::make_unique<PosixFile>(std::move(file), message_name(path));
    }

    static Result<std::unique_ptr<Qcow2Image>> open_qcow2(std::unique_ptr<PosixFile> file,
                                                          const std::string& path, bool writable) {
        return Qcow2Image::open(std::move(file),
                                {.name = message_name(path), .writable = writable});
    }

    Result<void> open_backing(Qcow2Image& image, const std::string& path) {
        const Qcow2Header& header = image.header();
        if (header.backing_file.empty()) return {};
        TRY_ASSIGN(backing_path, find_backing_path(path, header.backing_file));
        TRY_ASSIGN(file, open_file("open the backing file", backing_path, true));
        TRY_ASSIGN(format, backing_format(header, *file, path));
        if (format == ImageFormat::raw) {
            image.set_backing(
                std::make_unique<RawImage>(std::move(file), message_name(backing_path)));
            return {};
        }
        TRY_ASSIGN(backing, open_qcow2(std::move(file), backing_path, false));
        TRY(open_backing(*backing, backing_path));
        image.set_backing(std::move(backing));
        return {};
    }

    // A base that was raw when the image was made may hold what a guest wrote.
    static Result<ImageFormat> backing_format(const Qcow2Header& header, ImageFile& file,
                                              const std::string& path) {
        if (header.backing_format == "raw") return ImageFormat::raw;
        if (header.backing_format == "qcow2") return ImageFormat::qcow2;
        if (header.backing_format) {
            return unsupported_image(
                message_name(path),
                fmt::format("its backing file is of the format {}, which is not supported",
                            quote_name(*header.backing_format)),
                "make an image without that with qemu-img convert -O qcow2");
        }
        TRY_ASSIGN(found, format_in(file));
        if (found == ImageFormat::raw) return found;
        return unsupported_image(
            message_name(path),
            "it does not say of what format its backing file is, which holds a qcow2 image",
            "record the format with qemu-img rebase -u -b BASE -F qcow2, or -F raw");
    }

    const DiskCache cache_;
    std::vector<FileIdentity> files_;
};

}  // namespace

Result<std::string> find_backing_path(const std::string& path, const std::string& backing_name) {
    constexpr std::string_view kFile = "file:";
    std::string name = backing_name;
    if (name.starts_with(kFile)) name.erase(0, kFile.size());
    const size_t colon = name.find(':');
    if (name.empty() || colon < name.find('/')) {
        return unsupported_image(
            message_name(path),
            fmt::format("its backing file {} is not the name of a file", quote_name(backing_name)),
            "give it the name of one with qemu-img rebase -u");
    }
    const size_t slash = path.rfind('/');
    if (name.front() == '/' || slash == std::string::npos) return name;
    return path.substr(0, slash + 1) + name;
}

Result<OpenedImage> open_image_chain(const ImageOptions& options) {
    return ChainOpener(options.cache).open_top(options);
}

Result<std::unique_ptr<Qcow2Image>> open_qcow2_alone(const std::string& path, bool read_only) {
    TRY_ASSIGN(file, open_image("open the disk " + quote_name(path), path, read_only));
    return Qcow2Image::open(std::make_unique<PosixFile>(std::move(file), message_name(path)),
                            {.name = message_name(path), .writable = !read_only});
}

Result<ImageFormat> find_format(const std::string& path) {
    if (is_nbd_uri(path)) return ImageFormat::raw;
    if (const auto said = format_of_name(path)) return *said;
    TRY_ASSIGN(file, open_image("open the disk " + quote_name(path), path, true));
    PosixFile posix(std::move(file), message_name(path));
    return format_in(posix);
}

}  // namespace banyan
