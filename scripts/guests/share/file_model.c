/*
 * file-model DIRECTORY OPERATIONS SEED: does random things to files of a directory and compares each result with a model
 * in memory, as fsx does. Prints "file-model: ok" and ends with 0, or the operation that went wrong and 1.
 *
 * Files are written, read, cut, extended, punched, mapped, copied, closed and opened, renamed over each other, linked and
 * removed while they are open. What the model knows: the bytes of each file, and which names there are.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES 4
#define MOST (256 * 1024)

struct model {
    unsigned char bytes[MOST];
    size_t size;
    int fd;
};

static struct model models[FILES];
static unsigned char buffer[MOST];
static uint64_t state;
static long operation;
static const char *doing = "starting";

static uint64_t random_number(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static size_t below(size_t bound) { return bound == 0 ? 0 : random_number() % bound; }

static void fail(const char *what) {
    printf("file-model: FAIL: operation %ld (%s): %s: %s\n", operation, doing, what, strerror(errno));
    exit(1);
}

static void check(int good, const char *what) {
    if (!good) fail(what);
}

static const char *name_of(int i) {
    static char names[FILES][16];
    snprintf(names[i], sizeof(names[i]), "file-%d", i);
    return names[i];
}

static void check_same(const unsigned char *found, const unsigned char *expected, size_t length) {
    for (size_t i = 0; i < length; ++i) {
        if (found[i] == expected[i]) continue;
        errno = 0;
        printf("file-model: byte %zu of %zu is %02x, not %02x\n", i, length, found[i], expected[i]);
        fail("the bytes differ");
    }
}

static void check_size(struct model *m) {
    struct stat status;
    check(fstat(m->fd, &status) == 0, "fstat");
    if ((size_t)status.st_size == m->size) return;
    errno = 0;
    printf("file-model: size %zu, not %zu\n", (size_t)status.st_size, m->size);
    fail("the size differs");
}

/* Bytes behind the old end are zeroes. */
static void grow(struct model *m, size_t size) {
    if (size <= m->size) return;
    memset(m->bytes + m->size, 0, size - m->size);
    m->size = size;
}

static void fill(unsigned char *at, size_t length) {
    for (size_t i = 0; i < length; ++i) at[i] = (unsigned char)random_number();
}

static void write_some(struct model *m) {
    doing = "write";
    size_t offset = below(MOST), length = 1 + below(below(8) == 0 ? MOST : 9000);
    if (length > MOST - offset) length = MOST - offset;
    fill(buffer, length);
    check(pwrite(m->fd, buffer, length, (off_t)offset) == (ssize_t)length, "pwrite");
    grow(m, offset + length);
    memcpy(m->bytes + offset, buffer, length);
}

static void read_some(struct model *m) {
    doing = "read";
    size_t offset = below(m->size + 1), length = 1 + below(below(8) == 0 ? MOST : 9000);
    size_t expected = length < m->size - offset ? length : m->size - offset;
    check(pread(m->fd, buffer, length, (off_t)offset) == (ssize_t)expected, "pread");
    check_same(buffer, m->bytes + offset, expected);
}

static void resize(struct model *m) {
    doing = "truncate";
    size_t size = below(MOST);
    check(ftruncate(m->fd, (off_t)size) == 0, "ftruncate");
    grow(m, size);
    m->size = size;
}

static void punch(struct model *m) {
    doing = "punch a hole";
    if (m->size == 0) return;
    size_t offset = below(m->size), length = 1 + below(m->size - offset);
    if (fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length) != 0) {
        check(errno == EOPNOTSUPP, "fallocate");
        return;
    }
    memset(m->bytes + offset, 0, length);
}

static void allocate(struct model *m) {
    doing = "allocate";
    size_t offset = below(MOST), length = 1 + below(MOST - offset);
    if (fallocate(m->fd, 0, (off_t)offset, (off_t)length) != 0) {
        check(errno == EOPNOTSUPP, "fallocate");
        return;
    }
    grow(m, offset + length);
}

static void map_some(struct model *m) {
    doing = "map";
    if (m->size == 0) return;
    unsigned char *map = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
    check(map != MAP_FAILED, "mmap");
    size_t offset = below(m->size), length = 1 + below(m->size - offset);
    if (length > 20000) length = 20000;
    check_same(map + offset, m->bytes + offset, length);
    fill(m->bytes + offset, length);
    memcpy(map + offset, m->bytes + offset, length);
    if (below(8) == 0) check(msync(map, m->size, MS_SYNC) == 0, "msync");
    check(munmap(map, m->size) == 0, "munmap");
}

