/* A program that checks and times kernels: candidates for the same work, each some steps of the table; the first
 * candidate is what the others are compared with.
 *
 * The generated main.c defines SCC_CANDIDATES (rows of the table below), SCC_MOST_STEPS and SCC_MOST_TOUCHED (the most
 * that a row has), SCC_FLOATS (the most that one writes) and SCC_FLUSH (bytes that push everything else out of the
 * second cache), and includes this file at its end.
 *
 * Output, a line at a time and flushed, so that what was measured before a crash is not lost:
 *   sparsecc-measure 1 <candidates> <processor>
 *   begin <candidate>
 *   error <candidate> <largest difference, relative to the largest right value>
 *   round <candidate> <ns of a fixed piece of work> <ns of the first candidate> <ns of this one>
 *   end <candidate>
 *   done
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A candidate this many times as slow as the first one is not timed again. */
#define SCC_HOPELESS 3
/* Seconds for a check or a round, after which the program ends itself: whoever started it may be unable to. */
#define SCC_PATIENCE_S 300

/* Steps; offset of the right result among the weights (NaN where anything may be stored) and its length; offset and bytes
 * of what kernels that work in place find where the result will be (0 bytes for others), and of what the kernel before
 * has just written. With ``codes`` the result is bytes, signed where that is 2, and the right one 16-bit integers: those
 * that are no byte stand where anything may be stored. */
typedef struct {
  int first, steps, codes;
  size_t expected, floats, replaced, replaced_nbytes;
  int num_touched;
  struct {
    size_t offset, nbytes;
  } touched[SCC_MOST_TOUCHED];
} scc_candidate;

static const scc_candidate scc_candidates[] = {SCC_CANDIDATES};
enum { SCC_NUM_CANDIDATES = sizeof scc_candidates / sizeof *scc_candidates };

static uint64_t scc_probe(void) {
  uint64_t start = scc_now_ns(), x = start | 1;
  for (int i = 0; i < 20000; ++i) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    __asm__ volatile("" : "+r"(x));
  }
  return scc_now_ns() - start;
}

/* What is there before a kernel that works in place. */
static void scc_put_input(const scc_instance *instance, const scc_candidate *row, float *out) {
  if (row->replaced_nbytes) memcpy(out, instance->weights + row->replaced, row->replaced_nbytes);
}

/* What a layer finds in a network: its input in the cache, its weights and its output's memory not. */
static void scc_as_in_a_network(const scc_instance *instance, int candidate, float *out, volatile unsigned char *flush) {
  const scc_candidate *row = scc_candidates + candidate;
  for (size_t i = 0; i < SCC_FLUSH; i += 64) flush[i]++;
  scc_put_input(instance, row, out);
  for (int i = 0; i < row->num_touched; ++i) {
    const volatile unsigned char *from = instance->weights + row->touched[i].offset;
    for (size_t j = 0; j < row->touched[i].nbytes; j += 64) (void)from[j];
  }
}

static double scc_time(scc_instance *instance, int candidate, float *out, int *code) {
  scc_model one = scc_this;
  const void *inputs[] = {NULL};
  void *outputs[] = {out};
  double seconds[SCC_MOST_STEPS] = {0}, sum = 0;
  one.steps += scc_candidates[candidate].first;
  one.num_steps = scc_candidates[candidate].steps;
  *code = scc_run(&one, instance, inputs, outputs, seconds);
  for (int i = 0; i < one.num_steps; ++i) sum += seconds[i];
  return sum * 1e9;
}

static int scc_ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double scc_median_time(scc_instance *instance, int candidate, float *out, volatile unsigned char *flush) {
  enum { SAMPLES = 3 };
  double samples[SAMPLES];
  int code;
  for (int i = 0; i < SAMPLES; ++i) {
    scc_as_in_a_network(instance, candidate, out, flush);
    samples[i] = scc_time(instance, candidate, out, &code);
  }
  qsort(samples, SAMPLES, sizeof *samples, scc_ascending);
  return samples[SAMPLES / 2];
}

static float scc_error_of(const float *out, const float *expected, size_t floats) {
  float largest = 0, difference = 0;
  for (size_t i = 0; i < floats; ++i) {
    if (isnan(expected[i])) continue;
    float d = fabsf(out[i] - expected[i]);
    if (!(d <= 3e38f)) return INFINITY; /* a NaN, too */
    if (d > difference) difference = d;
    if (fabsf(expected[i]) > largest) largest = fabsf(expected[i]);
  }
  return difference / (largest > 0 ? largest : 1);
}

