#include "app/cli/image_command.hpp"

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstring>
#include <fmt/format.h>

#include "app/cli/cli.hpp"
#include "app/cli/image_tasks.hpp"
#include "app/cli/print.hpp"
#include "app/cli/progress_bar.hpp"
#include "app/cli/values.hpp"
#include "host/linux/signals.hpp"
#include "host/linux/stderr_log.hpp"
#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

using Options = ImageCommandOptions;

constexpr const char* kFormatType = "raw|qcow2";  // of what is written
constexpr const char* kSourceType = "raw|qcow2|vmdk|vdi|vhd|vhdx";

void add_file(CLI::App& command, std::string& file, const char* what) {
    command.add_option("file", file, what)->type_name("FILE")->required();
}

void add_create(CLI::App& image, Options& o) {
    CLI::App& create = *image.add_subcommand("create", "make a new image");
    add_file(create, o.file, "the new image");
    create
        .add_option("size", o.size, "of its disk, with K, M, G or T; default: the backing file's")
        ->type_name("SIZE");
    create
        .add_option("-f,--format", o.format,
                    "default: raw if the name ends in .raw or .img, else qcow2")
        ->type_name(kFormatType);
    create
        .add_option("-b,--backing", o.backing,
                    "what the disk holds at first; only differences are stored. The name is "
                    "recorded, and counts from the folder of the new image")
        ->type_name("FILE");
    create
        .add_option("-F,--backing-format", o.backing_format,
                    "of the backing file, recorded; default: what it holds")
        ->type_name(kFormatType);
    create.add_option("--cluster-size", o.cluster_size, "512 to 2M; default 64K")
        ->type_name("SIZE");
    create.add_flag("--lazy-refcounts", o.lazy_refcounts,
                    "fewer writes, and a check when it was not closed");
    create.add_flag("--force", o.force, "replace a file of that name");
    create.footer(
        "Examples:\n  banyan image create disk.qcow2 20G\n  banyan image create disk.img 512M\n"
        "  banyan image create -b debian.img -F raw overlay.qcow2");
}

void add_convert(CLI::App& image, Options& o) {
    CLI::App& convert = *image.add_subcommand(
        "convert", "copy a disk to a new image, without what it stands on and without zeroes");
    add_file(convert, o.file, "the image to copy, or nbd://HOST/EXPORT");
    convert.add_option("target", o.target, "the new image")->type_name("FILE")->required();
    convert
        .add_option("-f,--format", o.format,
                    "of the image to copy; default: by its name (.vmdk, .vdi, .vhd, .vhdx), else "
                    "what it holds")
        ->type_name(kSourceType);
    convert
        .add_option("-O,--to", o.target_format,
                    "of the new image; default: raw if the name ends in .raw or .img, else qcow2")
        ->type_name(kFormatType);
    convert.add_option("--cluster-size", o.cluster_size, "512 to 2M; default 64K")
        ->type_name("SIZE");
    convert.add_flag("-c,--compress", o.compress, "compress the data (qcow2)");
    convert.add_flag("--force", o.force, "replace a file of that name");
    convert.footer(
        "Examples:\n  banyan image convert disk.img disk.qcow2\n"
        "  banyan image convert --compress overlay.qcow2 release.qcow2\n"
        "  banyan image convert -O raw disk.qcow2 /srv/disk");
}

void add_info(CLI::App& image, Options& o) {
    CLI::App& info = *image.add_subcommand("info", "what an image says of itself");
    add_file(info, o.file, "the image");
    info.add_option("-f,--format", o.format, "default: by its name, else what it holds")
        ->type_name(kSourceType);
    info.add_flag("--json", o.json, "as JSON");
    info.footer("Examples:\n  banyan image info disk.qcow2\n  banyan image info --json disk.qcow2");
}

void add_resize(CLI::App& image, Options& o) {
    CLI::App& resize = *image.add_subcommand("resize", "make the disk of an image larger");
    add_file(resize, o.file, "the image");
    resize.add_option("size", o.size, "new size, or how much more, with K, M, G or T")
        ->type_name("SIZE|+SIZE")
        ->required();
    resize.add_option("-f,--format", o.format, "default: what it holds")->type_name(kFormatType);
    resize.footer(
        "Examples:\n  banyan image resize disk.qcow2 40G\n  banyan image resize disk.img +512M\n"
        "The guest then has to enlarge its partition and file system.");
}

void add_check(CLI::App& image, Options& o) {
    CLI::App& check = *image.add_subcommand("check", "look for errors in a qcow2 image");
    add_file(check, o.file, "the image, which nobody may be using");
    check.add_flag("--repair", o.repair, "make wrong reference counts right, free what is wasted");
    check.footer(
        "Examples:\n  banyan image check disk.qcow2\n  banyan image check --repair disk.qcow2\n"
        "Exit status: 0 when no data is in danger, else 1.");
}