static void copy_some(struct model *from, struct model *to) {
    doing = "copy a range";
    if (from == to || from->size == 0) return;
    size_t start = below(from->size), offset = below(MOST), length = 1 + below(from->size - start);
    if (length > MOST - offset) length = MOST - offset;
    off64_t in = (off64_t)start, out = (off64_t)offset;
    ssize_t copied = copy_file_range(from->fd, &in, to->fd, &out, length, 0);
    check(copied > 0, "copy_file_range");
    grow(to, offset + (size_t)copied);
    memcpy(to->bytes + offset, from->bytes + start, (size_t)copied);
}

static void open_file(int i, int flags) {
    models[i].fd = open(name_of(i), O_RDWR | flags, 0644);
    check(models[i].fd >= 0, "open");
}

static void reopen(int i) {
    doing = "open again";
    check(close(models[i].fd) == 0, "close");
    int empty = below(8) == 0;
    open_file(i, empty ? O_TRUNC : 0);
    if (empty) models[i].size = 0;
}

/* The file at the new name is gone, and what is left under the old name is made anew. */
static void rename_over(int from, int to) {
    doing = "rename";
    if (from == to) return;
    check(rename(name_of(from), name_of(to)) == 0, "rename");
    check(close(models[to].fd) == 0, "close");
    memcpy(models[to].bytes, models[from].bytes, models[from].size);
    models[to].size = models[from].size;
    models[to].fd = models[from].fd;
    errno = 0;
    check(access(name_of(from), F_OK) != 0 && errno == ENOENT, "the old name is still there");
    models[from].size = 0;
    open_file(from, O_CREAT | O_EXCL);
}

/* It can be read and written as long as it is open. */
static void remove_open(int i) {
    doing = "remove an open file";
    check(unlink(name_of(i)) == 0, "unlink");
    write_some(&models[i]);
    read_some(&models[i]);
    check_size(&models[i]);
    doing = "make a file";
    check(close(models[i].fd) == 0, "close");
    models[i].size = 0;
    open_file(i, O_CREAT | O_EXCL);
}

static void link_and_remove(int i) {
    doing = "link";
    check(link(name_of(i), "other-name") == 0, "link");
    struct stat status;
    check(stat("other-name", &status) == 0 && status.st_nlink == 2, "two names");
    check(unlink("other-name") == 0, "unlink");
    check(stat(name_of(i), &status) == 0 && status.st_nlink == 1, "one name");
}

/* Not often: what a disk takes for it would be most of the time. */
static void sync_file(struct model *m) {
    doing = "sync";
    if (below(8) == 0) check(fsync(m->fd) == 0, "fsync");
}

static void step(void) {
    int i = (int)below(FILES), j = (int)below(FILES);
    struct model *m = &models[i];
    switch (below(20)) {
        case 0: case 1: case 2: case 3: case 4: write_some(m); break;
        case 5: case 6: case 7: case 8: case 9: read_some(m); break;
        case 10: case 11: resize(m); break;
        case 12: punch(m); break;
        case 13: allocate(m); break;
        case 14: case 15: map_some(m); break;
        case 16: copy_some(m, &models[j]); break;
        case 17: reopen(i); break;
        case 18: below(2) == 0 ? rename_over(i, j) : link_and_remove(i); break;
        default: below(4) == 0 ? remove_open(i) : sync_file(m); break;
    }
    check_size(m);
}

int main(int argc, char **argv) {
    if (argc != 4 || chdir(argv[1]) != 0) {
        fprintf(stderr, "usage: file-model DIRECTORY OPERATIONS SEED\n");
        return 2;
    }
    long operations = atol(argv[2]);
    state = strtoull(argv[3], NULL, 0) * 2 + 1;
    for (int i = 0; i < FILES; ++i) open_file(i, O_CREAT | O_EXCL);
    for (operation = 1; operation <= operations; ++operation) step();
    doing = "compare all";
    for (int i = 0; i < FILES; ++i) {
        struct model *m = &models[i];
        check(close(m->fd) == 0, "close");
        open_file(i, 0);
        check_size(m);
        check(pread(m->fd, buffer, MOST, 0) == (ssize_t)m->size, "pread");
        check_same(buffer, m->bytes, m->size);
        check(close(m->fd) == 0 && unlink(name_of(i)) == 0, "remove");
    }
    printf("file-model: ok: %ld operations\n", operations);
    return 0;
}
