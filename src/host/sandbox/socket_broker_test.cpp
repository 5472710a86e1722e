#include "host/sandbox/socket_broker.hpp"

#include <cerrno>
#include <cstdlib>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "host/posix/unix_address.hpp"
#include "host/posix/unix_connector.hpp"

namespace banyan {
namespace {

TEST(SocketBroker, AllowsWhatIsNamedAndNumberedPorts) {
    const BrokerTargets targets{{"/run/switch"}, {"/home/a/vm.vsock_"}, {}};

    EXPECT_TRUE(may_connect(targets, "/run/switch"));
    EXPECT_TRUE(may_connect(targets, "/home/a/vm.vsock_1024"));
    for (const char* other : {"", "/run/switch2", "/run/switch/", "/home/a/vm.vsock_",
                              "/home/a/vm.vsock_1/../x", "/home/a/vm.vsock_1a", "/run/1.qmp"}) {
        EXPECT_FALSE(may_connect(targets, other)) << other;
    }
}

class BrokerProcess : public testing::Test {
protected:
    void SetUp() override {
        std::string place = testing::TempDir() + "banyan-broker-XXXXXX";
        ASSERT_NE(::mkdtemp(place.data()), nullptr);
        place_ = place;
    }
    void TearDown() override {
        for (const char* name : {"/allowed", "/other", "/own"})
            ::unlink((place_ + name).c_str());
        ::rmdir(place_.c_str());
    }

    std::string path(const char* name) const { return place_ + name; }

    static UniqueFd listen_at(const std::string& path) {
        UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const UnixAddress address(path);
        EXPECT_EQ(::bind(fd.get(), address.get(), UnixAddress::size()), 0);
        EXPECT_EQ(::listen(fd.get(), 4), 0);
        return fd;
    }

    static bool is_there(const std::string& path) {
        struct stat found {};
        return ::lstat(path.c_str(), &found) == 0;
    }

    // In a process of its own: there is one broker a process.
    template <class Body>
    static int status_of(Body body) {
        const pid_t child = ::fork();
        if (child == 0) ::_exit(body());
        int status = 0;
        ::waitpid(child, &status, 0);
        return status;
    }

private:
    std::string place_;
};

TEST_F(BrokerProcess, ConnectsToNamedSocketsOnly) {
    const UniqueFd allowed = listen_at(path("/allowed"));
    const UniqueFd other = listen_at(path("/other"));

    const int status = status_of([&] {
        const auto broker = SocketBroker::start({{path("/allowed")}, {}, {}});
        const UniqueFd first = connect_unix(path("/allowed"), SOCK_STREAM | SOCK_NONBLOCK);
        const bool connected = first.valid() && ::send(first.get(), "x", 1, MSG_NOSIGNAL) == 1;
        const UniqueFd second = connect_unix(path("/other"), SOCK_STREAM | SOCK_NONBLOCK);
        return connected && !second.valid() && errno == EACCES ? 0 : 1;
    });

    EXPECT_EQ(status, 0);
}

TEST_F(BrokerProcess, RemovesWhatIsTheVmsWhenItHasGone) {
    const int status = status_of([&] {
        const auto broker = SocketBroker::start({{}, {}, {path("/own"), path("/other")}});
        const UniqueFd own = listen_at(path("/own"));
        (*broker)->remember_files();
        const UniqueFd other = listen_at(path("/other"));
        return 0;
    });

    EXPECT_EQ(status, 0);
    EXPECT_FALSE(is_there(path("/own")));
    EXPECT_TRUE(is_there(path("/other")));
}

TEST_F(BrokerProcess, LeavesFilesAloneOfAVmThatNeverRan) {
    const UniqueFd other = listen_at(path("/own"));

    const int status = status_of([&] {
        const auto broker = SocketBroker::start({{}, {}, {path("/own")}});
        return broker ? 0 : 1;
    });

    EXPECT_EQ(status, 0);
    EXPECT_TRUE(is_there(path("/own")));
}

}  // namespace
}  // namespace banyan
