#include "backends/fs/directory_share.hpp"

#include <array>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "backends/fs/testing/fuse_client.hpp"

namespace banyan {
namespace {

namespace fs = std::filesystem;

class CountingClient final : public FsClient {
public:
    void on_fs_complete(uint64_t cookie, uint32_t written) override {
        cookies += cookie;
        bytes += written;
        ++completed;
    }

    std::atomic<uint64_t> cookies{0};
    std::atomic<uint64_t> bytes{0};
    std::atomic<unsigned> completed{0};
};

// A request in one piece, as long as its answer is awaited.
struct Message {
    Message(uint32_t opcode, uint64_t node, const std::vector<std::byte>& body) {
        fuse_in_header header{};
        header.len = static_cast<uint32_t>(sizeof(header) + body.size());
        header.opcode = opcode;
        header.nodeid = node;
        bytes = FuseClient::body(header, body);
    }
    FsRequest request(uint64_t cookie) { return {in(), out(), cookie}; }
    int error() const {
        fuse_out_header header;
        std::memcpy(&header, room.data(), sizeof(header));
        return -header.error;
    }

    std::vector<std::byte> bytes;
    std::array<std::byte, 4096> room{};

private:
    std::span<const std::span<const std::byte>> in() {
        in_[0] = bytes;
        return in_;
    }
    std::span<const std::span<std::byte>> out() {
        out_[0] = room;
        return out_;
    }

    std::array<std::span<const std::byte>, 1> in_;
    std::array<std::span<std::byte>, 1> out_;
};

class DirectoryShareTest : public testing::Test {
protected:
    DirectoryShareTest() {
        std::string name = (fs::temp_directory_path() / "banyan-share-XXXXXX").string();
        directory_ = ::mkdtemp(name.data());
        share_ = std::move(*DirectoryShare::open({.directory = directory_}));
        fuse_init_in in{};
        in.major = 7;
        in.minor = 37;
        EXPECT_EQ(ask(FUSE_INIT, FuseClient::body(in)), 0);
    }
    ~DirectoryShareTest() override {
        share_ = nullptr;
        fs::remove_all(directory_);
    }
    int ask(uint32_t opcode, const std::vector<std::byte>& body) {
        Message message(opcode, FUSE_ROOT_ID, body);
        CountingClient client;
        share_->submit(message.request(0), client);
        share_->drain();
        EXPECT_EQ(client.completed, 1U);
        return message.error();
    }

    fs::path directory_;
    std::unique_ptr<DirectoryShare> share_;
};

TEST_F(DirectoryShareTest, AnswersAllBeforeItIsDrained) {
    constexpr unsigned kRequests = 500;
    std::vector<Message> messages(
        kRequests, Message(FUSE_GETATTR, FUSE_ROOT_ID, FuseClient::body(fuse_getattr_in{})));
    CountingClient client;
    for (unsigned i = 0; i < kRequests; ++i)
        share_->submit(messages[i].request(i), client);
    share_->drain();
    EXPECT_EQ(client.completed, kRequests);
    EXPECT_EQ(client.cookies, uint64_t{kRequests} * (kRequests - 1) / 2);
    EXPECT_EQ(client.bytes, kRequests * (sizeof(fuse_out_header) + sizeof(fuse_attr_out)));
    for (const Message& message : messages)
        EXPECT_EQ(message.error(), 0);
}

TEST_F(DirectoryShareTest, ModesAreTheGuestsWhateverTheUmask) {
    const mode_t before = ::umask(077);
    EXPECT_EQ(ask(FUSE_MKDIR, FuseClient::body(fuse_mkdir_in{0755, 022}, "dir")), 0);
    EXPECT_EQ(::umask(before), 077U) << "that of this process stays";
    struct stat status {};
    ASSERT_EQ(::stat((directory_ / "dir").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode, S_IFDIR | 0755U);
}

TEST_F(DirectoryShareTest, IsMountedUntilItIsReset) {
    EXPECT_TRUE(share_->mounted());
    share_->reset();
    EXPECT_FALSE(share_->mounted());
    EXPECT_EQ(ask(FUSE_GETATTR, FuseClient::body(fuse_getattr_in{})), EIO);
}

TEST_F(DirectoryShareTest, ServesWhatWaitsWhenItEnds) {
    std::vector<Message> messages(100, Message(FUSE_STATFS, FUSE_ROOT_ID, {}));
    CountingClient client;
    for (Message& message : messages)
        share_->submit(message.request(0), client);
    share_ = nullptr;
    EXPECT_EQ(client.completed, 100U);
}

TEST(DescriptorsForShare, AreAPartOfTheLimit) {
    const DescriptorShare one = descriptors_for_share(1);
    const DescriptorShare each = descriptors_for_share(8);
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
    EXPECT_LT(one.open_paths + one.kept_paths + one.handles, limit.rlim_cur);
    EXPECT_LE(each.handles, one.handles);
    EXPECT_GE(each.open_paths, 16U);
}

}  // namespace
}  // namespace banyan