Result<std::optional<ImageFormat>> optional_format(std::string_view option,
                                                   const std::string& text) {
    if (text.empty()) return std::nullopt;
    TRY_ASSIGN(format, parse_format(option, text));
    return format;
}

Result<uint64_t> cluster_size_of(const Options& o) {
    return o.cluster_size.empty() ? Result<uint64_t>(65536)
                                  : parse_size("--cluster-size", o.cluster_size);
}

Result<CreateImage> parse_create(const Options& o) {
    CreateImage wanted{
        .path = o.file, .backing = o.backing, .lazy_refcounts = o.lazy_refcounts, .force = o.force};
    TRY_ASSIGN(format, optional_format("--format", o.format));
    wanted.format = format;
    TRY_ASSIGN(backing_format, optional_format("--backing-format", o.backing_format));
    wanted.backing_format = backing_format;
    TRY_ASSIGN(cluster_size, cluster_size_of(o));
    wanted.cluster_size = cluster_size;
    if (!o.size.empty()) {
        TRY_ASSIGN(size, parse_size("the size", o.size));
        wanted.size = size;
    }
    return wanted;
}

Result<ConvertImage> parse_convert(const Options& o) {
    ConvertImage wanted{.from = o.file, .to = o.target, .compress = o.compress, .force = o.force};
    TRY_ASSIGN(from_format, optional_format("--format", o.format));
    wanted.from_format = from_format;
    TRY_ASSIGN(to_format, optional_format("--to", o.target_format));
    wanted.to_format = to_format;
    TRY_ASSIGN(cluster_size, cluster_size_of(o));
    wanted.cluster_size = cluster_size;
    return wanted;
}

Result<ResizeImage> parse_resize(const Options& o) {
    const bool add = o.size.starts_with('+');
    TRY_ASSIGN(size, parse_size("the size", o.size.substr(add ? 1 : 0)));
    TRY_ASSIGN(format, optional_format("--format", o.format));
    return ResizeImage{{o.file, format}, size, add};
}

// What is half made is removed when one of them comes.
void hold_ending_signals() {
    ignore_write_signals();
    hold_signals({SIGINT, SIGTERM, SIGQUIT});
    if (!is_ignored(SIGHUP)) hold_signals({SIGHUP});
}

int create(const Options& o) {
    const auto wanted = parse_create(o);
    if (!wanted) return print_error(wanted.error(), kStatusUsage);
    hold_ending_signals();
    const auto created = create_image(*wanted);
    return created ? 0 : print_error(created.error());
}

Result<bool> convert_with_bar(const ConvertImage& wanted) {
    ProgressBar bar;
    return convert_image(wanted, [&](uint64_t done, uint64_t all) {
        bar.show(done, all);
        return held_signal() == 0;
    });
}

int convert(const Options& o) {
    const auto wanted = parse_convert(o);
    if (!wanted) return print_error(wanted.error(), kStatusUsage);
    hold_ending_signals();
    const auto complete = convert_with_bar(*wanted);
    if (!complete) return print_error(complete.error());
    if (*complete) return 0;
    print_message(fmt::format("make the image {}: SIG{} came; nothing is left of it, run it again",
                              quote_name(o.target), ::sigabbrev_np(held_signal())));
    return kStatusStopped;
}

int info(const Options& o) {
    const auto format = optional_format("--format", o.format);
    if (!format) return print_error(format.error(), kStatusUsage);
    const NamedImage image{o.file, *format};
    const auto text = o.json ? image_info_json(image) : image_info_text(image);
    return text ? print_output(*text) : print_error(text.error());
}

int resize(const Options& o) {
    const auto wanted = parse_resize(o);
    if (!wanted) return print_error(wanted.error(), kStatusUsage);
    const auto resized = resize_image(*wanted);
    return resized ? 0 : print_error(resized.error());
}

int check(const Options& o) {
    const auto checked = check_image(o.file, o.repair);
    if (!checked) return print_error(checked.error());
    const int printed = print_output(checked->text);
    if (checked->sound) return printed;
    print_message(fmt::format("check {}: it has errors; use a copy that is whole, or try --repair",
                              quote_name(o.file)));
    return kStatusFailed;
}

}  // namespace

void add_image_commands(CLI::App& image, ImageCommandOptions& options) {
    image.require_subcommand(1);
    image.footer("Examples:\n  banyan image create disk.qcow2 20G\n  banyan image create --help");
    add_create(image, options);
    add_convert(image, options);
    add_info(image, options);
    add_resize(image, options);
    add_check(image, options);
}

int run_image_command(const CLI::App& image, const ImageCommandOptions& options) {
    const std::string name = image.get_subcommands().front()->get_name();
    if (name == "create") return create(options);
    if (name == "convert") return convert(options);
    if (name == "info") return info(options);
    if (name == "resize") return resize(options);
    return check(options);
}

}  // namespace banyan
