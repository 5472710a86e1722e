// A guest that sends any requests to a share: mostly well-formed ones with numbers and names that
// it may have seen, sometimes garbage. What must hold: no crash, no sanitizer report, answers
// inside their room, and nothing changed in a directory beside the share.
#include <array>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>

#include "backends/fs/testing/fuse_client.hpp"
#include "support/assert.hpp"
#include "vm/testing/device_fuzz.hpp"

namespace banyan {
namespace {

namespace fs = std::filesystem;

// Made once for a run of the fuzzer, in memory where there is a place for that; each input begins
// with the same share.
class Ground {
public:
    Ground() {
        const bool in_memory = fs::is_directory("/dev/shm");
        const fs::path place = in_memory ? fs::path("/dev/shm") : fs::temp_directory_path();
        std::string name = (place / "banyan-fuzz-XXXXXX").string();
        BANYAN_ASSERT(::mkdtemp(name.data()) != nullptr);
        base_ = name;
        fs::create_directory(base_ / "outside");
        std::ofstream(base_ / "outside/secret") << "secret";
        ::chmod((base_ / "outside/secret").c_str(), 0640);
        ::stat((base_ / "outside/secret").c_str(), &before_);
        // A file that grows is the host's trouble, not what is looked for.
        const rlimit limit{1 << 20, 1 << 20};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        ::signal(SIGXFSZ, SIG_IGN);
    }
    ~Ground() {
        make_removable();
        fs::remove_all(base_);
    }

    fs::path share() const { return base_ / "share"; }
    void renew() const {
        make_removable();
        fs::remove_all(share());
        fs::create_directories(share() / "a/b");
        std::ofstream(share() / "a/f") << "text";
        fs::create_symlink("../outside", share() / "up");
        fs::create_symlink("../../outside/secret", share() / "a/s");
    }
    // The guest may have locked its directories.
    void make_removable() const {
        if (!fs::exists(share())) return;
        fs::permissions(share(), fs::perms::owner_all, fs::perm_options::add);
        for (const auto& entry : fs::recursive_directory_iterator(share())) {
            if (entry.is_directory() && !entry.is_symlink())
                fs::permissions(entry, fs::perms::owner_all, fs::perm_options::add);
        }
    }
    void check() const {
        struct stat now {};
        BANYAN_ASSERT(::stat((base_ / "outside/secret").c_str(), &now) == 0);
        BANYAN_ASSERT(now.st_size == before_.st_size && now.st_mode == before_.st_mode);
        BANYAN_ASSERT(now.st_nlink == before_.st_nlink && now.st_uid == before_.st_uid);
        BANYAN_ASSERT(now.st_mtim.tv_sec == before_.st_mtim.tv_sec);
        BANYAN_ASSERT(now.st_ctim.tv_nsec == before_.st_ctim.tv_nsec);
        BANYAN_ASSERT(std::distance(fs::directory_iterator(base_ / "outside"), {}) == 1);
        BANYAN_ASSERT(std::distance(fs::directory_iterator(base_), {}) == 2);
    }

private:
    fs::path base_;
    struct stat before_ {};
};

constexpr std::array<const char*, 16> kNames{
    "a",  "b", "f", "s",          "up",          "n",   "m",      "k",
    "..", ".", "",  "../outside", "/etc/passwd", "a/b", "user.x", "user.y"};

class FuzzGuest {
public:
    FuzzGuest(FuseServer& server, FuzzBytes& bytes) : client_(server), bytes_(bytes) {}

