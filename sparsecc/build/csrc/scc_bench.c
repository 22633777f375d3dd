/* A program that times a network on the machine it runs on: the whole of it, and every step.
 *
 *     model_bench [--threads N] [--runs N] [--lines 1] [--help]
 *
 * and of a library for several shapes --shape N.
 *
 * An option that is unknown, or a number that is none or out of range, ends it with exit code 2 and a line on stderr.
 * The generated main.c includes this file at its end. --lines 1 prints what `sparsecc bench --runner` reads:
 *   sparsecc-bench 1 <threads> <steps> <hash of the network's description>
 *   cpu <name>
 *   run <ns>                 one for each timed run, whole network, as it happens
 *   step <index> <ns>        median of the profiled runs
 *   memory <KiB>             the most that the program had
 *   done */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#ifdef SCC_SHAPES /* which one is timed: all that follows is about it */
static int scc_timed;
#undef scc_this
#define scc_this scc_models[scc_timed]
#endif

/* An option with a number from least to most. */
typedef struct {
  const char *name;
  long least, most, value;
} scc_option;

#ifdef SCC_SHAPES
enum { SCC_THREADS, SCC_RUNS, SCC_LINES, SCC_SHAPE, SCC_OPTIONS };
#define SCC_SHAPE_USAGE "  --shape N    which of the library's shapes (default: 0, the first)\n"
#define SCC_SHAPE_OPTION , {"--shape", 0, SCC_SHAPES - 1, 0}
#else
enum { SCC_THREADS, SCC_RUNS, SCC_LINES, SCC_OPTIONS };
#define SCC_SHAPE_USAGE
#define SCC_SHAPE_OPTION
#endif

static void scc_usage(FILE *file, const char *program) {
  fprintf(file,
          "usage: %s [--threads N] [--runs N] [--lines 1]\n"
          "Times the network %s, compiled for %s: the whole of it, and every layer.\n"
          "  --threads N  threads of a run (default: 0, the library's choice)\n"
          "  --runs N     timed runs after a warm-up (default: 30)\n"
          SCC_SHAPE_USAGE
          "  --lines 1    print lines for a program to read\n"
          "  --help       show this\n",
          program, scc_this.name, scc_this.target);
}

/* Reads a whole number in decimal digits; 0 when the text is one from least to most. */
static int scc_number(const char *text, scc_option *option) {
  char *end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (*text < '0' || *text > '9' || *end || errno || value < option->least || value > option->most) return 1;
  option->value = value;
  return 0;
}

/* Reads the command line; -1 to go on, else the exit code. */
static int scc_read_options(int argc, char **argv, scc_option *options) {
  const char *program = argc > 0 ? argv[0] : "bench";
  for (int i = 1; i < argc; ++i) {
    scc_option *option = options, *end = options + SCC_OPTIONS;
    if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return scc_usage(stdout, program), 0;
    while (option < end && strcmp(argv[i], option->name)) ++option;
    if (option == end) {
      fprintf(stderr, "error: unknown option '%s'; see %s --help\n", argv[i], program);
      return 2;
    }
    if (++i == argc || scc_number(argv[i], option)) {
      fprintf(stderr, "error: %s: found %s%s%s, expected a whole number from %ld to %ld; see %s --help\n", option->name,
              i < argc ? "'" : "", i < argc ? argv[i] : "nothing", i < argc ? "'" : "", option->least, option->most, program);
      return 2;
    }
  }
  return -1;
}

/* Memory of all ports, each filled with numbers from -1 to 1, truth values, or any integers. */
static void **scc_fill(const scc_port *ports, int count) {
  void **arrays = calloc((size_t)count + 1, sizeof *arrays);
  uint32_t random = 1;
  for (int i = 0; arrays && i < count; ++i) {
    int is_float = !strcmp(ports[i].dtype, "float32"), is_bool = !strcmp(ports[i].dtype, "bool");
    size_t step = is_float ? sizeof(float) : 1;
    unsigned char *values = scc_aligned(SCC_ALIGNMENT, ports[i].bytes + 1);
    if (!values) return NULL;
    for (size_t j = 0; j < ports[i].bytes; j += step, random = random * 1664525u + 1013904223u) {
      float number = (float)(int32_t)random / 2147483648.0f;
      if (is_float) memcpy(values + j, &number, sizeof number);
      else values[j] = (unsigned char)(is_bool ? random >> 31 : random >> 24);
    }
    arrays[i] = values;
  }
  return arrays;
}

static int scc_ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double scc_sorted_at(double *values, int count, double part) {
  qsort(values, (size_t)count, sizeof *values, scc_ascending);
  return values[(int)((count - 1) * part + 0.5)];
}

static void scc_print_cpu(void) {
  static const char *const names[] = {"model name", "Model", "Hardware", "CPU part"};
  char line[256];
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof line, file)) {
      char *colon = strchr(line, ':');
      if (!colon || strncmp(line, names[i], strlen(names[i]))) continue;
      line[strcspn(line, "\n")] = 0;
      printf("cpu %s\n", colon + 1 + (colon[1] == ' '));
      fclose(file);
      return;
    }
    if (file) fclose(file);
  }
  printf("cpu unknown\n");
}

