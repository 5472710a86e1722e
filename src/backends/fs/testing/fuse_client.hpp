// A scripted guest for tests of FuseServer: makes messages as Linux does, and any others.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/fs/fuse_server.hpp"

namespace banyan {

// A structure that names an open file, and nothing else.
template <class T>
T with_handle(uint64_t handle) {
    T in{};
    in.fh = handle;
    return in;
}

class FuseClient {
public:
    struct Answer {
        int error = 0;  // positive
        uint32_t length = 0;
        std::vector<std::byte> payload;

        template <class T>
        T as(size_t offset = 0) const {
            T object{};
            if (payload.size() >= offset + sizeof(T))
                std::memcpy(&object, payload.data() + offset, sizeof(T));
            return object;
        }
        std::string text() const {
            return {reinterpret_cast<const char*>(payload.data()), payload.size()};
        }
    };

    explicit FuseClient(FuseServer& server) : server_(server) {}

    // Structures and names, one after the other.
    template <class... Parts>
    static std::vector<std::byte> body(const Parts&... parts) {
        std::vector<std::byte> bytes;
        (append(bytes, parts), ...);
        return bytes;
    }
    template <class... Parts>
    Answer ask(uint32_t opcode, uint64_t node, const Parts&... parts) {
        return send(opcode, node, body(parts...));
    }

    // In pieces of odd sizes, as no driver would make them.
    Answer send(uint32_t opcode, uint64_t node, const std::vector<std::byte>& body,
                size_t room = 70000) {
        fuse_in_header header{};
        header.len = static_cast<uint32_t>(sizeof(header) + body.size());
        header.opcode = opcode;
        header.unique = ++unique_;
        header.nodeid = node;
        header.uid = user;
        header.gid = user;
        std::vector<std::byte> message;
        append(message, header);
        append(message, body);
        return send_raw(message, room);
    }
    Answer send_raw(const std::vector<std::byte>& message, size_t room) {
        std::vector<std::byte> space(room);
        const auto in = pieces(std::span<const std::byte>(message), 7);
        const auto out = pieces(std::span(space), 23);
        const uint32_t length = server_.serve({in, out, 0}, scratch_);
        Answer answer;
        answer.length = length;
        if (length < sizeof(fuse_out_header)) return answer;
        fuse_out_header header;
        std::memcpy(&header, space.data(), sizeof(header));
        answer.error = header.len == length ? -header.error : 100'000;
        answer.payload.assign(space.begin() + sizeof(header), space.begin() + length);
        return answer;
    }

    Answer init(uint32_t flags = ~0U) {
        fuse_init_in in{};
        in.major = 7;
        in.minor = 37;
        in.max_readahead = 1 << 20;
        in.flags = flags;
        return ask(FUSE_INIT, 0, in);
    }
    // The node, or 0; the error is in last_error.
    uint64_t lookup(uint64_t parent, std::string_view name) {
        return entry(ask(FUSE_LOOKUP, parent, name));
    }
    uint64_t lookup_path(std::initializer_list<std::string_view> names) {
        uint64_t node = FUSE_ROOT_ID;
        for (const auto name : names)
            node = lookup(node, name);
        return node;
    }
    uint64_t entry(const Answer& answer) {
        last_error = answer.error;
        return answer.error == 0 ? answer.as<fuse_entry_out>().nodeid : 0;
    }
    Answer setattr(uint64_t node, fuse_setattr_in in) { return ask(FUSE_SETATTR, node, in); }
    // The handle, or 0.
    uint64_t open(uint64_t node, uint32_t flags) {
        return handle(ask(FUSE_OPEN, node, fuse_open_in{flags, 0}));
    }
    uint64_t opendir(uint64_t node) { return handle(ask(FUSE_OPENDIR, node, fuse_open_in{})); }
    struct Created {
        uint64_t node;
        uint64_t handle;
    };
    Created create(uint64_t parent, std::string_view name, uint32_t flags = 2,
                   uint32_t mode = 0644) {
        const auto answer = ask(FUSE_CREATE, parent, fuse_create_in{flags, mode, 0, 0}, name);
        last_error = answer.error;
        return {answer.as<fuse_entry_out>().nodeid,
                answer.as<fuse_open_out>(sizeof(fuse_entry_out)).fh};
    }
    Answer read(uint64_t handle, uint64_t offset, uint32_t size, uint32_t opcode = FUSE_READ,
                uint64_t node = 0) {
        fuse_read_in in{};
        in.fh = handle;
        in.offset = offset;
        in.size = size;
        return ask(opcode, node, in);
    }
    Answer write(uint64_t handle, uint64_t offset, std::string_view text, uint32_t flags = 0) {
        fuse_write_in in{};
        in.fh = handle;
        in.offset = offset;
        in.size = static_cast<uint32_t>(text.size());
        in.write_flags = flags;
        return ask(FUSE_WRITE, 0, in, std::as_bytes(std::span(text)));
    }
    Answer forget(uint64_t node, uint64_t count) {
        return send(FUSE_FORGET, node, body(fuse_forget_in{count}), 0);
    }
    std::string read_file(uint64_t node) {
        const uint64_t fh = open(node, 0);
        const auto answer = read(fh, 0, 60000);
        (void)ask(FUSE_RELEASE, node, with_handle<fuse_release_in>(fh));
        return answer.text();
    }

    int last_error = 0;
    uint32_t user = 0;  // who asks in the guest; also the group

private:
    uint64_t handle(const Answer& answer) {
        last_error = answer.error;
        return answer.as<fuse_open_out>().fh;
    }

    static void append(std::vector<std::byte>& to, std::span<const std::byte> bytes) {
        to.insert(to.end(), bytes.begin(), bytes.end());
    }
    static void append(std::vector<std::byte>& to, const std::vector<std::byte>& bytes) {
        to.insert(to.end(), bytes.begin(), bytes.end());
    }
    static void append(std::vector<std::byte>& to, std::string_view name) {
        append(to, std::as_bytes(std::span(name)));
        to.push_back(std::byte{0});
    }
    static void append(std::vector<std::byte>& to, const char* name) {
        append(to, std::string_view(name));
    }
    static void append(std::vector<std::byte>& to, const std::string& name) {
        append(to, std::string_view(name));
    }
    template <class T>
    static void append(std::vector<std::byte>& to, const T& object) {
        append(to, std::as_bytes(std::span(&object, 1)));
    }

    // The first piece is small, and so is what is left.
    template <class Byte>
    static std::vector<std::span<Byte>> pieces(std::span<Byte> bytes, size_t first) {
        std::vector<std::span<Byte>> all;
        const size_t cut = std::min(first, bytes.size());
        if (cut != 0) all.push_back(bytes.first(cut));
        bytes = bytes.subspan(cut);
        const size_t half = bytes.size() / 2;
        if (half != 0) all.push_back(bytes.first(half));
        if (bytes.size() != half) all.push_back(bytes.subspan(half));
        return all;
    }

    FuseServer& server_;
    FuseScratch scratch_;
    uint64_t unique_ = 0;
};

}  // namespace banyan
