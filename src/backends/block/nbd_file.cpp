#include "backends/block/nbd_file.hpp"

#include <dlfcn.h>
#include <libnbd.h>
#include <mutex>

#include "host/posix/host_error.hpp"

namespace banyan {

namespace {

// What is used of libnbd.
class LibNbd {
public:
    // Null: it is not installed, or lacks something.
    static const LibNbd* get() {
        static const LibNbd library;
        return library.complete_ ? &library : nullptr;
    }

    decltype(&::nbd_create) create = nullptr;
    decltype(&::nbd_close) close = nullptr;
    decltype(&::nbd_set_uri_allow_local_file) allow_local_file = nullptr;
    decltype(&::nbd_connect_uri) connect_uri = nullptr;
    decltype(&::nbd_get_size) get_size = nullptr;
    decltype(&::nbd_pread) pread = nullptr;
    decltype(&::nbd_get_error) get_error = nullptr;

private:
    // Never unloaded: its threads' data may live as long as the process.
    LibNbd() {
        void* const handle = ::dlopen("libnbd.so.0", RTLD_NOW | RTLD_LOCAL);
        complete_ = handle != nullptr && find(handle, "nbd_create", create) &&
                    find(handle, "nbd_close", close) &&
                    find(handle, "nbd_set_uri_allow_local_file", allow_local_file) &&
                    find(handle, "nbd_connect_uri", connect_uri) &&
                    find(handle, "nbd_get_size", get_size) && find(handle, "nbd_pread", pread) &&
                    find(handle, "nbd_get_error", get_error);
    }
    template <class Function>
    static bool find(void* handle, const char* name, Function& function) {
        // SAFETY: libnbd.h, which comes with the library, says that the symbol is of this type.
        function = reinterpret_cast<Function>(::dlsym(handle, name));
        return function != nullptr;
    }

    bool complete_ = false;
};

// A request of the protocol: servers need not take larger ones (proto.md, "Block size
// constraints").
constexpr size_t kMostNbdBytes = 1 << 20;

class NbdFile final : public ImageFile {
public:
    NbdFile(const LibNbd& library, nbd_handle* connection, std::string name)
        : library_(library), connection_(connection), name_(std::move(name)) {}
    ~NbdFile() override { library_.close(connection_); }
    NbdFile(const NbdFile&) = delete;
    NbdFile& operator=(const NbdFile&) = delete;

    Result<void> connect(const std::string& uri) {
        // A server is named, not a file with keys of ours.
        if (library_.allow_local_file(connection_, false) != 0 ||
            library_.connect_uri(connection_, uri.c_str()) != 0) {
            return failed("connect to", "check its name, and that it runs");
        }
        const int64_t size = library_.get_size(connection_);
        if (size < 0) return failed("ask for the size of", "check the server");
        size_ = static_cast<uint64_t>(size);
        return {};
    }

    uint64_t size() const override { return size_; }

    Result<void> read(uint64_t offset, const Scatter& to) override {
        const uint64_t there = offset < size_ ? std::min(size_ - offset, to.size()) : 0;
        Result<void> result;
        to.part(0, there).for_each([&](std::span<std::byte> piece) {
            while (result && !piece.empty()) {
                const std::span part = piece.first(std::min(piece.size(), kMostNbdBytes));
                result = read_piece(offset, part);
                offset += part.size();
                piece = piece.subspan(part.size());
            }
        });
        to.part(there, to.size() - there).fill_with_zeroes();
        return result;
    }

    Result<void> write(uint64_t, const Scatter&) override { return refuse(); }
    Result<void> flush() override { return {}; }
    Result<void> resize(uint64_t) override { return refuse(); }
    Result<void> write_zeroes(uint64_t, uint64_t) override { return refuse(); }
    Result<void> discard(uint64_t, uint64_t) override { return refuse(); }
    Stretch stretch(uint64_t, uint64_t length) override { return {false, length}; }

private:
    // The handle serves one call at a time.
    Result<void> read_piece(uint64_t offset, std::span<std::byte> to) {
        const std::lock_guard lock(mutex_);
        if (library_.pread(connection_, to.data(), to.size(), offset, 0) == 0) return {};
        return failed("read", "check the server, and start again");
    }

    tl::unexpected<Error> failed(std::string_view operation, std::string_view remedy) const {
        const char* const why = library_.get_error();
        return fail(ErrorCode::io, std::string(operation) + " " + name_ + ": " +
                                       (why != nullptr ? why : "it failed") + "; " +
                                       std::string(remedy));
    }

    tl::unexpected<Error> refuse() const {
        return fail(ErrorCode::unsupported,
                    name_ +
                        ": disks of NBD servers are only read; copy it with banyan image "
                        "convert");
    }

    const LibNbd& library_;
    nbd_handle* const connection_;
    const std::string name_;
    uint64_t size_ = 0;
    std::mutex mutex_;  // a leaf; held while the server is waited for
};

}  // namespace

bool is_nbd_uri(const std::string& path) {
    return path.starts_with("nbd://") || path.starts_with("nbd+unix://") ||
           path.starts_with("nbds://") || path.starts_with("nbds+unix://");
}

Result<std::unique_ptr<ImageFile>> open_nbd(const std::string& uri) {
    const std::string name = "the disk " + quote_name(uri);
    const LibNbd* library = LibNbd::get();
    if (library == nullptr) {
        return fail(ErrorCode::unsupported,
                    "open " + name + ": there is no libnbd; install the package libnbd0");
    }
    nbd_handle* const connection = library->create();
    if (connection == nullptr)
        return fail(ErrorCode::out_of_memory, "open " + name + ": no memory");
    auto file = std::make_unique<NbdFile>(*library, connection, name);
    TRY(file->connect(uri));
    return file;
}

}  // namespace banyan
