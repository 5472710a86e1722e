#include "app/cli/definition_file.hpp"

#include <array>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <unistd.h>

#include "app/definition/libvirt_domain.hpp"
#include "app/definition/toml_file.hpp"
#include "host/linux/stderr_log.hpp"
#include "host/posix/host_error.hpp"
#include "host/posix/unique_fd.hpp"

namespace banyan {

namespace {

constexpr size_t kLargestDefinition = size_t{1} << 20;

Result<std::string> read_text(const std::string& file) {
    const std::string what = "read the definition " + quote_name(file);
    const bool is_input = file == "-";
    UniqueFd opened;
    if (!is_input) opened.reset(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    const int fd = is_input ? STDIN_FILENO : opened.get();
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t count =
            retry_interrupted([&] { return ::read(fd, buffer.data(), buffer.size()); });
        if (count < 0) return host_fail(errno, what, "check its name and rights");
        if (count == 0) return text;
        text.append(buffer.data(), static_cast<size_t>(count));
        if (text.size() > kLargestDefinition) {
            return fail(ErrorCode::invalid_data,
                        what + ": it is larger than 1 MiB; give a definition of a VM");
        }
    }
}

}  // namespace

Result<VmDefinition> read_definition(const std::string& file) {
    TRY_ASSIGN(text, read_text(file));
    const auto path = std::filesystem::absolute(file == "-" ? "." : file).lexically_normal();
    return definition_from_toml(file, text, path.parent_path());
}

Result<VmDefinition> read_libvirt_definition(const std::string& file) {
    TRY_ASSIGN(text, read_text(file));
    TRY_ASSIGN(read, import_libvirt(file, text));
    for (const std::string& element : read.ignored)
        print_message(fmt::format("create: ignored of {}: {}", quote_name(file), element));
    return std::move(read.definition);
}

}  // namespace banyan
