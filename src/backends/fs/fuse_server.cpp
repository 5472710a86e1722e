#include "backends/fs/fuse_server.hpp"

#include <algorithm>
#include <array>
#include <climits>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/fsuid.h>
#include <sys/statvfs.h>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

constexpr uint32_t kOldestMinor = 27;  // Linux 4.18; from 7.28 on there is MAX_PAGES
constexpr uint32_t kNewestMinor = 38;
constexpr uint32_t kMostPages = 256;  // of one request, which Linux has no more of either
constexpr uint32_t kPageSize = 4096;
constexpr size_t kOldestInit = 16;  // before flags2

constexpr uint32_t kOffered = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
                              FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |
                              FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES |
                              FUSE_HANDLE_KILLPRIV_V2;

}  // namespace

// How a request is served, whether it needs a share that can be written, and whether there is an
// answer.
struct FuseServer::Operation {
    uint32_t opcode;
    int (FuseServer::*serve)(FuseCall& call);
    bool changes = false;
    bool answered = true;
};

// Files that are opened for writing, or created, are looked at where that is known.
const FuseServer::Operation* FuseServer::find_operation(uint32_t opcode) {
    static constexpr std::array kOperations{
        Operation{FUSE_LOOKUP, &FuseServer::lookup},
        Operation{FUSE_FORGET, &FuseServer::forget, false, false},
        Operation{FUSE_GETATTR, &FuseServer::getattr},
        Operation{FUSE_SETATTR, &FuseServer::setattr, true},
        Operation{FUSE_READLINK, &FuseServer::readlink},
        Operation{FUSE_SYMLINK, &FuseServer::symlink, true},
        Operation{FUSE_MKNOD, &FuseServer::mknod, true},
        Operation{FUSE_MKDIR, &FuseServer::mkdir, true},
        Operation{FUSE_UNLINK, &FuseServer::unlink, true},
        Operation{FUSE_RMDIR, &FuseServer::rmdir, true},
        Operation{FUSE_RENAME, &FuseServer::rename, true},
        Operation{FUSE_LINK, &FuseServer::link, true},
        Operation{FUSE_OPEN, &FuseServer::open},
        Operation{FUSE_READ, &FuseServer::read},
        Operation{FUSE_WRITE, &FuseServer::write, true},
        Operation{FUSE_STATFS, &FuseServer::statfs},
        Operation{FUSE_RELEASE, &FuseServer::release},
        Operation{FUSE_FSYNC, &FuseServer::fsync},
        Operation{FUSE_SETXATTR, &FuseServer::setxattr, true},
        Operation{FUSE_GETXATTR, &FuseServer::getxattr},
        Operation{FUSE_LISTXATTR, &FuseServer::listxattr},
        Operation{FUSE_REMOVEXATTR, &FuseServer::removexattr, true},
        Operation{FUSE_FLUSH, &FuseServer::flush},
        Operation{FUSE_INIT, &FuseServer::init},
        Operation{FUSE_OPENDIR, &FuseServer::opendir},
        Operation{FUSE_READDIR, &FuseServer::readdir},
        Operation{FUSE_RELEASEDIR, &FuseServer::releasedir},
        Operation{FUSE_FSYNCDIR, &FuseServer::fsyncdir},
        Operation{FUSE_ACCESS, &FuseServer::access},
        Operation{FUSE_CREATE, &FuseServer::create_file, true},
        // Requests are not taken back: the guest waits for their answers.
        Operation{FUSE_INTERRUPT, &FuseServer::nothing, false, false},
        Operation{FUSE_DESTROY, &FuseServer::destroy},
        Operation{FUSE_BATCH_FORGET, &FuseServer::batch_forget, false, false},
        Operation{FUSE_FALLOCATE, &FuseServer::fallocate, true},
        Operation{FUSE_READDIRPLUS, &FuseServer::readdirplus},
        Operation{FUSE_RENAME2, &FuseServer::rename2, true},
        Operation{FUSE_LSEEK, &FuseServer::lseek},
        Operation{FUSE_COPY_FILE_RANGE, &FuseServer::copy_file_range, true},
        Operation{FUSE_SYNCFS, &FuseServer::syncfs},
    };
    const auto found = std::find_if(kOperations.begin(), kOperations.end(),
                                    [&](const Operation& o) { return o.opcode == opcode; });
    return found == kOperations.end() ? nullptr : &*found;
}

