// Large buffers, larger than most caches, and blocks that fit: memory copy|blocks|set|sum|triad|chase COUNT
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 32 << 20 };

static void* buffer(int value) {
  void* memory = malloc(BYTES);
  if (!memory) {
    perror("memory: malloc");
    exit(1);
  }
  return memset(memory, value, BYTES);
}

static uint64_t sum_of(const uint64_t* words) {
  uint64_t sum = 0;
  for (size_t i = 0; i < BYTES / sizeof *words; ++i) {
    sum += words[i];
  }
  return sum;
}

// Through volatile pointers, so that no call is left out.
static void* (*volatile copy_bytes)(void*, const void*, size_t) = memcpy;
static void* (*volatile set_bytes)(void*, int, size_t) = memset;

static uint64_t copy(int count) {
  uint8_t *from = buffer(1), *to = buffer(2);
  for (int i = 0; i < count; ++i) {
    from[i % BYTES] ^= (uint8_t)i;
    copy_bytes(to, from, BYTES);
  }
  return sum_of((uint64_t*)to);
}

// COUNT times 16 blocks, each from one place to another in 4 MiB.
static uint64_t blocks(int count) {
  enum { BLOCK = 256 << 10 };
  uint8_t* bytes = buffer(1);
  for (int i = 0; i < count; ++i) {
    for (int block = 0; block < 16; ++block) {
      uint8_t* from = bytes + block * BLOCK;
      from[i % BLOCK] ^= (uint8_t)i;
      copy_bytes(bytes + (block * 7 + 5) % 16 * BLOCK, from, BLOCK);
    }
  }
  return sum_of((uint64_t*)bytes);
}

static uint64_t set(int count) {
  uint64_t *words = buffer(1), sum = 0;
  for (int i = 0; i < count; ++i) {
    set_bytes(words, i, BYTES);
    sum += words[i];
  }
  return sum;
}

static uint64_t sum(int count) {
  uint64_t *words = buffer(3), total = 0;
  for (int i = 0; i < count; ++i) {
    words[i] = (uint64_t)i;
    total += sum_of(words);
  }
  return total;
}

static uint64_t triad(int count) {
  double *a = buffer(0), *b = buffer(0), *c = buffer(0);
  size_t length = BYTES / sizeof *a;
  for (size_t i = 0; i < length; ++i) {
    b[i] = (double)(i % 1000);
    c[i] = (double)(i % 77);
  }
  for (int round = 0; round < count; ++round) {
    for (size_t i = 0; i < length; ++i) {
      a[i] = b[i] + round * c[i];
    }
  }
  double total = 0;
  for (size_t i = 0; i < length; ++i) {
    total += a[i];
  }
  return (uint64_t)total;
}

// From word to word in one cycle through all of them, in no order: each step waits for the one before.
static uint64_t chase(int count) {
  enum { LENGTH = BYTES / 8 };
  uint32_t* next = buffer(0);
  uint64_t random = 1;
  for (uint32_t i = 0; i < LENGTH; ++i) {
    next[i] = i;
  }
  for (uint32_t i = LENGTH - 1; i > 0; --i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    uint32_t j = (uint32_t)((random >> 33) % i), t = next[i];
    next[i] = next[j];
    next[j] = t;
  }
  uint64_t total = 0;
  uint32_t at = 0;
  for (int i = 0; i < count; ++i) {
    at = next[at];
    total += at;
  }
  return total;
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    uint64_t (*run)(int count);
  } kinds[] = {{"copy", copy}, {"blocks", blocks}, {"set", set}, {"sum", sum}, {"triad", triad}, {"chase", chase}};
  for (size_t i = 0; argc == 3 && i < sizeof kinds / sizeof *kinds; ++i) {
    if (strcmp(argv[1], kinds[i].name) == 0) {
      printf("%llu\n", (unsigned long long)kinds[i].run(atoi(argv[2])));
      return 0;
    }
  }
  fprintf(stderr, "usage: memory copy|blocks|set|sum|triad|chase COUNT\n");
  return 2;
}
