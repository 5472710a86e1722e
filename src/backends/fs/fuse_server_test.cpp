#include "backends/fs/fuse_server.hpp"

#include <atomic>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <set>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <thread>

#include "backends/fs/testing/fuse_client.hpp"

namespace banyan {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kRoot = FUSE_ROOT_ID;

// base/share is shared; base/outside must never be reached.
class FuseServerTest : public testing::Test {
protected:
    FuseServerTest() {
        std::string name = (fs::temp_directory_path() / "banyan-share-XXXXXX").string();
        base_ = ::mkdtemp(name.data());
        share_ = base_ / "share";
        fs::create_directory(share_);
        fs::create_directory(base_ / "outside");
        put(base_ / "outside/secret", "secret");
        old_umask_ = ::umask(0);
    }
    ~FuseServerTest() override {
        ::umask(old_umask_);
        fs::remove_all(base_);
    }

    static void put(const fs::path& path, std::string_view text) { std::ofstream(path) << text; }
    static std::string get(const fs::path& path) {
        std::ifstream file(path);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    static struct stat status(const fs::path& path) {
        struct stat found {};
        EXPECT_EQ(::lstat(path.c_str(), &found), 0) << path;
        return found;
    }

    FuseClient& start(FuseServerConfig config = {}) {
        config.directory = share_;
        auto server = FuseServer::create(config);
        EXPECT_TRUE(server) << server.error().text();
        server_ = std::move(*server);
        client_.emplace(*server_);
        EXPECT_EQ(client_->init().error, 0);
        return *client_;
    }

    // All entries of a directory, in requests of that size.
    std::set<std::string> list(FuseClient& guest, uint64_t node, bool plus, uint32_t size,
                               uint64_t* nodes = nullptr) {
        const uint64_t fh = guest.opendir(node);
        std::set<std::string> names;
        uint64_t offset = 0;
        for (;;) {
            const auto answer =
                guest.read(fh, offset, size, plus ? FUSE_READDIRPLUS : FUSE_READDIR, node);
            EXPECT_EQ(answer.error, 0);
            EXPECT_LE(answer.payload.size(), size);
            if (answer.payload.empty()) break;
            for (size_t at = 0; at < answer.payload.size();) {
                const size_t head = plus ? sizeof(fuse_entry_out) : 0;
                const auto entry = answer.as<fuse_dirent>(at + head);
                const std::string name =
                    answer.text().substr(at + head + FUSE_NAME_OFFSET, entry.namelen);
                EXPECT_TRUE(names.insert(name).second) << name;
                const bool dot = name == "." || name == "..";
                if (plus) {
                    const uint64_t found = answer.as<fuse_entry_out>(at).nodeid;
                    EXPECT_EQ(found == 0, dot) << name;
                    if (nodes != nullptr && !dot) *nodes += 1;
                }
                offset = entry.off;
                at += FUSE_REC_ALIGN(head + FUSE_NAME_OFFSET + entry.namelen);
            }
        }
        EXPECT_EQ(guest.ask(FUSE_RELEASEDIR, node, with_handle<fuse_release_in>(fh)).error, 0);
        return names;
    }

    fs::path base_;
    fs::path share_;
    mode_t old_umask_ = 0;
    std::unique_ptr<FuseServer> server_;
    std::optional<FuseClient> client_;
};

TEST_F(FuseServerTest, SaysWhatItOffers) {
    FuseServerConfig config{.directory = share_};
    server_ = std::move(*FuseServer::create(config));
    FuseClient guest(*server_);
    EXPECT_EQ(guest.ask(FUSE_GETATTR, kRoot, fuse_getattr_in{}).error, EIO) << "before INIT";
    const auto answer = guest.init();
    ASSERT_EQ(answer.error, 0);
    const auto out = answer.as<fuse_init_out>();
    EXPECT_EQ(out.major, 7U);
    EXPECT_EQ(out.minor, 37U);
    EXPECT_EQ(out.max_write, 1U << 20);
    EXPECT_EQ(out.max_pages, 256U);
    EXPECT_NE(out.flags & FUSE_PARALLEL_DIROPS, 0U);
    EXPECT_EQ(out.flags & FUSE_WRITEBACK_CACHE, 0U);
    EXPECT_EQ(out.flags & (FUSE_EXPORT_SUPPORT | FUSE_POSIX_LOCKS | FUSE_POSIX_ACL), 0U);
    EXPECT_TRUE(server_->mounted());
    EXPECT_EQ(guest.ask(FUSE_DESTROY, 0).error, 0);
    EXPECT_FALSE(server_->mounted());
    config.cache = ShareCache::writeback;
    EXPECT_NE(start(config).init().as<fuse_init_out>().flags & FUSE_WRITEBACK_CACHE, 0U);
}

TEST_F(FuseServerTest, RefusesOtherProtocolsAndBrokenMessages) {
    FuseClient& guest = start();
    fuse_init_in old{};
    old.major = 7;
    old.minor = 12;
    EXPECT_EQ(guest.ask(FUSE_INIT, 0, old).error, EPROTO);
    old.major = 8;
    EXPECT_EQ(guest.ask(FUSE_INIT, 0, old).error, EPROTO);
    EXPECT_EQ(guest.ask(FUSE_INIT, 0, uint32_t{7}).error, EINVAL);
    EXPECT_EQ(guest.ask(FUSE_IOCTL, kRoot).error, ENOSYS);
    EXPECT_EQ(guest.ask(FUSE_SETLK, kRoot).error, ENOSYS);
    EXPECT_EQ(guest.ask(999, kRoot).error, ENOSYS);
    // Structures that are cut, names without an end, lengths that lie.
    for (const uint32_t opcode :
         {FUSE_GETATTR,     FUSE_SETATTR, FUSE_MKNOD,     FUSE_MKDIR,      FUSE_RENAME,
          FUSE_RENAME2,     FUSE_LINK,    FUSE_OPEN,      FUSE_READ,       FUSE_WRITE,
          FUSE_RELEASE,     FUSE_FSYNC,   FUSE_SETXATTR,  FUSE_GETXATTR,   FUSE_LISTXATTR,
          FUSE_REMOVEXATTR, FUSE_FLUSH,   FUSE_READDIR,   FUSE_RELEASEDIR, FUSE_FSYNCDIR,
          FUSE_ACCESS,      FUSE_CREATE,  FUSE_FALLOCATE, FUSE_LSEEK,      FUSE_COPY_FILE_RANGE,
          FUSE_LOOKUP,      FUSE_UNLINK,  FUSE_SYMLINK}) {
        EXPECT_EQ(guest.ask(opcode, kRoot).error, EINVAL) << opcode;
        EXPECT_EQ(guest.send(opcode, kRoot, {std::byte{65}, std::byte{66}}).error, EINVAL)
            << opcode;
    }
    fuse_in_header header{};
    header.opcode = FUSE_STATFS;
    header.nodeid = kRoot;
    for (const uint32_t length : {0U, 39U, 41U, ~0U}) {
        header.len = length;
        EXPECT_EQ(guest.send_raw(FuseClient::body(header), 1000).error, EINVAL) << length;
    }
    EXPECT_EQ(guest.send(FUSE_LOOKUP, kRoot, std::vector<std::byte>(80000)).error, EINVAL);
    // Too little room: nothing, or an error in place of the answer.
    EXPECT_EQ(guest.send(FUSE_STATFS, kRoot, {}, 15).length, 0U);
    EXPECT_EQ(guest.send(FUSE_STATFS, kRoot, {}, 16).error, EIO);
    EXPECT_EQ(guest.ask(FUSE_GETATTR, 12345, fuse_getattr_in{}).error, ESTALE);
    EXPECT_EQ(guest.read(777, 0, 10).error, EBADF);
    EXPECT_EQ(guest.forget(12345, 7).length, 0U);
    EXPECT_EQ(guest.send(FUSE_INTERRUPT, 0, FuseClient::body(fuse_interrupt_in{}), 0).length, 0U);
}

TEST_F(FuseServerTest, WritesAndReadsFiles) {
    FuseClient& guest = start();
    const auto file = guest.create(kRoot, "new", O_RDWR, 0640);
    ASSERT_NE(file.node, 0U);
    EXPECT_EQ(guest.write(file.handle, 0, "hello world").as<fuse_write_out>().size, 11U);
    EXPECT_EQ(guest.write(file.handle, 6, "there").error, 0);
    EXPECT_EQ(get(share_ / "new"), "hello there");
    EXPECT_EQ(status(share_ / "new").st_mode, S_IFREG | 0640U);
    EXPECT_EQ(guest.read(file.handle, 6, 100).text(), "there");
    EXPECT_EQ(guest.read(file.handle, 100, 100).text(), "");
    EXPECT_EQ(guest.read(file.handle, uint64_t{1} << 63, 100).error, EINVAL);
    const auto attr = guest.ask(FUSE_GETATTR, file.node, fuse_getattr_in{}).as<fuse_attr_out>();
    EXPECT_EQ(attr.attr.size, 11U);
    EXPECT_EQ(attr.attr_valid, 0U) << "the host may change it";
    const auto root = guest.ask(FUSE_GETATTR, kRoot, fuse_getattr_in{}).as<fuse_attr_out>();
    EXPECT_EQ(root.attr_valid, 1U);
    EXPECT_EQ(attr.attr.uid, 0U);
    EXPECT_EQ(guest.ask(FUSE_FSYNC, file.node, with_handle<fuse_fsync_in>(file.handle)).error, 0);
    EXPECT_EQ(guest.ask(FUSE_FLUSH, file.node, with_handle<fuse_flush_in>(file.handle)).error, 0);
    EXPECT_EQ(guest.ask(FUSE_RELEASE, file.node, with_handle<fuse_release_in>(file.handle)).error,
              0);
    EXPECT_EQ(guest.ask(FUSE_RELEASE, file.node, with_handle<fuse_release_in>(file.handle)).error,
              EBADF);
    EXPECT_EQ(guest.read(file.handle, 0, 1).error, EBADF);

    (void)guest.create(kRoot, "new", O_RDWR | O_EXCL);
    EXPECT_EQ(guest.last_error, EEXIST);
    EXPECT_EQ(guest.create(kRoot, "new", O_RDWR).node, file.node) << "what is there is opened";
    EXPECT_NE(guest.open(file.node, O_WRONLY | O_TRUNC), 0U);
    EXPECT_EQ(get(share_ / "new"), "");
    const uint64_t append = guest.open(file.node, O_WRONLY | O_APPEND);
    put(share_ / "new", "12");
    EXPECT_EQ(guest.write(append, 0, "3").error, 0);
    EXPECT_EQ(get(share_ / "new"), "123");
}

TEST_F(FuseServerTest, WritesHaveAsManyBytesAsTheySay) {
    FuseClient& guest = start();
    const auto file = guest.create(kRoot, "new");
    fuse_write_in in{};
    in.fh = file.handle;
    in.size = 100;
    EXPECT_EQ(guest.ask(FUSE_WRITE, 0, in, "short").error, EINVAL);
    in.size = 0;
    EXPECT_EQ(guest.ask(FUSE_WRITE, 0, in).error, 0);
    EXPECT_EQ(get(share_ / "new"), "");
    const std::string large(300'000, 'x');
    EXPECT_EQ(guest.write(file.handle, 5, large).as<fuse_write_out>().size, large.size());
    EXPECT_EQ(get(share_ / "new"), std::string(5, '\0') + large);
}

TEST_F(FuseServerTest, MakesMovesAndRemovesNames) {
    FuseClient& guest = start();
    const uint64_t dir = guest.entry(guest.ask(FUSE_MKDIR, kRoot, fuse_mkdir_in{0750, 0}, "dir"));
    ASSERT_NE(dir, 0U);
    EXPECT_EQ(status(share_ / "dir").st_mode, S_IFDIR | 0750U);
    const auto file = guest.create(dir, "a");
    EXPECT_EQ(guest.ask(FUSE_RMDIR, kRoot, "dir").error, ENOTEMPTY);
    EXPECT_EQ(guest.ask(FUSE_UNLINK, kRoot, "dir").error, EISDIR);
    EXPECT_EQ(guest.ask(FUSE_RENAME, dir, fuse_rename_in{kRoot}, "a", "b").error, 0);
    EXPECT_EQ(guest.lookup(dir, "a"), 0U);
    EXPECT_EQ(guest.last_error, ENOENT);
    EXPECT_EQ(guest.lookup(kRoot, "b"), file.node);

    EXPECT_EQ(guest.entry(guest.ask(FUSE_LINK, dir, fuse_link_in{file.node}, "hard")), file.node);
    EXPECT_EQ(status(share_ / "b").st_nlink, 2U);
    (void)guest.create(kRoot, "c");
    const fuse_rename2_in keep{kRoot, RENAME_NOREPLACE, 0};
    EXPECT_EQ(guest.ask(FUSE_RENAME2, kRoot, keep, "b", "c").error, EEXIST);
    const fuse_rename2_in swap{kRoot, RENAME_EXCHANGE, 0};
    EXPECT_EQ(guest.ask(FUSE_RENAME2, kRoot, swap, "b", "c").error, 0);
    EXPECT_EQ(guest.lookup(kRoot, "c"), file.node);
    const fuse_rename2_in whiteout{kRoot, RENAME_WHITEOUT, 0};
    EXPECT_EQ(guest.ask(FUSE_RENAME2, kRoot, whiteout, "c", "d").error, EINVAL);
    EXPECT_EQ(guest.ask(FUSE_UNLINK, kRoot, "c").error, 0);
    EXPECT_EQ(guest.ask(FUSE_UNLINK, dir, "hard").error, 0);
    EXPECT_EQ(guest.ask(FUSE_RMDIR, kRoot, "dir").error, 0);
    EXPECT_EQ(guest.ask(FUSE_UNLINK, kRoot, "dir").error, ENOENT);
}

TEST_F(FuseServerTest, RemovedFilesLiveWhileTheyAreKnown) {
    FuseClient& guest = start({.inodes = {.open_paths = 1}});
    const auto file = guest.create(kRoot, "a");
    (void)guest.write(file.handle, 0, "text");
    EXPECT_EQ(guest.ask(FUSE_UNLINK, kRoot, "a").error, 0);
    for (const char* other : {"b", "c", "d"})
        (void)guest.create(kRoot, other);
    EXPECT_EQ(guest.ask(FUSE_GETATTR, file.node, fuse_getattr_in{}).as<fuse_attr_out>().attr.size,
              4U);
    EXPECT_EQ(guest.read_file(file.node), "text");
    // Renamed over: the same.
    const auto victim = guest.create(kRoot, "victim");
    (void)guest.write(victim.handle, 0, "victim");
    EXPECT_EQ(guest.ask(FUSE_RENAME, kRoot, fuse_rename_in{kRoot}, "b", "victim").error, 0);
    (void)guest.create(kRoot, "e");
    (void)guest.create(kRoot, "f");
    EXPECT_EQ(guest.read_file(victim.node), "victim");
}

TEST_F(FuseServerTest, SymbolicLinksAreTheGuestsAffair) {
    FuseClient& guest = start();
    const uint64_t link = guest.entry(guest.ask(FUSE_SYMLINK, kRoot, "link", "../outside/secret"));
    ASSERT_NE(link, 0U);
    EXPECT_EQ(guest.ask(FUSE_READLINK, link).text(), "../outside/secret");
    EXPECT_EQ(guest.ask(FUSE_READLINK, kRoot).error, EINVAL);
    (void)guest.open(link, O_RDONLY);
    EXPECT_EQ(guest.last_error, ENXIO);
    (void)guest.open(link, O_WRONLY | O_TRUNC);
    EXPECT_EQ(guest.last_error, ENXIO);
    (void)guest.create(kRoot, "link");
    EXPECT_EQ(guest.last_error, ENXIO) << "CREATE opens no link's target";
    fuse_setattr_in in{};
    in.valid = FATTR_SIZE;
    EXPECT_EQ(guest.setattr(link, in).error, ENXIO);
    in.valid = FATTR_MODE;
    EXPECT_EQ(guest.setattr(link, in).error, EOPNOTSUPP);
    in.valid = FATTR_MTIME;
    in.mtime = 1000;
    EXPECT_EQ(guest.setattr(link, in).error, 0);
    EXPECT_NE(status(base_ / "outside/secret").st_mtime, 1000);
    // A hard link to the link, not to what it leads to.
    EXPECT_EQ(guest.entry(guest.ask(FUSE_LINK, kRoot, fuse_link_in{link}, "again")), link);
    EXPECT_TRUE(fs::is_symlink(share_ / "again"));
    EXPECT_EQ(guest.ask(FUSE_GETXATTR, link, fuse_getxattr_in{100, 0}, "user.a").error, EOPNOTSUPP);

    // A link to a directory is no way to go.
    fs::create_directory_symlink(base_ / "outside", share_ / "door");
    const uint64_t door = guest.lookup(kRoot, "door");
    EXPECT_EQ(guest.lookup(door, "secret"), 0U);
    EXPECT_EQ(guest.last_error, ENOTDIR);
    EXPECT_EQ(guest.opendir(door), 0U);
    EXPECT_EQ(guest.create(door, "new").node, 0U);
    EXPECT_EQ(guest.ask(FUSE_UNLINK, door, "secret").error, ENOTDIR);
    EXPECT_EQ(guest.ask(FUSE_MKDIR, door, fuse_mkdir_in{0755, 0}, "new").error, ENOTDIR);
    EXPECT_EQ(get(base_ / "outside/secret"), "secret");
    EXPECT_EQ(std::distance(fs::directory_iterator(base_ / "outside"), {}), 1);
}

TEST_F(FuseServerTest, NamesAreOneComponent) {
    FuseClient& guest = start();
    fs::create_directory(share_ / "dir");
    const uint64_t dir = guest.lookup(kRoot, "dir");
    const auto file = guest.create(kRoot, "file");
    for (const std::string name : {"", ".", "..", "/", "/etc", "../outside", "dir/..", "a/b"}) {
        EXPECT_EQ(guest.ask(FUSE_LOOKUP, dir, name).error, EINVAL) << name;
        EXPECT_EQ(guest.ask(FUSE_UNLINK, dir, name).error, EINVAL) << name;
        EXPECT_EQ(guest.ask(FUSE_RMDIR, dir, name).error, EINVAL) << name;
        EXPECT_EQ(guest.ask(FUSE_MKDIR, dir, fuse_mkdir_in{0755, 0}, name).error, EINVAL) << name;
        EXPECT_EQ(guest.ask(FUSE_MKNOD, dir, fuse_mknod_in{S_IFREG, 0, 0, 0}, name).error, EINVAL);
        EXPECT_EQ(guest.ask(FUSE_SYMLINK, dir, name, "x").error, EINVAL) << name;
        EXPECT_EQ(guest.ask(FUSE_LINK, dir, fuse_link_in{file.node}, name).error, EINVAL) << name;
        EXPECT_EQ(guest.ask(FUSE_RENAME, kRoot, fuse_rename_in{dir}, "file", name).error, EINVAL);
        EXPECT_EQ(guest.ask(FUSE_RENAME, dir, fuse_rename_in{kRoot}, name, "x").error, EINVAL);
        (void)guest.create(dir, name);
        EXPECT_EQ(guest.last_error, EINVAL) << name;
    }
    EXPECT_EQ(guest.ask(FUSE_LOOKUP, dir, std::string(256, 'a')).error, ENAMETOOLONG);
    EXPECT_EQ(guest.ask(FUSE_LOOKUP, dir, std::string(255, 'a')).error, ENOENT);
    EXPECT_EQ(std::distance(fs::directory_iterator(base_), {}), 2);
}

TEST_F(FuseServerTest, OpensNothingButFilesAndMakesNoDevices) {
    FuseClient& guest = start();
    for (const uint32_t kind :
         std::initializer_list<uint32_t>{S_IFCHR, S_IFBLK, S_IFDIR, S_IFLNK, 0}) {
        const fuse_mknod_in in{kind | 0666, 0x103, 0, 0};
        EXPECT_EQ(guest.ask(FUSE_MKNOD, kRoot, in, "node").error, EPERM) << kind;
    }
    for (const uint32_t kind : std::initializer_list<uint32_t>{S_IFIFO, S_IFSOCK}) {
        const std::string name = kind == S_IFIFO ? "fifo" : "socket";
        const uint64_t node =
            guest.entry(guest.ask(FUSE_MKNOD, kRoot, fuse_mknod_in{kind | 0666, 0, 0, 0}, name));
        ASSERT_NE(node, 0U);
        (void)guest.open(node, O_RDONLY);
        EXPECT_EQ(guest.last_error, ENXIO);
        (void)guest.create(kRoot, name);
        EXPECT_EQ(guest.last_error, ENXIO);
    }
    if (::mknod((share_ / "null").c_str(), S_IFCHR | 0666, 0x103) == 0) {
        const uint64_t node = guest.lookup(kRoot, "null");
        EXPECT_NE(node, 0U);
        (void)guest.open(node, O_RDWR);
        EXPECT_EQ(guest.last_error, ENXIO);
    }
    const uint64_t plain =
        guest.entry(guest.ask(FUSE_MKNOD, kRoot, fuse_mknod_in{S_IFREG | 0600, 0, 0, 0}, "plain"));
    EXPECT_NE(guest.open(plain, O_RDWR), 0U);
    (void)guest.open(kRoot, O_RDONLY);
    EXPECT_EQ(guest.last_error, EISDIR);
    EXPECT_EQ(guest.opendir(plain), 0U);
}

TEST_F(FuseServerTest, SetsAttributes) {
    FuseClient& guest = start();
    const auto file = guest.create(kRoot, "file");
    fuse_setattr_in in{};
    in.valid = FATTR_MODE | FATTR_SIZE | FATTR_ATIME | FATTR_MTIME;
    in.mode = 06751;  // no set-ID bits
    in.size = 10;
    in.atime = 1000;
    in.mtime = 2000;
    in.mtimensec = 5;
    const auto attr = guest.setattr(file.node, in).as<fuse_attr_out>().attr;
    EXPECT_EQ(attr.mode, S_IFREG | 0751U);
    EXPECT_EQ(attr.size, 10U);
    EXPECT_EQ(attr.mtime, 2000U);
    EXPECT_EQ(attr.mtimensec, 5U);
    EXPECT_EQ(status(share_ / "file").st_atime, 1000);
    in.mtimensec = 1'000'000'000;
    EXPECT_EQ(guest.setattr(file.node, in).error, EINVAL);
    in = {};
    in.valid = FATTR_SIZE | FATTR_FH;
    in.size = 3;
    in.fh = file.handle;
    EXPECT_EQ(guest.setattr(file.node, in).error, 0);
    in.size = ~uint64_t{0};
    EXPECT_EQ(guest.setattr(file.node, in).error, EINVAL);
    EXPECT_EQ(fs::file_size(share_ / "file"), 3U);
    in = {};
    in.valid = FATTR_UID | FATTR_GID;
    EXPECT_EQ(guest.setattr(file.node, in).error, 0) << "the guest's root is who runs this";
    (void)guest.create(kRoot, "set-id", O_RDWR, 06755);
    EXPECT_EQ(status(share_ / "set-id").st_mode, S_IFREG | 0755U);
    for (const auto& [mask, error] : {std::pair{4U, 0}, {2U, 0}, {7U, 0}, {8U, EINVAL}})
        EXPECT_EQ(guest.ask(FUSE_ACCESS, file.node, fuse_access_in{mask, 0}).error, error) << mask;
}

TEST_F(FuseServerTest, WritesTakeSetIdBitsAway) {
    FuseClient& guest = start();
    put(share_ / "file", "x");
    fs::permissions(share_ / "file", static_cast<fs::perms>(06755));
    const uint64_t fh = guest.open(guest.lookup(kRoot, "file"), O_RDWR);
    EXPECT_EQ(guest.write(fh, 0, "y", FUSE_WRITE_KILL_SUIDGID).error, 0);
    EXPECT_EQ(status(share_ / "file").st_mode, S_IFREG | 0755U);
}

TEST_F(FuseServerTest, ListsDirectoriesInPieces) {
    FuseClient& guest = start();
    std::set<std::string> expected{".", ".."};
    for (int i = 0; i < 300; ++i) {
        const std::string name = std::to_string(i) + std::string(static_cast<size_t>(i) % 60, 'n');
        put(share_ / name, "");
        expected.insert(name);
    }
    EXPECT_EQ(list(guest, kRoot, false, 4096), expected);
    EXPECT_EQ(server_->inodes().size(), 1U) << "names alone are no look-ups";
    uint64_t nodes = 0;
    EXPECT_EQ(list(guest, kRoot, true, 4096, &nodes), expected);
    EXPECT_EQ(nodes, 300U);
    EXPECT_EQ(server_->inodes().size(), 301U);
    EXPECT_EQ(list(guest, kRoot, false, 400), expected);
    const uint64_t fh = guest.opendir(kRoot);
    EXPECT_EQ(guest.read(fh, 0, 10, FUSE_READDIR, kRoot).text(), "");
    EXPECT_EQ(guest.read(fh, 0, 10).error, EBADF) << "a directory is no file";
    EXPECT_EQ(guest.ask(FUSE_FSYNCDIR, kRoot, with_handle<fuse_fsync_in>(fh)).error, 0);
}

TEST_F(FuseServerTest, ForgetsWhatTheGuestForgets) {
    FuseClient& guest = start();
    fs::create_directories(share_ / "a/b");
    const uint64_t a = guest.lookup(kRoot, "a");
    const uint64_t b = guest.lookup(a, "b");
    EXPECT_EQ(guest.lookup(a, "b"), b);
    EXPECT_EQ(server_->inodes().size(), 3U);
    (void)guest.forget(a, 1);
    EXPECT_EQ(server_->inodes().size(), 3U) << "something is below it";
    (void)guest.forget(b, 1);
    EXPECT_EQ(guest.ask(FUSE_GETATTR, b, fuse_getattr_in{}).error, 0);
    (void)guest.forget(b, 1000);
    EXPECT_EQ(server_->inodes().size(), 1U);
    EXPECT_EQ(guest.ask(FUSE_GETATTR, b, fuse_getattr_in{}).error, ESTALE);
    (void)guest.forget(kRoot, 1000);
    EXPECT_EQ(guest.ask(FUSE_GETATTR, kRoot, fuse_getattr_in{}).error, 0);

    const fuse_forget_one gone[2] = {{guest.lookup(kRoot, "a"), 1}, {99, 1}};
    const auto body = FuseClient::body(fuse_batch_forget_in{1'000'000, 0}, gone[0], gone[1]);
    EXPECT_EQ(guest.send(FUSE_BATCH_FORGET, 0, body, 0).length, 0U);
    EXPECT_EQ(server_->inodes().size(), 1U);
}

// A hostile guest, and a tree that is larger than the host has descriptors.
TEST_F(FuseServerTest, NodesHandlesAndDescriptorsAreBounded) {
    for (int i = 0; i < 40; ++i) {
        fs::create_directories(share_ / std::to_string(i) / "x/y");
        put(share_ / std::to_string(i) / "x/y/file", std::to_string(i));
    }
    FuseClient& guest =
        start({.inodes = {.nodes = 150, .open_paths = 8, .kept_paths = 4}, .handles = 3});
    std::vector<uint64_t> files;
    for (int i = 0; i < 30; ++i)
        files.push_back(guest.lookup_path({std::to_string(i), "x", "y", "file"}));
    EXPECT_LE(server_->inodes().open_paths(), 8U);
    for (int i = 0; i < 30; ++i)
        EXPECT_EQ(guest.read_file(files[static_cast<size_t>(i)]), std::to_string(i));
    for (int i = 30; i < 40; ++i)
        (void)guest.lookup_path({std::to_string(i), "x", "y", "file"});
    EXPECT_EQ(guest.lookup(kRoot, "39"), 0U);
    EXPECT_EQ(guest.last_error, ENFILE);
    EXPECT_EQ(server_->inodes().size(), 151U);
    for (int i = 0; i < 3; ++i)
        EXPECT_NE(guest.open(files[0], O_RDONLY), 0U);
    EXPECT_EQ(guest.open(files[0], O_RDONLY), 0U);
    EXPECT_EQ(guest.last_error, ENFILE);
    EXPECT_EQ(guest.ask(FUSE_DESTROY, 0).error, 0);
    EXPECT_EQ(server_->inodes().size(), 1U);
}

TEST_F(FuseServerTest, RemovedFilesAreKeptUpToABound) {
    FuseClient& guest = start({.inodes = {.open_paths = 4, .kept_paths = 4}});
    for (int i = 0; i < 50; ++i) {
        (void)guest.ask(FUSE_MKNOD, kRoot, fuse_mknod_in{S_IFREG | 0600, 0, 0, 0}, "f");
        EXPECT_EQ(guest.ask(FUSE_UNLINK, kRoot, "f").error, 0);
        EXPECT_LE(server_->inodes().open_paths(), 8U);
    }
}

// A node never comes to mean another file, whatever happens to names on the host.
TEST_F(FuseServerTest, WhatIsReplacedOnTheHostIsStale) {
    fs::create_directories(share_ / "dir");
    put(share_ / "dir/secret", "inside");
    FuseClient& guest = start({.inodes = {.open_paths = 1}});
    const uint64_t file = guest.lookup_path({"dir", "secret"});
    (void)guest.create(kRoot, "other");  // dir's descriptor is closed by now
    fs::rename(share_ / "dir", share_ / "moved");
    fs::create_directory_symlink(base_ / "outside", share_ / "dir");
    EXPECT_EQ(guest.ask(FUSE_GETATTR, file, fuse_getattr_in{}).error, ESTALE);
    EXPECT_EQ(guest.open(file, O_RDWR), 0U);
    EXPECT_EQ(guest.last_error, ESTALE);
    // Looked up again, it is the same file.
    EXPECT_EQ(guest.lookup_path({"moved", "secret"}), file);
    EXPECT_EQ(guest.read_file(file), "inside");
    fs::remove(share_ / "moved/secret");
    put(share_ / "moved/secret", "new");
    (void)guest.create(kRoot, "another");
    EXPECT_EQ(guest.ask(FUSE_GETATTR, file, fuse_getattr_in{}).error, ESTALE);
}

// Directories of the host that change places, so that what the guest saw would be a ring.
TEST_F(FuseServerTest, MovedDirectoriesMakeNoRing) {
    fs::create_directories(share_ / "a/b");
    FuseClient& guest = start({.inodes = {.open_paths = 1}});
    const uint64_t a = guest.lookup(kRoot, "a");
    const uint64_t b = guest.lookup(a, "b");
    fs::rename(share_ / "a/b", share_ / "b");
    fs::rename(share_ / "a", share_ / "b/a");
    const uint64_t new_b = guest.lookup(kRoot, "b");
    EXPECT_EQ(new_b, b);
    EXPECT_EQ(guest.lookup(new_b, "a"), a);
    fs::rename(share_ / "b/a", share_ / "a");
    fs::rename(share_ / "b", share_ / "a/b");
    (void)guest.create(kRoot, "other");
    (void)guest.lookup(a, "b");
    (void)guest.ask(FUSE_GETATTR, a, fuse_getattr_in{});
    (void)guest.ask(FUSE_GETATTR, b, fuse_getattr_in{});
    EXPECT_EQ(guest.lookup(kRoot, "a"), a);
    EXPECT_EQ(guest.lookup(a, "b"), b);
}

// While a directory and a symbolic link to the outside change places as fast as they can.
TEST_F(FuseServerTest, NoRaceLeadsOutside) {
    fs::create_directory(share_ / "dir");
    put(share_ / "dir/secret", "inside");
    fs::create_directory_symlink(base_ / "outside", share_ / "link");
    FuseClient& guest = start({.inodes = {.open_paths = 1}});
    std::atomic<bool> stop{false};
    std::thread swapper([&] {
        while (!stop)
            (void)::renameat2(AT_FDCWD, (share_ / "dir").c_str(), AT_FDCWD,
                              (share_ / "link").c_str(), RENAME_EXCHANGE);
    });
    unsigned inside = 0;
    for (int i = 0; i < 3000; ++i) {
        const uint64_t dir = guest.lookup(kRoot, "dir");
        const uint64_t file = guest.lookup(dir, "secret");
        if (file == 0) continue;
        const uint64_t fh = guest.open(file, O_RDWR);
        if (fh != 0) {
            EXPECT_EQ(guest.read(fh, 0, 100).text(), "inside");
            EXPECT_EQ(guest.write(fh, 0, "inside").error, 0);
            ++inside;
            EXPECT_EQ(guest.ask(FUSE_RELEASE, file, with_handle<fuse_release_in>(fh)).error, 0);
        }
        (void)guest.create(dir, "made");
        (void)guest.ask(FUSE_UNLINK, dir, "made");
        (void)guest.ask(FUSE_RENAME, dir, fuse_rename_in{kRoot}, "made", "moved");
        (void)guest.forget(file, 1);
        (void)guest.forget(dir, 1);
        server_->reset();
        (void)guest.init();
    }
    stop = true;
    swapper.join();
    EXPECT_GT(inside, 0U);
    EXPECT_EQ(get(base_ / "outside/secret"), "secret");
    EXPECT_EQ(std::distance(fs::directory_iterator(base_ / "outside"), {}), 1);
}

TEST_F(FuseServerTest, HasTheAttributesOfUsers) {
    FuseClient& guest = start();
    const auto file = guest.create(kRoot, "file");
    const std::string path = (share_ / "file").string();
    if (::setxattr(path.c_str(), "user.probe", "1", 1, 0) != 0)
        GTEST_SKIP() << "the temporary directory's file system has no extended attributes";
    const auto set = [&](const char* name, std::string_view value, uint32_t flags = 0) {
        const uint32_t head[2] = {static_cast<uint32_t>(value.size()), flags};
        return guest.ask(FUSE_SETXATTR, file.node, head, name, std::as_bytes(std::span(value)))
            .error;
    };
    EXPECT_EQ(set("user.color", "green"), 0);
    EXPECT_EQ(set("user.color", "blue", XATTR_CREATE), EEXIST);
    EXPECT_EQ(set("user.none", "blue", XATTR_REPLACE), ENODATA);
    for (const char* name : {"trusted.a", "security.capability", "system.posix_acl_access", "user"})
        EXPECT_EQ(set(name, "x"), EOPNOTSUPP) << name;
    const auto ask = [&](uint32_t size, const char* name) {
        return guest.ask(FUSE_GETXATTR, file.node, fuse_getxattr_in{size, 0}, name);
    };
    EXPECT_EQ(ask(100, "user.color").text(), "green");
    EXPECT_EQ(ask(0, "user.color").as<fuse_getxattr_out>().size, 5U);
    EXPECT_EQ(ask(4, "user.color").error, ERANGE);
    EXPECT_EQ(ask(100, "user.none").error, ENODATA);
    EXPECT_EQ(ask(100, "security.selinux").error, EOPNOTSUPP);
    const auto list = guest.ask(FUSE_LISTXATTR, file.node, fuse_getxattr_in{100, 0}).text();
    EXPECT_NE(list.find(std::string("user.color\0", 11)), std::string::npos);
    EXPECT_EQ(guest.ask(FUSE_REMOVEXATTR, file.node, "user.color").error, 0);
    EXPECT_EQ(guest.ask(FUSE_REMOVEXATTR, file.node, "security.capability").error, EOPNOTSUPP);
    const uint32_t lie[2] = {50, 0};
    EXPECT_EQ(guest.ask(FUSE_SETXATTR, file.node, lie, "user.a", "short").error, EINVAL);
}

TEST_F(FuseServerTest, FindsHolesAndCopiesRanges) {
    FuseClient& guest = start();
    const auto file = guest.create(kRoot, "file");
    (void)guest.write(file.handle, 0, std::string(8192, 'a'));
    auto hole = with_handle<fuse_fallocate_in>(file.handle);
    hole.length = 4096;
    hole.mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    const int punched = guest.ask(FUSE_FALLOCATE, file.node, hole).error;
    EXPECT_TRUE(punched == 0 || punched == EOPNOTSUPP);
    const std::string expected(2, punched == 0 ? '\0' : 'a');
    EXPECT_EQ(guest.read(file.handle, 0, 2).text(), expected);
    hole.mode = FALLOC_FL_COLLAPSE_RANGE;
    EXPECT_EQ(guest.ask(FUSE_FALLOCATE, file.node, hole).error, EOPNOTSUPP);
    hole.mode = 0;
    hole.offset = hole.length = uint64_t{1} << 63;
    EXPECT_EQ(guest.ask(FUSE_FALLOCATE, file.node, hole).error, EINVAL);
    const fuse_lseek_in data{file.handle, 0, SEEK_DATA, 0};
    EXPECT_EQ(guest.ask(FUSE_LSEEK, file.node, data).error, 0);
    const fuse_lseek_in end{file.handle, 0, SEEK_END, 0};
    EXPECT_EQ(guest.ask(FUSE_LSEEK, file.node, end).error, EINVAL);
    const auto copy = guest.create(kRoot, "copy");
    fuse_copy_file_range_in range{file.handle, 4096, copy.node, copy.handle, 1, 10, 0};
    const auto copied = guest.ask(FUSE_COPY_FILE_RANGE, file.node, range);
    ASSERT_EQ(copied.error, 0);
    EXPECT_EQ(copied.as<fuse_write_out>().size, 10U);
    EXPECT_EQ(get(share_ / "copy"), '\0' + std::string(10, 'a'));
    range.fh_out = 999;
    EXPECT_EQ(guest.ask(FUSE_COPY_FILE_RANGE, file.node, range).error, EBADF);
    EXPECT_NE(guest.ask(FUSE_STATFS, kRoot).as<fuse_statfs_out>().st.blocks, 0U);
    EXPECT_EQ(guest.ask(FUSE_SYNCFS, kRoot, uint64_t{0}).error, 0);
}

TEST_F(FuseServerTest, ReadOnlyMeansThatNothingChanges) {
    put(share_ / "file", "text");
    fs::create_directory(share_ / "dir");
    FuseClient& guest = start({.read_only = true});
    const uint64_t file = guest.lookup(kRoot, "file");
    EXPECT_EQ(guest.read_file(file), "text");
    for (const uint32_t flags : std::initializer_list<uint32_t>{O_WRONLY, O_RDWR, O_TRUNC}) {
        (void)guest.open(file, flags);
        EXPECT_EQ(guest.last_error, EROFS) << flags;
    }
    (void)guest.create(kRoot, "file", O_RDONLY);
    EXPECT_EQ(guest.last_error, EROFS);
    const uint64_t fh = guest.open(file, O_RDONLY);
    EXPECT_EQ(guest.write(fh, 0, "x").error, EROFS);
    EXPECT_EQ(guest.ask(FUSE_ACCESS, file, fuse_access_in{W_OK, 0}).error, EROFS);
    for (const uint32_t opcode :
         {FUSE_SETATTR, FUSE_SYMLINK, FUSE_MKNOD, FUSE_MKDIR, FUSE_UNLINK, FUSE_RMDIR, FUSE_RENAME,
          FUSE_RENAME2, FUSE_LINK, FUSE_SETXATTR, FUSE_REMOVEXATTR, FUSE_FALLOCATE,
          FUSE_COPY_FILE_RANGE, FUSE_CREATE, FUSE_WRITE}) {
        EXPECT_EQ(guest.ask(opcode, kRoot, "file").error, EROFS) << opcode;
    }
    EXPECT_EQ(list(guest, kRoot, true, 4096).size(), 4U);
    EXPECT_EQ(get(share_ / "file"), "text");
}

TEST_F(FuseServerTest, FilesBelongToWhomTheyAreMadeFor) {
    FuseClient& guest = start();
    fs::permissions(share_, fs::perms::all);
    const bool root = ::geteuid() == 0;
    const uid_t expected = root ? 1000 : ::geteuid();
    guest.user = 1000;
    (void)guest.create(kRoot, "file");
    (void)guest.ask(FUSE_MKDIR, kRoot, fuse_mkdir_in{0755, 0}, "dir");
    (void)guest.ask(FUSE_SYMLINK, kRoot, "link", "target");
    for (const char* name : {"file", "dir", "link"})
        EXPECT_EQ(status(share_ / name).st_uid, expected) << name;
    EXPECT_EQ(::geteuid(), root ? 0 : expected) << "for that file alone";
    // What that user may not do on the host.
    fs::permissions(share_ / "dir", fs::perms::owner_all);
    guest.user = 1001;
    const uint64_t dir = guest.lookup(kRoot, "dir");
    (void)guest.create(dir, "other");
    EXPECT_EQ(guest.last_error, root ? EACCES : 0);
    fuse_setattr_in in{};
    in.valid = FATTR_UID;
    in.uid = 1002;
    EXPECT_EQ(guest.setattr(dir, in).error, root ? 0 : EPERM);
}

TEST_F(FuseServerTest, SaysWhatIsWrongWithADirectory) {
    EXPECT_EQ(FuseServer::create({.directory = base_ / "none"}).error().code(),
              ErrorCode::not_found);
    EXPECT_FALSE(FuseServer::create({.directory = base_ / "outside/secret"}));
}

TEST(IdMapTest, UsersOfTheHostAreNobodyButOwn) {
    const IdMap user(1000, 100);
    EXPECT_EQ(user.guest_user(1000), 0U);
    EXPECT_EQ(user.guest_user(0), IdMap::kNobody);
    EXPECT_EQ(user.guest_group(100), 0U);
    EXPECT_EQ(user.host_user(0), 1000U);
    EXPECT_EQ(user.host_group(0), 100U);
    EXPECT_FALSE(user.host_user(1000));
    const IdMap root(0, 0);
    EXPECT_EQ(root.guest_user(1000), 1000U);
    EXPECT_EQ(root.host_group(5), 5U);
}

}  // namespace
}  // namespace banyan
