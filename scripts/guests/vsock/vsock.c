// Sockets between a guest and its host, for tests.
//
//   vsock connect PORT   standard input goes to that port of the host, and what comes back to standard output
//   vsock listen PORT    one stream to that port of the guest gets back what it sends
#include <errno.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void give_up(const char *what) {
    perror(what);
    exit(1);
}

static void write_all(int fd, const char *bytes, ssize_t count) {
    while (count > 0) {
        const ssize_t written = write(fd, bytes, (size_t)count);
        if (written < 0 && errno != EINTR) give_up("write");
        if (written < 0) continue;
        bytes += written;
        count -= written;
    }
}

// False at the end.
static int copy_once(int from, int to) {
    static char bytes[65536];
    const ssize_t count = read(from, bytes, sizeof(bytes));
    if (count < 0) give_up("read");
    write_all(to, bytes, count);
    return count != 0;
}

static void talk(int stream) {
    struct pollfd ends[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = stream, .events = POLLIN}};
    for (;;) {
        if (poll(ends, 2, -1) < 0) give_up("poll");
        if (ends[0].revents != 0 && !copy_once(STDIN_FILENO, stream)) {
            ends[0].fd = -1;
            shutdown(stream, SHUT_WR);
        }
        if (ends[1].revents != 0 && !copy_once(stream, STDOUT_FILENO)) return;
    }
}

int main(int count, char **words) {
    if (count != 3) return 2;
    const int stream = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (stream < 0) give_up("socket");
    struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_port = (unsigned)strtoul(words[2], NULL, 10)};
    if (strcmp(words[1], "connect") == 0) {
        address.svm_cid = VMADDR_CID_HOST;
        if (connect(stream, (struct sockaddr *)&address, sizeof(address)) != 0) give_up("connect");
        talk(stream);
        return 0;
    }
    address.svm_cid = VMADDR_CID_ANY;
    if (bind(stream, (struct sockaddr *)&address, sizeof(address)) != 0) give_up("bind");
    if (listen(stream, 1) != 0) give_up("listen");
    puts("listening");
    fflush(stdout);
    const int peer = accept(stream, NULL, NULL);
    if (peer < 0) give_up("accept");
    while (copy_once(peer, peer)) {
    }
    return 0;
}
