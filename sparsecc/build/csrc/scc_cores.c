/* Cores that the process may use: how many threads by default, and which core each one may be bound to. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define SCC_MAX_THREADS 256

#ifndef SCC_CPU_FOLDER /* a test has another one */
#define SCC_CPU_FOLDER "/sys/devices/system/cpu"
#endif

typedef struct {
  int cpu, capacity;
} scc_core;

/* How fast a core is next to the others, 1024 for the fastest; the kernel says so where they differ. */
static int scc_capacity(int cpu) {
  char path[sizeof SCC_CPU_FOLDER + 40];
  int capacity = 0;
  snprintf(path, sizeof path, SCC_CPU_FOLDER "/cpu%d/cpu_capacity", cpu);
  FILE *file = fopen(path, "re");
  if (!file) return 1024;
  if (fscanf(file, "%d", &capacity) != 1 || capacity < 1) capacity = 1024;
  fclose(file);
  return capacity;
}

static int scc_faster_first(const void *a, const void *b) {
  const scc_core *x = a, *y = b;
  return x->capacity != y->capacity ? y->capacity - x->capacity : x->cpu - y->cpu;
}

/* The cores, the fastest first; gives their number, at least 1. */
static int scc_list_cores(scc_core *cores) {
  cpu_set_t set;
  int n = 0;
  if (sched_getaffinity(0, sizeof set, &set)) CPU_ZERO(&set);
  for (int cpu = 0; cpu < CPU_SETSIZE && n < SCC_MAX_THREADS; ++cpu)
    if (CPU_ISSET(cpu, &set)) cores[n++] = (scc_core){cpu, scc_capacity(cpu)};
  qsort(cores, (size_t)n, sizeof *cores, scc_faster_first);
  if (!n) cores[n++] = (scc_core){-1, 1024};
  return n;
}

/* Threads to use when nobody says. Work is shared out evenly, so all wait for the slowest core: more threads must give
 * a tenth more than fewer on faster cores. */
static int scc_best_threads(const scc_core *cores, int count) {
  int best = 1;
  long most = 0;
  for (int n = 1; n <= count; ++n) {
    long sum = (long)n * cores[n - 1].capacity;
    if (10 * sum < 11 * most && cores[n - 1].capacity != cores[best - 1].capacity) continue;
    if (sum > most) best = n, most = sum;
  }
  return best;
}

/* Binds this thread to one core; a wish: where the system refuses, it goes on as it was. */
static void scc_bind(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (cpu >= 0) CPU_SET(cpu, &set);
  if (cpu >= 0) sched_setaffinity(0, sizeof set, &set);
}

/* Whether threads of a library are bound to cores: SPARSECC_BIND_THREADS=1. */
static int scc_wants_binding(void) {
  const char *wish = getenv("SPARSECC_BIND_THREADS");
  return wish && *wish && strcmp(wish, "0");
}
