// `banyan image`: its sub-commands and their options.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace banyan {

// As they were given. An empty text stands for the default.
struct ImageCommandOptions {
    std::string file;
    std::string size;
    std::string format;
    std::string backing;
    std::string backing_format;
    std::string cluster_size;
    std::string target;
    std::string target_format;
    bool lazy_refcounts = false;
    bool compress = false;
    bool force = false;
    bool repair = false;
    bool json = false;
};

// Declares the sub-commands; parsing fills `options`, which must outlive them.
void add_image_commands(CLI::App& image, ImageCommandOptions& options);

// Does what the one that was given asks for; returns the exit status.
int run_image_command(const CLI::App& image, const ImageCommandOptions& options);

}  // namespace banyan
