/* The cost model's figures of one core, per cycle: multiply-adds and loads that start, bytes from each cache.
 *
 * Called with the bytes of the second and third cache, or without: then it only tells the clock in GHz. LANES and
 * FEATURES come from the target. A cycle is a third of a dependent integer multiplication, which takes three on every
 * x86-64 since 2008. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHAINS 12 /* independent sums: more than latency x multiply-adds a cycle, fits 16 registers */
#define REPEATS 7
/* Unrolled by hand: with a loop, some compilers keep the sums in memory. */
#define EACH_CHAIN(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define VECTOR __attribute__((target(FEATURES)))

typedef float vector __attribute__((vector_size(4 * LANES)));
typedef float half_vector __attribute__((vector_size(2 * LANES)));

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double cycle_seconds(void) {
  const long steps = 2000000;
  uint64_t x = 3;
  double start = now();
  for (long i = 0; i < steps; ++i) __asm__ volatile("imulq $5, %0, %0" : "+r"(x));
  return (now() - start) / (3.0 * (double)steps);
}

VECTOR static double fma_seconds(void) {
  const long steps = 200000;
  vector sums[CHAINS], scale, term;
  volatile float half = 0.5f;
  for (int lane = 0; lane < LANES; ++lane) scale[lane] = term[lane] = half;
#define BEGIN(i) sums[i] = scale * (float)i;
  EACH_CHAIN(BEGIN)
  double start = now();
#define MULTIPLY_ADD(i) __asm__ volatile("vfmadd213ps %2, %1, %0" : "+v"(sums[i]) : "v"(scale), "v"(term));
  for (long step = 0; step < steps; ++step) { EACH_CHAIN(MULTIPLY_ADD) }
  double taken = now() - start;
  return taken / (double)(steps * CHAINS);
}

VECTOR static double half_fma_seconds(void) {
  const long steps = 200000;
  half_vector sums[CHAINS], scale, term;
  volatile float half = 0.5f;
  for (int lane = 0; lane < LANES / 2; ++lane) scale[lane] = term[lane] = half;
#define BEGIN_HALF(i) sums[i] = scale * (float)i;
  EACH_CHAIN(BEGIN_HALF)
  double start = now();
  for (long step = 0; step < steps; ++step) { EACH_CHAIN(MULTIPLY_ADD) }
  double taken = now() - start;
  return taken / (double)(steps * CHAINS);
}

VECTOR static double load_seconds(const float *data) {
  const long steps = 200000;
  vector v;
  double start = now();
#define LOAD(i) __asm__ volatile("vmovaps %1, %0" : "=v"(v) : "m"(*(const vector *)(data + i * LANES)));
  for (long step = 0; step < steps; ++step) { EACH_CHAIN(LOAD) }
  return (now() - start) / (double)(steps * CHAINS);
}

VECTOR static double byte_seconds(const float *data, size_t bytes) {
  size_t floats = bytes / 4 / (8 * LANES) * (8 * LANES);
  long passes = 1 + (long)(20000000 / bytes);
  double start = now();
  for (long pass = 0; pass < passes; ++pass) {
    for (size_t i = 0; i < floats; i += 4 * LANES) {
      vector a, b, c, d;
      __asm__ volatile("vmovaps %1, %0" : "=v"(a) : "m"(*(const vector *)(data + i)));
      __asm__ volatile("vmovaps %1, %0" : "=v"(b) : "m"(*(const vector *)(data + i + LANES)));
      __asm__ volatile("vmovaps %1, %0" : "=v"(c) : "m"(*(const vector *)(data + i + 2 * LANES)));
      __asm__ volatile("vmovaps %1, %0" : "=v"(d) : "m"(*(const vector *)(data + i + 3 * LANES)));
    }
  }
  return (now() - start) / ((double)passes * (double)floats * 4);
}

/* The least of some repetitions: a disturbance makes them longer, nothing makes them shorter. */
#define LEAST(result, expression)                   \
  double result = 1e9;                              \
  for (int repeat = 0; repeat < REPEATS; ++repeat) { \
    double seconds = (expression);                  \
    if (seconds < result) result = seconds;         \
  }

int main(int count, char **words) {
  if (count == 1) {
    LEAST(cycle, cycle_seconds())
    printf("{\"ghz\": %g}\n", 1e-9 / cycle);
    return 0;
  }
  if (count != 3) return 2;
  size_t l2 = strtoull(words[1], NULL, 10), l3 = strtoull(words[2], NULL, 10), most = 4 * l3;
  float *data = aligned_alloc(2 << 20, (most + (2 << 20)) / (2 << 20) * (2 << 20));
  if (!data) return 1;
  memset(data, 0, most);
  LEAST(cycle, cycle_seconds())
  LEAST(fma, fma_seconds())
  LEAST(half_fma, half_fma_seconds())
  LEAST(load, load_seconds(data))
  LEAST(second, byte_seconds(data, l2 / 2))
  LEAST(third, byte_seconds(data, l3 / 4))
  LEAST(memory, byte_seconds(data, most))
  printf("{\"ghz\": %g, ", 1e-9 / cycle);
  printf("\"fma_per_cycle\": %g, \"half_fma_per_cycle\": %g, ", cycle / fma, cycle / half_fma);
  printf("\"loads_per_cycle\": %g, ", cycle / load);
  printf("\"l2_bandwidth\": %g, \"l3_bandwidth\": %g, ", cycle / second, cycle / third);
  printf("\"memory_bandwidth\": %g}\n", cycle / memory);
  free(data);
  return 0;
}
