// Vectors of integers: blends two pictures of bytes, and adds up how much they differ: pixels COUNT
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { PIXELS = 1 << 16 };

static uint8_t front[PIXELS], back[PIXELS], alpha[PIXELS];

static void blend(void) {
  for (int i = 0; i < PIXELS; ++i) {
    back[i] = (uint8_t)((front[i] * alpha[i] + back[i] * (255 - alpha[i]) + 128) >> 8);
  }
}

static uint32_t difference(void) {
  uint32_t sum = 0;
  for (int i = 0; i < PIXELS; ++i) {
    sum += (uint32_t)abs(front[i] - back[i]);
  }
  return sum;
}

int main(int argc, char** argv) {
  int count = argc > 1 ? atoi(argv[1]) : 1;
  uint64_t sum = 0;
  for (int round = 0; round < count; ++round) {
    if (round % 64 == 0) {
      for (int i = 0; i < PIXELS; ++i) {
        front[i] = (uint8_t)(i * 7 + (i >> 8) + round);
        back[i] = (uint8_t)(i * 13 + (i >> 7));
        alpha[i] = (uint8_t)(i * 3 + (i >> 9));
      }
    }
    blend();
    sum += difference();
  }
  printf("%llu\n", (unsigned long long)sum);
}
