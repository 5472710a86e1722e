#include "cpu/interp/native_memory.hpp"

#include <cstring>
#include <sys/mman.h>

namespace banyan::interp {

CodeMemory::CodeMemory(size_t size, Mapping mapping) : size_(size) {
    const bool mapped = (mapping == Mapping::twice_if_possible && map_twice()) || map_once();
    if (!mapped) size_ = 0;
}

CodeMemory::~CodeMemory() {
    if (execute_ != nullptr) munmap(execute_, size_);
    if (write_ != nullptr) munmap(write_, size_);
}

// Shared memory without a name: perf looks for the names of code (docs/jit.md) in no other memory
// that can be mapped twice, and hosts that forbid executable memfds allow it.
bool CodeMemory::map_twice() {
    void* writable =
        mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (writable == MAP_FAILED) return false;
    // From a size of 0, mremap() makes a second mapping of what is shared.
    void* executable = mremap(writable, 0, size_, MREMAP_MAYMOVE);
    const bool good =
        executable != MAP_FAILED && mprotect(executable, size_, PROT_READ | PROT_EXEC) == 0;
    if (!good && executable != MAP_FAILED) munmap(executable, size_);
    if (!good) munmap(writable, size_);
    if (!good) return false;
    write_ = static_cast<uint8_t*>(writable);
    execute_ = static_cast<uint8_t*>(executable);
    return true;
}

// Hosts that forbid executable shared memory. Each piece of code has pages of its own
// then, so that no thread executes in a page while it is writable.
bool CodeMemory::map_once() {
    void* both =
        mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (both == MAP_FAILED) return false;
    execute_ = static_cast<uint8_t*>(both);
    return true;
}

const uint8_t* CodeMemory::add(std::span<const uint8_t> code) {
    const size_t alignment = write_ != nullptr ? 16 : kPage;
    const size_t space = (code.size() + alignment - 1) & ~(alignment - 1);
    if (size_ - used_ < space) return nullptr;
    const uint8_t* result = next();
    write(used_, code);
    used_ += space;
    return result;
}

void CodeMemory::replace(const uint8_t* at, std::span<const uint8_t> code) {
    write(static_cast<size_t>(at - execute_), code);
}

void CodeMemory::write(size_t offset, std::span<const uint8_t> code) {
    if (write_ != nullptr) {
        std::memcpy(write_ + offset, code.data(), code.size());
        return;
    }
    const size_t span = (code.size() + kPage - 1) & ~(kPage - 1);
    if (mprotect(execute_ + offset, span, PROT_READ | PROT_WRITE) != 0) return;
    std::memcpy(execute_ + offset, code.data(), code.size());
    if (mprotect(execute_ + offset, span, PROT_READ | PROT_EXEC) != 0) return;
}

}  // namespace banyan::interp
