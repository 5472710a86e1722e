// What `banyan image` does.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "backends/block/image_format.hpp"
#include "support/result.hpp"

namespace banyan {

// Told how far long work is; returns false when it is to be given up.
using Progress = std::function<bool(uint64_t done, uint64_t all)>;

// Formats: none is by the file's content, as for --disk, and for new files by their name.
struct CreateImage {
    std::string path = {};
    std::optional<ImageFormat> format = {};
    std::optional<uint64_t> size = {};  // none: the backing file's
    std::string backing = {};           // empty: none
    std::optional<ImageFormat> backing_format = {};
    uint64_t cluster_size = 65536;
    bool lazy_refcounts = false;
    bool force = false;  // replaces a file
};
Result<void> create_image(const CreateImage& wanted);

struct ConvertImage {
    std::string from = {};
    std::optional<ImageFormat> from_format = {};
    std::string to = {};
    std::optional<ImageFormat> to_format = {};
    uint64_t cluster_size = 65536;
    bool compress = false;
    bool force = false;
};
// False: it was given up, and nothing is left of it.
Result<bool> convert_image(const ConvertImage& wanted, const Progress& progress);

struct NamedImage {
    std::string path = {};
    std::optional<ImageFormat> format = {};
};
Result<std::string> image_info_text(const NamedImage& image);
Result<std::string> image_info_json(const NamedImage& image);

// `size`: in bytes, or what is added.
struct ResizeImage {
    NamedImage image;
    uint64_t size = 0;
    bool add = false;
};
Result<void> resize_image(const ResizeImage& wanted);

struct CheckedImage {
    bool sound = true;
    std::string text;
};
Result<CheckedImage> check_image(const std::string& path, bool repair);

}  // namespace banyan