    void run() {
        (void)client_.init();
        for (unsigned i = 0; i < 60 && !bytes_.empty(); ++i)
            step();
    }

private:
    uint64_t number() {
        switch (bytes_.u8() % 8) {
            case 0: return bytes_.u64();
            case 1: return ~uint64_t{0};
            default: return bytes_.u8() % 12U;
        }
    }
    void add(const std::vector<std::byte>& more) {
        body_.insert(body_.end(), more.begin(), more.end());
    }
    void name() { add(FuseClient::body(kNames[bytes_.u8() % kNames.size()])); }
    // A structure of small and large numbers.
    void words(unsigned count) {
        for (unsigned i = 0; i < count; ++i)
            add(FuseClient::body(number()));
    }
    // What stands before the names, in words of eight bytes.
    static unsigned words_of(uint32_t opcode) {
        switch (opcode) {
            case FUSE_SETATTR: return 11;
            case FUSE_INIT: return 8;
            case FUSE_COPY_FILE_RANGE: return 7;
            case FUSE_READ:
            case FUSE_WRITE:
            case FUSE_READDIR:
            case FUSE_READDIRPLUS: return 5;
            case FUSE_FALLOCATE: return 4;
            case FUSE_RELEASE:
            case FUSE_LSEEK:
            case FUSE_FLUSH: return 3;
            case FUSE_GETATTR:
            case FUSE_CREATE:
            case FUSE_MKNOD:
            case FUSE_FSYNC:
            case FUSE_RENAME2: return 2;
            case FUSE_LOOKUP:
            case FUSE_UNLINK:
            case FUSE_RMDIR:
            case FUSE_SYMLINK:
            case FUSE_REMOVEXATTR: return 0;
            default: return 1;
        }
    }
    // Open flags and modes that lead somewhere.
    void meaningful(uint32_t opcode) {
        constexpr std::array<uint32_t, 6> kFlags{
            O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_TRUNC, O_RDWR | O_APPEND, O_RDWR | O_EXCL};
        constexpr std::array<uint32_t, 5> kKinds{S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFDIR};
        const uint32_t flags = kFlags[bytes_.u8() % kFlags.size()];
        const uint32_t mode = bytes_.u16() & 07777;
        if (opcode == FUSE_CREATE) return add(FuseClient::body(fuse_create_in{flags, mode, 0, 0}));
        if (opcode == FUSE_OPEN) return add(FuseClient::body(fuse_open_in{flags, 1}));
        if (opcode == FUSE_MKDIR) return add(FuseClient::body(fuse_mkdir_in{mode, 0}));
        if (opcode == FUSE_MKNOD) {
            const uint32_t kind = kKinds[bytes_.u8() % kKinds.size()];
            return add(FuseClient::body(fuse_mknod_in{kind | mode, 0x103, 0, 0}));
        }
        words(words_of(opcode));
    }

    void step() {
        body_.clear();
        // INIT and DESTROY begin anew, so seldom.
        uint32_t opcode = bytes_.u8() % 53U;
        if ((opcode == FUSE_INIT || opcode == FUSE_DESTROY) && bytes_.u8() % 8 != 0)
            opcode = FUSE_LOOKUP;
        const uint64_t node = number();
        meaningful(opcode);
        name();
        if ((bytes_.u8() & 1) != 0) name();
        if (bytes_.u8() % 16 == 0) body_.resize(bytes_.u8() % (body_.size() + 1));
        const size_t room = bytes_.u8() % 4 == 0 ? bytes_.u16() % 600U : 20000;
        const auto answer = client_.send(opcode, node, body_, room);
        BANYAN_ASSERT(answer.length <= room && answer.error != 100'000);
    }

    FuseClient client_;
    FuzzBytes& bytes_;
    std::vector<std::byte> body_;
};

}  // namespace
}  // namespace banyan

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace banyan;
    static const Ground ground;
    ground.renew();
    FuzzBytes bytes(data, size);
    const uint8_t choice = bytes.u8();
    FuseServerConfig config{
        .directory = ground.share(),
        .read_only = choice % 8 == 0,
        .cache = choice % 2 == 0 ? ShareCache::automatic : ShareCache::writeback};
    config.inodes = {.nodes = 20, .open_paths = 2, .kept_paths = 2};
    config.handles = 8;
    auto server = FuseServer::create(config);
    BANYAN_ASSERT(server);
    FuzzGuest(**server, bytes).run();
    server->reset();
    ground.check();
    return 0;
}