/* Codes may be one off where a sum in another order falls to the other side of the middle between two: one in fifty. */
static float scc_error_of_codes(const unsigned char *out, const int16_t *expected, size_t count, int is_signed) {
  size_t off = 0, compared = 0;
  int most = 0;
  for (size_t i = 0; i < count; ++i) {
    if (expected[i] > 255) continue;
    int apart = abs((is_signed ? (signed char)out[i] : out[i]) - expected[i]);
    ++compared;
    off += apart > 0;
    if (apart > most) most = apart;
  }
  if (most > 1) return most / 255.0f;
  return off > 1 + compared / 50 ? (float)off / (float)compared : 0;
}

/* The value of a line of /proc/cpuinfo, or "". */
static void scc_cpu_fact(const char *name, char *value, size_t size) {
  char line[256];
  FILE *file = fopen("/proc/cpuinfo", "r");
  *value = 0;
  while (file && fgets(line, sizeof line, file)) {
    char *colon = strchr(line, ':');
    if (!colon || strncmp(line, name, strlen(name)) || strchr(" \t:", line[strlen(name)]) == NULL) continue;
    snprintf(value, size, "%s", colon + 1 + (colon[1] == ' '));
    value[strcspn(value, "\n")] = 0;
    break;
  }
  if (file) fclose(file);
}

/* Vendor, family and model as machine/cpu.py names them; on ARM implementer and part. */
static void scc_print_cpu(void) {
  static const char *const names[][3] = {{"vendor_id", "cpu family", "model"},
                                         {"CPU implementer", "CPU variant", "CPU part"}};
  for (int i = 0; i < 2; ++i) {
    char facts[3][64];
    for (int j = 0; j < 3; ++j) scc_cpu_fact(names[i][j], facts[j], sizeof facts[j]);
    if (!*facts[0]) continue;
    printf("%s-%s-%s", facts[0], facts[1], facts[2]);
    return;
  }
  printf("unknown");
}

static int scc_option(int argc, char **argv, const char *name, int value) {
  for (int i = 1; i + 1 < argc; i += 2)
    if (!strcmp(argv[i], name)) return atoi(argv[i + 1]);
  return value;
}

static void scc_measure(scc_instance *instance, int candidate, int rounds, float *out, unsigned char *flush) {
  const scc_candidate *row = scc_candidates + candidate;
  const void *expected = instance->weights + row->expected;
  int code;
  printf("begin %d\n", candidate);
  fflush(stdout);
  alarm(SCC_PATIENCE_S);
  memset(out, 0, SCC_FLOATS * sizeof(float));
  scc_put_input(instance, row, out);
  scc_time(instance, candidate, out, &code);
  float error = row->codes ? scc_error_of_codes((const unsigned char *)out, expected, row->floats, row->codes == 2)
                           : scc_error_of(out, expected, row->floats);
  printf("error %d %.3g\n", candidate, code ? (double)INFINITY : (double)error);
  for (int round = 0; round < rounds; ++round) {
    alarm(SCC_PATIENCE_S);
    unsigned long long probe = scc_probe();
    double first = scc_median_time(instance, 0, out, flush), own = scc_median_time(instance, candidate, out, flush);
    printf("round %d %llu %.0f %.0f\n", candidate, probe, first, own);
    if (own > SCC_HOPELESS * first) break;
  }
  printf("end %d\n", candidate);
  fflush(stdout);
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0); /* whoever reads must see that it goes on */
  int threads = scc_option(argc, argv, "--threads", 1), rounds = scc_option(argc, argv, "--rounds", 7);
  int first = scc_option(argc, argv, "--from", 0), end = scc_option(argc, argv, "--to", SCC_NUM_CANDIDATES);
  scc_instance *instance = NULL;
  float *out = scc_aligned(SCC_HUGE_PAGE, SCC_FLOATS * sizeof(float) + SCC_HUGE_PAGE);
  unsigned char *flush = calloc(1, SCC_FLUSH);
  if (!out || !flush || scc_create(&scc_this, &instance) || scc_set_threads(&scc_this, instance, threads) < 0) {
    fprintf(stderr, "%s\n", out && flush ? scc_last_error() : "no memory");
    return 1;
  }
  printf("sparsecc-measure 1 %d ", SCC_NUM_CANDIDATES);
  scc_print_cpu();
  printf("\n");
  for (int i = first; i < end && i < SCC_NUM_CANDIDATES; ++i) scc_measure(instance, i, rounds, out, flush);
  printf("done\n");
  scc_destroy(instance);
  return 0;
}
