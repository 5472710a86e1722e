// Bodies that attract each other, in doubles: nbody STEPS
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BODIES = 8 };

struct body {
  double position[3], velocity[3], mass;
};

static struct body bodies[BODIES];

static void attract(struct body* a, struct body* b, double time) {
  double distance[3], square = 0.01;
  for (int i = 0; i < 3; ++i) {
    distance[i] = a->position[i] - b->position[i];
    square += distance[i] * distance[i];
  }
  double force = time / (square * sqrt(square));
  for (int i = 0; i < 3; ++i) {
    a->velocity[i] -= distance[i] * b->mass * force;
    b->velocity[i] += distance[i] * a->mass * force;
  }
}

static void step(double time) {
  for (int i = 0; i < BODIES; ++i) {
    for (int j = i + 1; j < BODIES; ++j) {
      attract(&bodies[i], &bodies[j], time);
    }
  }
  for (int i = 0; i < BODIES; ++i) {
    for (int k = 0; k < 3; ++k) {
      bodies[i].position[k] += time * bodies[i].velocity[k];
    }
  }
}

int main(int argc, char** argv) {
  int steps = argc > 1 ? atoi(argv[1]) : 1;
  for (int i = 0; i < BODIES; ++i) {
    bodies[i].mass = i == 0 ? 40 : 0.01 * i;
    for (int k = 0; k < 3; ++k) {
      bodies[i].position[k] = (i * 17 + k * 29) % 13 - 6;
      bodies[i].velocity[k] = ((i * 7 + k * 5) % 11 - 5) / 4.0;
    }
  }
  for (int i = 0; i < steps; ++i) {
    step(0.001);
  }
  for (int i = 0; i < BODIES; ++i) {
    printf("%a %a %a\n", bodies[i].position[0], bodies[i].position[1], bodies[i].velocity[2]);
  }
}
