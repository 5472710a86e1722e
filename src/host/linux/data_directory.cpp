#include "host/linux/data_directory.hpp"

#include <cstdlib>
#include <fmt/format.h>
#include <sys/stat.h>

namespace banyan {

namespace {

std::string data_home() {
    const char* data = std::getenv("XDG_DATA_HOME");
    if (data != nullptr && data[0] == '/') return data;
    const char* home = std::getenv("HOME");
    return fmt::format("{}/.local/share", home != nullptr ? home : "");
}

}  // namespace

Result<RunDirectory> open_data_directory(const std::string& name) {
    return open_data_directory_at(fmt::format("{}/banyan/{}", data_home(), name));
}

Result<RunDirectory> open_data_directory_at(const std::string& path) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1))
        ::mkdir(path.substr(0, slash).c_str(), 0700);
    return RunDirectory::open_at(path);
}

}  // namespace banyan
