#include "host/linux/data_directory.hpp"

#include <cstdlib>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace banyan {

std::string data_directory() {
    const char* data = std::getenv("XDG_DATA_HOME");
    if (data != nullptr && data[0] == '/') return fmt::format("{}/banyan", data);
    if (::geteuid() == 0) return "/var/lib/banyan";
    const char* home = std::getenv("HOME");
    return fmt::format("{}/.local/share/banyan", home != nullptr ? home : "");
}

void make_directories(const std::string& path) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1))
        ::mkdir(path.substr(0, slash).c_str(), 0700);
    ::mkdir(path.c_str(), 0700);
}

Result<RunDirectory> open_data_directory(const std::string& name) {
    return open_data_directory_at(fmt::format("{}/{}", data_directory(), name));
}

Result<RunDirectory> open_data_directory_at(const std::string& path) {
    make_directories(path);
    return RunDirectory::open_at(path);
}

}  // namespace banyan
