#include "app/cli/image_tasks.hpp"

#include <fmt/format.h>

#include "app/cli/image_values.hpp"
#include "app/cli/new_image.hpp"
#include "backends/block/image/qcow2_check.hpp"
#include "backends/block/image_chain.hpp"
#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

tl::unexpected<Error> wrong_create(std::string_view text) {
    return fail(ErrorCode::invalid_argument, fmt::format("image create: {}", text));
}

// The size and format of what the new image stands on, which must be there.
Result<void> take_backing(const CreateImage& wanted, NewQcow2& image) {
    TRY_ASSIGN(path, find_backing_path(wanted.path, wanted.backing));
    TRY_ASSIGN(backing, open_image_chain({path, wanted.backing_format, true}));
    if (!can_be_written(backing.format)) {
        return wrong_create(
            "the backing file must be raw or qcow2; copy it with banyan image convert");
    }
    image.backing_file = wanted.backing;
    image.backing_format = name_of(backing.format);
    // A raw base may end with a part of a sector.
    if (!wanted.size) image.size = (backing.disk->size() + 511) / 512 * 512;
    return {};
}

Result<NewQcow2> describe(const CreateImage& wanted, ImageFormat format) {
    TRY_ASSIGN(cluster_bits, cluster_bits_of(wanted.cluster_size));
    NewQcow2 image{.size = wanted.size.value_or(0),
                   .cluster_bits = cluster_bits,
                   .lazy_refcounts = wanted.lazy_refcounts};
    if (wanted.backing.empty() && !wanted.size) {
        return wrong_create("no size was given; give one, such as 10G");
    }
    if (!wanted.backing.empty()) {
        if (format == ImageFormat::raw) {
            return wrong_create(
                "a raw image cannot stand on another; leave out --backing, or use "
                "--format qcow2");
        }
        TRY(take_backing(wanted, image));
    }
    TRY(check_disk_size(image.size));
    return image;
}

std::string findings_text(const Qcow2Report& report) {
    std::string text;
    for (const std::string& finding : report.findings)
        text += fmt::format("error: {}\n", finding);
    if (report.errors > report.findings.size()) {
        text += fmt::format("... and {} more\n", report.errors - report.findings.size());
    }
    text += fmt::format("{} errors, {} clusters wasted; {} of {} clusters are in the image\n",
                        report.errors, report.leaks, report.allocated_clusters, report.clusters);
    return text;
}

}  // namespace

Result<void> create_image(const CreateImage& wanted) {
    const ImageFormat format = format_for(wanted.path, wanted.format);
    TRY_ASSIGN(description, describe(wanted, format));
    TRY_ASSIGN(image, NewImageFile::create(
                          wanted.path, format, description,
                          wanted.force ? NewFile::IfThere::replace : NewFile::IfThere::refuse));
    return image.finish();
}

Result<void> resize_image(const ResizeImage& wanted) {
    TRY_ASSIGN(image, open_image_chain({wanted.image.path, wanted.image.format, false}));
    uint64_t size = wanted.size;
    if (wanted.add && __builtin_add_overflow(image.disk->size(), wanted.size, &size)) {
        return fail(ErrorCode::invalid_argument, "image resize: too large a size; give less");
    }
    TRY(check_disk_size(size));
    TRY(image.disk->resize(size));
    return image.disk->close();
}

Result<CheckedImage> check_image(const std::string& path, bool repair) {
    TRY_ASSIGN(format, find_format(path));
    if (format == ImageFormat::raw) {
        return fail(ErrorCode::unsupported,
                    fmt::format("check {}: it is a raw image, in which nothing can be wrong; check "
                                "its file system in the guest",
                                quote_name(path)));
    }
    if (format != ImageFormat::qcow2) {
        return fail(ErrorCode::unsupported,
                    fmt::format("check {}: only qcow2 images are checked; see with banyan image "
                                "convert whether it can be read",
                                quote_name(path)));
    }
    TRY_ASSIGN(image, open_qcow2_alone(path, !repair));
    if (repair) {
        TRY(image->mend());
        TRY(image->close());
    }
    TRY_ASSIGN(report, check_qcow2(image->file(), image->header(), image->snapshots(),
                                   "the disk image " + quote_name(path)));
    return CheckedImage{report.errors == 0, findings_text(report)};
}

}  // namespace banyan
