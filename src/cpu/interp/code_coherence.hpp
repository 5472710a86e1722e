// CodeCoherence: keeps the vCPUs' decoded code true to memory that other vCPUs and devices write.
//
// A page that any vCPU has decoded code of carries kPageHasCode: no TLB maps it writable, so every
// store to it is seen. Before a vCPU decodes a page for the first time it publishes the flag and
// waits until every other running vCPU has dropped its write mappings of the page; a vCPU that
// waits answers others meanwhile, one that does not run answers before it runs.
//
// Cross-modifying code needs no more: Intel SDM vol. 3 section 9.1.3 asks the executing processor
// for a serialising instruction, and those end blocks, after which a vCPU looks at its events.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "vm/guest_memory.hpp"

namespace banyan::interp {

class Cpu;

class CodeCoherence final : public WriteObserver, public LayoutObserver {
public:
    explicit CodeCoherence(GuestMemory& memory);
    ~CodeCoherence();
    CodeCoherence(const CodeCoherence&) = delete;
    CodeCoherence& operator=(const CodeCoherence&) = delete;

    // All vCPUs join before the first runs.
    void join(Cpu& cpu);
    void leave(Cpu& cpu);

    // Called by a vCPU's thread when it enters and leaves run().
    void enter(Cpu& cpu);
    void exit(Cpu& cpu);

    // `cpu` is about to decode code of this page / holds none any more.
    void acquire_page(Cpu& cpu, uint64_t gpa);
    void release_page(uint64_t gpa);

    // `cpu` has written to a code page and dropped its own blocks: tell the others.
    void code_written(Cpu* by, uint64_t gpa, uint64_t length);
    void on_code_page_written(Gpa gpa, uint64_t length) override {
        code_written(nullptr, gpa.value, length);
    }

    // Windows have moved: asks all vCPUs to forget translations, and code of these places. Does not
    // wait: until a vCPU looks at its events it works on with what was there before.
    void on_layout_changed(std::span<const Change> changes) override;

    // Have others written code of which `cpu` may have blocks?
    bool has_written_code(const Cpu& cpu) { return member(cpu).has_written.load(); }
    // Carries out what others asked of `cpu`; on its own thread, between two blocks.
    void service(Cpu& cpu);
    // Asks all vCPUs to drop write mappings (dirty logging); does not wait.
    void drop_write_mappings();

    // Held by locked accesses that one host instruction cannot do: crossing pages, or to devices.
    std::mutex& bus_lock() { return bus_lock_; }

private:
    struct Range {
        uint64_t gpa;
        uint64_t length;
    };
    struct Member {
        Cpu* cpu = nullptr;
        std::atomic<bool> running{false};
        std::atomic<uint64_t> asked{0};  // times that dropping write mappings was asked
        std::atomic<uint64_t> answered{0};
        std::mutex mutex;
        std::vector<const std::byte*> to_drop;  // host pages, kAllPages; guarded by mutex
        std::vector<Range> written;             // guarded by mutex
        std::atomic<bool> has_written{false};
        std::atomic<bool> layout_changed{false};
    };

    struct CodePage {
        unsigned holders = 0;  // vCPUs that have code of it
        // Every vCPU has dropped its write mappings of it since it became one.
        bool settled = false;
    };

    static constexpr const std::byte* kAllPages = nullptr;
    // A vCPU that does not run does not answer; what it is asked meanwhile must not grow.
    static constexpr size_t kMaxToDrop = 64;

    Member& member(const Cpu& cpu);
    uint64_t ask_to_drop(Member& member, const std::byte* page);
    static void drop(Cpu& cpu, const std::byte* page);
    void answer(Member& self, uint64_t asked);
    // True: the page is settled.
    bool hold_page(uint64_t gpa);
    void settle_page(uint64_t gpa);
    void unsettle_pages(const MemoryRegion& region);
    void drop_write_mappings_of_all(Cpu& cpu, uint64_t gpa);

    GuestMemory& memory_;
    std::vector<std::unique_ptr<Member>> members_;  // by vCPU index
    std::mutex pages_mutex_;
    std::unordered_map<uint64_t, CodePage> pages_;  // by number; guarded by pages_mutex_
    std::mutex bus_lock_;
};

}  // namespace banyan::interp
