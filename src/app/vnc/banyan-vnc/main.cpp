// banyan-vnc SOCKET NAME HOST FIRST_PORT LAST_PORT [PASSWORD_FILE]
//
// Started by `banyan run --display vnc`. Says on standard output where it listens, and ends with
// the VM. Everything else goes to standard error.
#include <csignal>
#include <cstdio>
#include <fstream>
#include <string>
#include <unistd.h>

#include "app/vnc/vnc_server.hpp"
#include "host/linux/stderr_log.hpp"
#include "host/posix/host_error.hpp"

namespace banyan {
namespace {

Result<std::string> read_password(const std::string& path) {
    std::ifstream file(path);
    std::string password;
    std::getline(file, password);
    if (!password.empty()) return password;
    return fail(ErrorCode::invalid_argument,
                "--display vnc: there is no password in the first line of " + quote_name(path) +
                    "; write one, of up to 8 characters");
}

uint16_t port(const char* text) {
    return static_cast<uint16_t>(std::strtoul(text, nullptr, 10));
}

Result<void> serve(int argc, char** argv) {
    VncServer::Config config{argv[2], ""};
    if (argc > 6) {
        TRY_ASSIGN(password, read_password(argv[6]));
        config.password = std::move(password);
    }
    TRY_ASSIGN(listener, listen_for_vnc(argv[3], port(argv[4]), port(argv[5])));
    TRY_ASSIGN(screen, ScreenClient::connect(argv[1]));
    std::printf("%s\n", listener.place.c_str());
    std::fclose(stdout);
    TRY_ASSIGN(server,
               VncServer::create(std::move(config), std::move(listener), std::move(screen)));
    server->run();
    return {};
}

}  // namespace
}  // namespace banyan

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    if (argc < 6) {
        banyan::print_message("banyan-vnc is started by banyan run --display vnc; call that");
        return 2;
    }
    const auto served = banyan::serve(argc, argv);
    if (served) return 0;
    banyan::print_message(served.error().text());
    return 1;
}
