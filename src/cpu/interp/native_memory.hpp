// CodeMemory: where generated code lives. Written through one mapping, executed through another
// (W^X).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace banyan::interp {

class CodeMemory {
public:
    enum class Mapping {
        twice_if_possible,
        once,  // what hosts get that forbid executable shared memory
    };

    // Nothing is mapped if the host refuses both ways; then add() always fails.
    explicit CodeMemory(size_t size, Mapping mapping = Mapping::twice_if_possible);
    ~CodeMemory();
    CodeMemory(const CodeMemory&) = delete;
    CodeMemory& operator=(const CodeMemory&) = delete;

    // Where the next piece of code will run, for code that depends on its place.
    const uint8_t* next() const { return execute_ + used_; }
    size_t used() const { return used_; }
    size_t left() const { return size_ - used_; }
    // Forgets what was added after the first `used` bytes.
    void truncate(size_t used) { used_ = used; }
    // Appends code. Null: full.
    const uint8_t* add(std::span<const uint8_t> code);
    // Replaces what is at `at` (an address that add() returned). Nobody may be executing it.
    void replace(const uint8_t* at, std::span<const uint8_t> code);

private:
    static constexpr size_t kPage = 4096;

    bool map_twice();
    bool map_once();
    void write(size_t offset, std::span<const uint8_t> code);

    size_t size_ = 0;
    size_t used_ = 0;
    uint8_t* execute_ = nullptr;
    uint8_t* write_ = nullptr;  // null: one mapping, whose pages are made writable for a moment
};

}  // namespace banyan::interp
