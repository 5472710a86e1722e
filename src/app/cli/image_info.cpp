// What is known of an image without reading its disk.
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "app/cli/image_tasks.hpp"
#include "app/cli/image_values.hpp"
#include "backends/block/image_chain.hpp"

namespace banyan {

namespace {

using Json = nlohmann::ordered_json;

// What the file takes of the host's disk.
uint64_t host_size(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return 0;
    return static_cast<uint64_t>(info.st_blocks) * 512;
}

Json describe_backing(const std::string& path, const Qcow2Header& header) {
    Json backing{{"file", header.backing_file}};
    backing["format"] = header.backing_format ? Json(*header.backing_format) : Json();
    const auto found = find_backing_path(path, header.backing_file);
    backing["path"] = found ? Json(*found) : Json();
    return backing;
}

void describe_qcow2(const std::string& path, const Qcow2Image& image, Json& info) {
    const Qcow2Header& header = image.header();
    info["size"] = header.size;
    info["host_size"] = host_size(path);
    info["version"] = header.version;
    info["cluster_size"] = header.cluster_size();
    info["refcount_bits"] = header.refcount_bits();
    info["lazy_refcounts"] = header.lazy_refcounts();
    info["compression"] = header.compression == qcow2::kCompressionZstd ? "zstd" : "deflate";
    info["dirty"] = header.dirty();
    info["corrupt"] = header.corrupt();
    if (!header.backing_file.empty()) info["backing"] = describe_backing(path, header);
    info["snapshots"] = Json::array();
    for (const Qcow2Snapshot& snapshot : image.snapshots().all)
        info["snapshots"].push_back({{"id", snapshot.id}, {"name", snapshot.name}});
}

Result<Json> describe(const NamedImage& named) {
    TRY_ASSIGN(found, find_format(named.path));
    const ImageFormat format = named.format.value_or(found);
    Json info{{"file", named.path}, {"format", name_of(format)}};
    if (format != ImageFormat::qcow2) {
        TRY_ASSIGN(image, open_image_chain({named.path, format, true}));
        info["size"] = image.disk->size();
        info["host_size"] = host_size(named.path);
        return info;
    }
    TRY_ASSIGN(image, open_qcow2_alone(named.path, true));
    describe_qcow2(named.path, *image, info);
    return info;
}

std::string backing_text(const Json& backing) {
    const Json& format = backing["format"];
    const Json& path = backing["path"];
    return fmt::format("stands on   {} ({}), which is {}\n", backing["file"].get<std::string>(),
                       format.is_null() ? "format not recorded" : format.get<std::string>(),
                       path.is_null() ? "not a file" : path.get<std::string>());
}

std::string qcow2_text(const Json& info) {
    std::string text = fmt::format("version     {}, clusters of {}, counts of {} bits{}, {}\n",
                                   info["version"].get<int>(), size_text(info["cluster_size"]),
                                   info["refcount_bits"].get<int>(),
                                   info["lazy_refcounts"].get<bool>() ? ", written lazily" : "",
                                   info["compression"].get<std::string>());
    if (info["dirty"].get<bool>()) text += "state       not closed; is mended when it is used\n";
    if (info["corrupt"].get<bool>()) text += "state       marked as corrupt\n";
    if (info.contains("backing")) text += backing_text(info["backing"]);
    for (const Json& snapshot : info["snapshots"]) {
        text += fmt::format("snapshot    {} {}\n", snapshot["id"].get<std::string>(),
                            snapshot["name"].get<std::string>());
    }
    return text;
}

// What an image says of itself goes to a terminal.
std::string printable(std::string text) {
    for (char& c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte < 0x20 && c != '\n') || byte == 0x7F) c = '?';
    }
    return text;
}

}  // namespace

Result<std::string> image_info_text(const NamedImage& image) {
    TRY_ASSIGN(info, describe(image));
    std::string text =
        fmt::format("file        {}\nformat      {}\ndisk        {}\non the host {}\n",
                    info["file"].get<std::string>(), info["format"].get<std::string>(),
                    size_text(info["size"]), size_text(info["host_size"]));
    if (info.contains("version")) text += qcow2_text(info);
    return printable(std::move(text));
}

Result<std::string> image_info_json(const NamedImage& image) {
    TRY_ASSIGN(info, describe(image));
    // Names in an image may be anything, JSON's are UTF-8.
    return info.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace banyan
