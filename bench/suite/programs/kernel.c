// What the kernel does for programs: kernel calls|forkexec|switches|faults|pipe|files COUNT
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(int good, const char* what) {
  if (!good) {
    perror(what);
    exit(1);
  }
}

static void wait_for(pid_t child) {
  int status;
  check(waitpid(child, &status, 0) == child && status == 0, "kernel: child");
}

static uint64_t calls(int count) {
  uint64_t same = 0;
  long parent = getppid();
  for (int i = 0; i < count; ++i) {
    same += syscall(SYS_getppid) == parent;
  }
  return same;
}

static uint64_t forkexec(int count) {
  for (int i = 0; i < count; ++i) {
    pid_t child = fork();
    check(child >= 0, "kernel: fork");
    if (child == 0) {
      execl("/bin/true", "true", (char*)NULL);
      _exit(1);
    }
    wait_for(child);
  }
  return (uint64_t)count;
}

// A number goes to another process and comes back, one more each time.
static uint64_t switches(int count) {
  int there[2], back[2];
  check(pipe(there) == 0 && pipe(back) == 0, "kernel: pipe");
  pid_t child = fork();
  check(child >= 0, "kernel: fork");
  uint64_t number = 0;
  for (int i = 0; i < count; ++i) {
    if (child == 0) {
      check(read(there[0], &number, sizeof number) == sizeof number, "kernel: read");
      ++number;
      check(write(back[1], &number, sizeof number) == sizeof number, "kernel: write");
    } else {
      check(write(there[1], &number, sizeof number) == sizeof number, "kernel: write");
      check(read(back[0], &number, sizeof number) == sizeof number, "kernel: read");
    }
  }
  if (child == 0) {
    _exit(0);
  }
  wait_for(child);
  return number;
}

static uint64_t faults(int count) {
  enum { PAGE = 4096, LENGTH = 1024 * PAGE };
  uint64_t touched = 0;
  for (int i = 0; i < count; ++i) {
    char* pages = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(pages != MAP_FAILED, "kernel: mmap");
    madvise(pages, LENGTH, MADV_NOHUGEPAGE);
    for (int at = 0; at < LENGTH; at += PAGE) {
      touched += pages[at] == 0;
      pages[at] = 1;
    }
    munmap(pages, LENGTH);
  }
  return touched;
}

// COUNT blocks of 64 KiB from one process to another.
static uint64_t pipe_blocks(int count) {
  static char block[65536];
  int ends[2];
  check(pipe(ends) == 0, "kernel: pipe");
  pid_t child = fork();
  check(child >= 0, "kernel: fork");
  if (child == 0) {
    close(ends[0]);
    for (int i = 0; i < count; ++i) {
      memset(block, i, 512);
      for (size_t sent = 0; sent < sizeof block;) {
        ssize_t part = write(ends[1], block + sent, sizeof block - sent);
        check(part > 0, "kernel: write");
        sent += (size_t)part;
      }
    }
    _exit(0);
  }
  close(ends[1]);
  uint64_t bytes = 0;
  for (ssize_t part; (part = read(ends[0], block, sizeof block)) > 0;) {
    bytes += (uint64_t)part;
  }
  wait_for(child);
  return bytes;
}

static uint64_t files(int count) {
  char data[1000];
  uint64_t bytes = 0;
  memset(data, 7, sizeof data);
  for (int i = 0; i < count; ++i) {
    char name[32], other[32];
    struct stat status;
    snprintf(name, sizeof name, "file-%d", i % 100);
    snprintf(other, sizeof other, "other-%d", i % 100);
    int file = open(name, O_CREAT | O_RDWR | O_TRUNC, 0600);
    check(file >= 0, "kernel: open");
    check(write(file, data, sizeof data) == sizeof data, "kernel: write");
    check(lseek(file, 0, SEEK_SET) == 0 && read(file, data, sizeof data) == sizeof data, "kernel: read");
    close(file);
    check(rename(name, other) == 0 && stat(other, &status) == 0, "kernel: stat");
    bytes += (uint64_t)status.st_size;
    check(unlink(other) == 0, "kernel: unlink");
  }
  return bytes;
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    uint64_t (*run)(int count);
  } kinds[] = {{"calls", calls},   {"forkexec", forkexec}, {"switches", switches},
               {"faults", faults}, {"pipe", pipe_blocks},  {"files", files}};
  for (size_t i = 0; argc == 3 && i < sizeof kinds / sizeof *kinds; ++i) {
    if (strcmp(argv[1], kinds[i].name) == 0) {
      printf("%llu\n", (unsigned long long)kinds[i].run(atoi(argv[2])));
      return 0;
    }
  }
  fprintf(stderr, "usage: kernel calls|forkexec|switches|faults|pipe|files COUNT\n");
  return 2;
}
