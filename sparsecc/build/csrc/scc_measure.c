/* A program that checks and times kernels: every step of the table is a candidate for the same layer.
 *
 * The generated main.c defines SCC_EXPECTED (offset of the right result among the weights, NaN where anything may be
 * stored), SCC_FLOATS (its length), SCC_TOUCHED (offset and bytes of what the kernel before has just written) and
 * SCC_FLUSH (bytes that push everything else out of the second cache), and includes this file at its end.
 *
 * Output, one line each and flushed, so that what was measured before a crash is not lost:
 *   sparsecc-measure 1 <candidates>
 *   error <candidate> <largest difference, relative to the largest right value>
 *   round <ns of a fixed piece of work> <ns of the first candidate> <ns of the second> ...
 *   done
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t scc_probe(void) {
  uint64_t start = scc_now_ns(), x = start | 1;
  for (int i = 0; i < 20000; ++i) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    __asm__ volatile("" : "+r"(x));
  }
  return scc_now_ns() - start;
}

/* What a layer finds in a network: its input in the cache, its weights and its output's memory not. */
static void scc_as_in_a_network(const scc_instance *instance, volatile unsigned char *flush) {
  static const size_t touched[] = {SCC_TOUCHED};
  for (size_t i = 0; i < SCC_FLUSH; i += 64) flush[i]++;
  for (size_t i = 0; i < sizeof touched / sizeof *touched; i += 2) {
    const volatile unsigned char *from = instance->weights + touched[i];
    for (size_t j = 0; j < touched[i + 1]; j += 64) (void)from[j];
  }
}

static double scc_time(scc_instance *instance, int step, float *out, int *code) {
  scc_model one = scc_this;
  const void *inputs[] = {NULL};
  void *outputs[] = {out};
  double seconds = 0;
  one.steps += step;
  one.num_steps = 1;
  *code = scc_run(&one, instance, inputs, outputs, &seconds);
  return seconds * 1e9;
}

static float scc_error_of(const float *out, const float *expected) {
  float largest = 0, difference = 0;
  for (size_t i = 0; i < SCC_FLOATS; ++i) {
    if (isnan(expected[i])) continue;
    float d = fabsf(out[i] - expected[i]);
    if (!(d <= 3e38f)) return INFINITY; /* a NaN, too */
    if (d > difference) difference = d;
    if (fabsf(expected[i]) > largest) largest = fabsf(expected[i]);
  }
  return difference / (largest > 0 ? largest : 1);
}

static int scc_ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static int scc_option(int argc, char **argv, const char *name, int value) {
  for (int i = 1; i + 1 < argc; i += 2)
    if (!strcmp(argv[i], name)) return atoi(argv[i + 1]);
  return value;
}

int main(int argc, char **argv) {
  enum { SAMPLES = 3 };
  int threads = scc_option(argc, argv, "--threads", 1), rounds = scc_option(argc, argv, "--rounds", 7);
  int only = scc_option(argc, argv, "--only", -1), steps = scc_this.num_steps, code = 0;
  int first = only < 0 ? 0 : only, end = only < 0 ? steps : only + 1;
  scc_instance *instance = NULL;
  float *out = scc_aligned(SCC_HUGE_PAGE, SCC_FLOATS * sizeof(float) + SCC_HUGE_PAGE);
  unsigned char *flush = calloc(1, SCC_FLUSH);
  if (!out || !flush || scc_create(&scc_this, &instance) || scc_set_threads(&scc_this, instance, threads) < 0) {
    fprintf(stderr, "%s\n", out && flush ? scc_last_error() : "no memory");
    return 1;
  }
  const float *expected = (const float *)(instance->weights + SCC_EXPECTED);
  printf("sparsecc-measure 1 %d\n", steps);
  for (int i = first; i < end; ++i) {
    memset(out, 0, SCC_FLOATS * sizeof(float));
    scc_time(instance, i, out, &code);
    printf("error %d %.3g\n", i, code ? (double)INFINITY : (double)scc_error_of(out, expected));
    fflush(stdout);
  }
  for (int round = 0; round < rounds; ++round) {
    printf("round %llu", (unsigned long long)scc_probe());
    for (int i = first; i < end; ++i) {
      double samples[SAMPLES];
      for (int j = 0; j < SAMPLES; ++j) {
        scc_as_in_a_network(instance, flush);
        samples[j] = scc_time(instance, i, out, &code);
      }
      qsort(samples, SAMPLES, sizeof *samples, scc_ascending);
      printf(" %.0f", samples[SAMPLES / 2]);
    }
    printf("\n");
    fflush(stdout);
  }
  printf("done\n");
  scc_destroy(instance);
  return 0;
}
