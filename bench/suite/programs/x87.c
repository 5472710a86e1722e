// The 80-bit arithmetic of the x87, by long double: x87 COUNT
//
// Only what is rounded correctly by definition: + - * / and the square root.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { TERMS = 64 };

static long double coefficients[TERMS];

static long double polynomial(long double x) {
  long double sum = 0;
  for (int i = 0; i < TERMS; ++i) {
    sum = sum * x + coefficients[i];
  }
  return sum;
}

int main(int argc, char** argv) {
  int count = argc > 1 ? atoi(argv[1]) : 1;
  for (int i = 0; i < TERMS; ++i) {
    coefficients[i] = (i * 31 % 17 - 8) / 8.0L;
  }
  long double x = 0.3L, sum = 0;
  for (int i = 0; i < count; ++i) {
    sum += sqrtl(polynomial(x) + 40) / (1 + x);
    x = 3.75L * x * (1 - x);
  }
  printf("%La %La\n", sum, x);
}
