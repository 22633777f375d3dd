/* A program that times a network on the machine it runs on: the whole of it, and every step.
 *
 *     model_bench [--threads N] [--runs N] [--lines 1]
 *
 * The generated main.c includes this file at its end. --lines prints what `sparsecc bench --runner` reads:
 *   sparsecc-bench 1 <threads> <steps> <hash of the network's description>
 *   cpu <name>
 *   run <ns>                 one for each timed run, whole network, as it happens
 *   step <index> <ns>        median of the profiled runs
 *   memory <KiB>             the most that the program had
 *   done */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static int scc_option(int argc, char **argv, const char *name, int value) {
  for (int i = 1; i + 1 < argc; i += 2)
    if (!strcmp(argv[i], name)) return atoi(argv[i + 1]);
  return value;
}

static size_t scc_floats(const scc_port *port) {
  size_t count = 1;
  for (int i = 0; i < port->rank; ++i) count *= (size_t)port->shape[i];
  return count;
}

/* Memory of all ports, each filled with numbers from -1 to 1. */
static void **scc_fill(const scc_port *ports, int count) {
  void **arrays = calloc((size_t)count + 1, sizeof *arrays);
  uint32_t random = 1;
  for (int i = 0; arrays && i < count; ++i) {
    size_t floats = scc_floats(&ports[i]);
    float *values = scc_aligned(SCC_ALIGNMENT, floats * sizeof *values + 1);
    if (!values) return NULL;
    for (size_t j = 0; j < floats; ++j, random = random * 1664525u + 1013904223u)
      values[j] = (float)(int32_t)random / 2147483648.0f;
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
  int lines = scc_option(argc, argv, "--lines", 0);
  int wanted = scc_option(argc, argv, "--threads", 0), num_runs = scc_option(argc, argv, "--runs", 30);
  scc_instance *instance = NULL;
  if (num_runs < 1) num_runs = 1;
  void **inputs = scc_fill(scc_this.inputs, scc_this.num_inputs), **outputs = scc_fill(scc_this.outputs, scc_this.num_outputs);
  double *runs = calloc((size_t)num_runs, sizeof *runs), *once = calloc((size_t)scc_this.num_steps + 1, sizeof *once);
  double **steps = calloc((size_t)scc_this.num_steps + 1, sizeof *steps);
  for (int i = 0; steps && i < scc_this.num_steps; ++i)
    if (!(steps[i] = calloc(PROFILED, sizeof **steps))) steps = NULL;
  if (!inputs || !outputs || !runs || !once || !steps) return fprintf(stderr, "no memory\n"), 1;
  if (scc_create(&scc_this, &instance)) return fprintf(stderr, "%s\n", scc_last_error()), 1;
  int threads = scc_set_threads(&scc_this, instance, wanted);
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
