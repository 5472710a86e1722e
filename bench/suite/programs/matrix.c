// Products of two matrices of 256 x 256 doubles: matrix COUNT
#include <stdio.h>
#include <stdlib.h>

enum { N = 256 };

static double a[N][N], b[N][N], c[N][N];

static void multiply(void) {
  for (int i = 0; i < N; ++i) {
    for (int k = 0; k < N; ++k) {
      for (int j = 0; j < N; ++j) {
        c[i][j] += a[i][k] * b[k][j];
      }
    }
  }
}

int main(int argc, char** argv) {
  int count = argc > 1 ? atoi(argv[1]) : 1;
  for (int i = 0; i < N; ++i) {
    for (int j = 0; j < N; ++j) {
      a[i][j] = (i * 7 + j * 3) % 101 / 101.0;
      b[i][j] = (i * 5 + j * 11) % 103 / 103.0;
    }
  }
  for (int round = 0; round < count; ++round) {
    multiply();
  }
  double sum = 0;
  for (int i = 0; i < N; ++i) {
    for (int j = 0; j < N; ++j) {
      sum += c[i][j] * (i - j);
    }
  }
  printf("%a %a\n", sum, c[17][211]);
}
