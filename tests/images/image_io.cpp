// Changes the disk of an image, as a guest would:
//
//     image_io FILE write:OFFSET:LENGTH:BYTE zeroes:OFFSET:LENGTH discard:OFFSET:LENGTH flush
//     abandon wait ...
//
// In the end the image is closed; `abandon` ends the process without that, as a crash would. `wait`
// says "open" and goes on when it is given a line.
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "backends/block/image_chain.hpp"

namespace banyan {
namespace {

[[noreturn]] void end_with(std::string_view why) {
    std::fprintf(stderr, "image_io: %.*s\n", static_cast<int>(why.size()), why.data());
    std::exit(1);
}

std::vector<uint64_t> numbers_of(std::string_view text) {
    std::vector<uint64_t> numbers;
    while (!text.empty()) {
        text.remove_prefix(1);  // the colon
        uint64_t value = 0;
        const auto [end, error] = std::from_chars(text.begin(), text.end(), value);
        if (error != std::errc{}) end_with("not a number");
        numbers.push_back(value);
        text.remove_prefix(static_cast<size_t>(end - text.begin()));
    }
    return numbers;
}

Result<void> change(DiskImage& disk, std::string_view step) {
    const size_t colon = std::min(step.find(':'), step.size());
    const std::string_view name = step.substr(0, colon);
    const auto numbers = numbers_of(step.substr(colon));
    if (name == "write" && numbers.size() == 3) {
        std::vector<std::byte> data(numbers[1], static_cast<std::byte>(numbers[2]));
        return disk.write(numbers[0], OneBuffer(data));
    }
    if (name == "zeroes" && numbers.size() == 2) return disk.write_zeroes(numbers[0], numbers[1]);
    if (name == "discard" && numbers.size() == 2) return disk.discard(numbers[0], numbers[1]);
    if (name == "flush") return disk.flush();
    if (name == "abandon") std::_Exit(0);
    if (name == "wait") {
        std::puts("open");
        std::fflush(stdout);
        std::getchar();
        return {};
    }
    end_with("no such step");
}

int run(std::span<char*> arguments) {
    if (arguments.size() < 2) end_with("no file was given");
    auto image = open_image_chain({.path = arguments[1]});
    if (!image) end_with(image.error().text());
    for (const char* step : arguments.subspan(2)) {
        if (const auto changed = change(*image->disk, step); !changed)
            end_with(changed.error().text());
    }
    const auto closed = image->disk->close();
    if (!closed) end_with(closed.error().text());
    return 0;
}

}  // namespace
}  // namespace banyan

int main(int argc, char** argv) {
    return banyan::run(std::span(argv, static_cast<size_t>(argc)));
}
