// Fast Fourier transforms of 16384 complex doubles, forth and back: fft COUNT
//
// The roots of unity come from square roots alone, which IEEE 754 rounds correctly: so the result is the same to the last
// bit wherever the arithmetic is right, whichever variant of the C library's sine a machine would take.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BITS = 14, N = 1 << BITS };

struct complex {
  double re, im;
};

static struct complex data[N], roots[N / 2];

// roots[i] = exp(-2 pi i / N): by halving the angle from that of -1.
static void find_roots(void) {
  struct complex halves[BITS];
  struct complex z = {-1, 0};
  for (int level = 0; level < BITS; ++level) {
    halves[level] = z;
    struct complex half = {sqrt((1 + z.re) / 2), -sqrt((1 - z.re) / 2)};
    z = half;
  }
  for (int i = 0; i < N / 2; ++i) {
    struct complex product = {1, 0};
    for (int level = 0; level < BITS; ++level) {
      if (i & (N / 2 >> level)) {
        struct complex factor = halves[level], old = product;
        product.re = old.re * factor.re - old.im * factor.im;
        product.im = old.re * factor.im + old.im * factor.re;
      }
    }
    roots[i] = product;
  }
}

static void reverse_bits(void) {
  for (int i = 0, j = 0; i < N; ++i) {
    if (i < j) {
      struct complex t = data[i];
      data[i] = data[j];
      data[j] = t;
    }
    int bit = N >> 1;
    for (; j & bit; bit >>= 1) {
      j ^= bit;
    }
    j ^= bit;
  }
}

static void transform(double direction) {
  reverse_bits();
  for (int size = 2; size <= N; size *= 2) {
    int step = N / size;
    for (int start = 0; start < N; start += size) {
      for (int k = 0; k < size / 2; ++k) {
        struct complex w = {roots[k * step].re, direction * roots[k * step].im};
        struct complex *even = &data[start + k], *odd = &data[start + k + size / 2];
        struct complex t = {odd->re * w.re - odd->im * w.im, odd->re * w.im + odd->im * w.re};
        odd->re = even->re - t.re;
        odd->im = even->im - t.im;
        even->re += t.re;
        even->im += t.im;
      }
    }
  }
}

int main(int argc, char** argv) {
  int count = argc > 1 ? atoi(argv[1]) : 1;
  find_roots();
  for (int i = 0; i < N; ++i) {
    data[i].re = (i * 37 % 1009) / 1009.0;
    data[i].im = (i * 101 % 997) / 997.0;
  }
  double spectrum = 0;
  for (int round = 0; round < count; ++round) {
    transform(1);
    spectrum += data[round % N].re;
    transform(-1);
    for (int i = 0; i < N; ++i) {
      data[i].re /= N;
      data[i].im /= N;
    }
  }
  printf("%a %a %a\n", spectrum, data[5].re, data[N - 3].im);
}