/* FNV-1a of the description: whether a library and this program are of one network. */
static unsigned long long scc_hash(const char *text) {
  unsigned long long hash = 14695981039346656037u;
  for (; *text; ++text) hash = (hash ^ (unsigned char)*text) * 1099511628211u;
  return hash;
}

static void scc_print_head(int threads) {
  printf("sparsecc-bench 1 %d %d %016llx\n", threads, scc_this.num_steps, scc_hash(scc_this.description));
  scc_print_cpu();
}

static void scc_print_end(double *const *steps, int profiled) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  for (int i = 0; i < scc_this.num_steps; ++i)
    printf("step %d %.0f\n", i, scc_sorted_at(steps[i], profiled, 0.5) * 1e9);
  printf("memory %ld\ndone\n", usage.ru_maxrss);
}

static void scc_print_table(double *runs, int num_runs, double *const *steps, int profiled, int threads) {
  struct rusage usage;
  double sum = 0;
  for (int i = 0; i < scc_this.num_steps; ++i) sum += scc_sorted_at(steps[i], profiled, 0.5);
  printf("%-32s %10s %7s\n", "layer", "ms", "share");
  for (int i = 0; i < scc_this.num_steps; ++i) {
    double median = scc_sorted_at(steps[i], profiled, 0.5);
    printf("%-32s %10.3f %6.1f%%\n", scc_this.steps[i].key, median * 1e3, sum > 0 ? 100 * median / sum : 0.0);
  }
  getrusage(RUSAGE_SELF, &usage);
  scc_print_cpu();
  printf("%s for %s, %d thread%s, %d runs after a warm-up, %.1f MiB of memory at most\n", scc_this.name,
         scc_this.target, threads, threads == 1 ? "" : "s", num_runs, (double)usage.ru_maxrss / 1024);
  printf("median %.2f ms, p10..p90 %.2f to %.2f ms\n", scc_sorted_at(runs, num_runs, 0.5) * 1e3,
         scc_sorted_at(runs, num_runs, 0.1) * 1e3, scc_sorted_at(runs, num_runs, 0.9) * 1e3);
}

int main(int argc, char **argv) {
  enum { WARM_UP = 3, PROFILED = 11 };
  scc_option options[SCC_OPTIONS] = {{"--threads", 0, 1 << 20, 0}, {"--runs", 1, 10000000, 30}, {"--lines", 0, 1, 0} SCC_SHAPE_OPTION};
  int code = scc_read_options(argc, argv, options);
  if (code >= 0) return code;
#ifdef SCC_SHAPES
  scc_timed = (int)options[SCC_SHAPE].value;
#endif
  int lines = (int)options[SCC_LINES].value, num_runs = (int)options[SCC_RUNS].value;
  scc_instance *instance = NULL;
  void **inputs = scc_fill(scc_this.inputs, scc_this.num_inputs), **outputs = scc_fill(scc_this.outputs, scc_this.num_outputs);
  double *runs = calloc((size_t)num_runs, sizeof *runs), *once = calloc((size_t)scc_this.num_steps + 1, sizeof *once);
  double **steps = calloc((size_t)scc_this.num_steps + 1, sizeof *steps);
  for (int i = 0; steps && i < scc_this.num_steps; ++i)
    if (!(steps[i] = calloc(PROFILED, sizeof **steps))) steps = NULL;
  if (!inputs || !outputs || !runs || !once || !steps) return fprintf(stderr, "no memory\n"), 1;
  if (scc_create(&scc_this, &instance)) return fprintf(stderr, "%s\n", scc_last_error()), 1;
  int threads = scc_set_threads(&scc_this, instance, (int)options[SCC_THREADS].value);
  if (threads < 0) return fprintf(stderr, "%s\n", scc_last_error()), 1;
  setvbuf(stdout, NULL, _IOLBF, 0); /* who reads them elsewhere must see that it goes on */
  if (lines) scc_print_head(threads);
  for (int i = -WARM_UP; i < num_runs; ++i) {
    uint64_t start = scc_now_ns();
    if (scc_run(&scc_this, instance, (const void *const *)inputs, outputs, NULL))
      return fprintf(stderr, "%s\n", scc_last_error()), 1;
    double seconds = (double)(scc_now_ns() - start) * 1e-9;
    if (i >= 0) runs[i] = seconds;
    if (lines) printf("%s %.0f\n", i < 0 ? "warm" : "run", seconds * 1e9);
  }
  for (int i = 0; i < PROFILED; ++i) {
    if (scc_run(&scc_this, instance, (const void *const *)inputs, outputs, once)) return 1;
    for (int j = 0; j < scc_this.num_steps; ++j) steps[j][i] = once[j];
    if (lines) printf("profiled %d\n", i);
  }
  if (lines)
    scc_print_end(steps, PROFILED);
  else
    scc_print_table(runs, num_runs, steps, PROFILED, threads);
  return 0;
}