Result<std::unique_ptr<FuseServer>> FuseServer::create(const FuseServerConfig& config) {
    const std::string what = fmt::format("share {}", quote_name(config.directory));
    const char* remedy = "give a directory that can be read";
    UniqueFd directory(::open(config.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory.valid()) return host_fail(errno, what, remedy);
    auto root = std::make_shared<const UniqueFd>(std::move(directory));
    const auto status = status_of(root->get());
    if (!status) return host_fail(status.error(), what, remedy);
    auto reopener = Reopener::create();
    if (!reopener) return host_fail(reopener.error(), what, "mount /proc on this host");
    // Any name will do: what has to be there is the call that stays inside a directory.
    const auto probe = open_child(root->get(), "banyan");
    if (!probe && (probe.error() == ENOSYS || probe.error() == EPERM))
        return host_fail(probe.error(), what,
                         "shares need openat2(), which Linux 5.6 and later have");
    return std::unique_ptr<FuseServer>(
        new FuseServer(config, std::move(*reopener), std::move(root), identity_of(*status)));
}

FuseServer::FuseServer(const FuseServerConfig& config, Reopener reopener, PathFd root,
                       const InodeIdentity& identity)
    : config_(config),
      ids_(IdMap::for_process()),
      reopener_(std::move(reopener)),
      inodes_(std::move(root), identity, config.inodes),
      handles_(config.handles) {}

void FuseServer::reset() {
    mounted_ = false;
    handles_.clear();
    inodes_.clear();
}

uint32_t FuseServer::serve(const FsRequest& request, FuseScratch& scratch) {
    FuseCall call{.request = request, .scratch = scratch};
    scratch.answer.clear();
    const uint64_t room = length_of(request.out);
    call.room = room < sizeof(fuse_out_header) ? 0 : room - sizeof(fuse_out_header);
    if (!read_message(call)) return answer(call, EINVAL);
    const Operation* operation = find_operation(call.header.opcode);
    if (operation == nullptr) return answer(call, ENOSYS);
    if (!mounted() && operation->opcode != FUSE_INIT) return answer(call, EIO);
    const bool refused = operation->changes && config_.read_only;
    const int error = refused ? EROFS : (this->*operation->serve)(call);
    return operation->answered ? answer(call, error) : 0;
}

// The header comes first, and once; then the rest, but for what WRITE has beside its structure.
bool FuseServer::read_message(FuseCall& call) {
    const FuseSegments in = call.request.in;
    auto& message = call.scratch.message;
    const auto header_bytes = std::as_writable_bytes(std::span(&call.header, 1));
    if (copy_from(in, 0, header_bytes) != header_bytes.size()) return false;
    if (call.header.len < sizeof(fuse_in_header) || call.header.len > length_of(in)) return false;
    size_t size = call.header.len - sizeof(fuse_in_header);
    if (call.header.opcode == FUSE_WRITE) size = std::min(size, sizeof(fuse_write_in));
    if (size > FuseScratch::kLongestMessage) return false;
    message.resize(size);
    (void)copy_from(in, sizeof(fuse_in_header), message);
    call.arguments = FuseArguments(message);
    return true;
}

// An error has no payload, and an answer for which there is no room becomes one.
uint32_t FuseServer::answer(FuseCall& call, int error) {
    const FuseRoom out = call.request.out;
    if (length_of(out) < sizeof(fuse_out_header)) return 0;
    const auto& payload = call.scratch.answer;
    if (error == 0 && payload.size() + call.placed > call.room) error = EIO;
    const auto length = static_cast<uint32_t>(sizeof(fuse_out_header) +
                                              (error == 0 ? payload.size() + call.placed : 0));
    const fuse_out_header header{length, -error, call.header.unique};
    (void)copy_to(out, 0, std::as_bytes(std::span(&header, 1)));
    if (error == 0) (void)copy_to(out, sizeof(header), payload);
    return length;
}

// What an earlier mount left behind goes first.
int FuseServer::init(FuseCall& call) {
    fuse_init_in in{};
    if (!call.arguments.take(in,
                             std::min(std::max(call.arguments.size(), kOldestInit), sizeof(in))))
        return EINVAL;
    if (in.major != FUSE_KERNEL_VERSION || in.minor < kOldestMinor) return EPROTO;
    reset();
    uint32_t offered = kOffered;
    if (config_.cache == ShareCache::writeback) offered |= FUSE_WRITEBACK_CACHE;
    fuse_init_out out{};
    out.major = FUSE_KERNEL_VERSION;
    out.minor = std::min(in.minor, kNewestMinor);
    out.max_readahead = in.max_readahead;
    out.flags = in.flags & offered;
    out.max_background = 64;  // as many as the device has in flight
    out.congestion_threshold = 48;
    out.max_pages = kMostPages;
    out.max_write = kMostPages * kPageSize;
    out.time_gran = 1;
    call.answer(out);
    mounted_ = true;
    return 0;
}

int FuseServer::destroy(FuseCall&) {
    reset();
    return 0;
}

int FuseServer::nothing(FuseCall&) {
    return 0;
}

int FuseServer::statfs(FuseCall& call) {
    const auto fd = inodes_.open(call.header.nodeid);
    if (!fd) return fd.error();
    struct statvfs host {};
    if (::fstatvfs((*fd)->get(), &host) != 0) return errno;
    fuse_statfs_out out{};
    out.st.blocks = host.f_blocks;
    out.st.bfree = host.f_bfree;
    out.st.bavail = host.f_bavail;
    out.st.files = host.f_files;
    out.st.ffree = host.f_ffree;
    out.st.bsize = static_cast<uint32_t>(host.f_bsize);
    out.st.namelen = NAME_MAX;
    out.st.frsize = static_cast<uint32_t>(host.f_frsize);
    call.answer(out);
    return 0;
}

int FuseServer::syncfs(FuseCall&) {
    if (config_.read_only) return 0;
    const auto root = inodes_.open(InodeTable::kRoot);
    if (!root) return root.error();
    const auto fd = reopener_.open((*root)->get(), O_RDONLY | O_DIRECTORY);
    if (!fd) return fd.error();
    return ::syncfs(fd->get()) == 0 ? 0 : errno;
}

// The thread's own file system user; the kernel then checks what that user may do.
FileOwner::FileOwner(const IdMap& ids, const fuse_in_header& header)
    : changed_(ids.same() && (header.uid != 0 || header.gid != 0)) {
    if (!changed_) return;
    ::setfsgid(header.gid);
    ::setfsuid(header.uid);
}

FileOwner::~FileOwner() {
    if (!changed_) return;
    ::setfsuid(0);
    ::setfsgid(0);
}

uint32_t allowed_mode(uint32_t mode, bool directory) {
    constexpr uint32_t kAll = 07777;
    constexpr uint32_t kFile = kAll & ~uint32_t{S_ISUID | S_ISGID};
    return mode & (directory ? kAll : kFile);
}

void drop_set_id_bits(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0 || (status.st_mode & (S_ISUID | S_ISGID)) == 0) return;
    (void)::fchmod(fd, allowed_mode(status.st_mode, false));
}

}  // namespace banyan
