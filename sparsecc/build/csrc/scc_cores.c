/* Cores that a thread may use: how many threads are best on them, and which core each one may be bound to.
 *
 * Where a core has two CPUs (SMT) its units for multiply-adds are one: a second thread there gains nothing, and takes
 * half of the first one's caches. */
#include <sched.h>
#include <stdlib.h>

#define SCC_MAX_THREADS 256

/* Core `cpu`'s CPUs, itself at least. */
SCC_RARE static void scc_siblings(int cpu, scc_cpus *set) {
  char path[SCC_CPU_PATH];
  memset(set, 0, sizeof *set);
  if (!scc_read_cpus(scc_cpu_file(path, cpu, "topology/core_cpus_list"), set)) /* before Linux 5.3 by another name */
    scc_read_cpus(scc_cpu_file(path, cpu, "topology/thread_siblings_list"), set);
  scc_cpus_add(set, cpu);
}

/* Those that this thread may use; none if the system does not say. */
static void scc_allowed(scc_cpus *set) {
  memset(set, 0, sizeof *set);
  if (sched_getaffinity(0, sizeof *set, (cpu_set_t *)(void *)set) < 0) memset(set, 0, sizeof *set);
}

static int scc_faster_first(const void *a, const void *b) {
  const scc_core *x = a, *y = b;
  if (x->sibling != y->sibling) return x->sibling - y->sibling;
  return x->capacity != y->capacity ? y->capacity - x->capacity : x->cpu - y->cpu;
}

/* Moves one CPU of each core that has some left to the list; how many the list then has. */
SCC_RARE static int scc_list_round(scc_cpus *left, int sibling, scc_core *cores, int n) {
  scc_cpus todo = *left, same;
  for (int cpu = 0; cpu < SCC_MAX_CPUS && n < SCC_MAX_THREADS; ++cpu) {
    if (!scc_cpus_has(&todo, cpu)) continue;
    scc_siblings(cpu, &same);
    for (int i = 0; i < SCC_CPU_WORDS; ++i) todo.words[i] &= ~same.words[i];
    left->words[cpu / SCC_CPU_BITS] &= ~(1ul << cpu % SCC_CPU_BITS);
    cores[n++] = (scc_core){cpu, SCC_FASTEST, sibling};
  }
  return n;
}

/* The CPUs of a set: one of each core, the fastest first, then the cores' second ones; gives their number, at least 1. */
SCC_RARE static int scc_list_cores_of(const scc_cpus *set, scc_core *cores) {
  scc_cpus left = *set;
  int n = 0;
  for (int sibling = 0, before = -1; n > before; ++sibling) {
    before = n;
    n = scc_list_round(&left, sibling, cores, n);
  }
  scc_rate(cores, n);
  qsort(cores, (size_t)n, sizeof *cores, scc_faster_first);
  if (!n) cores[n++] = (scc_core){-1, SCC_FASTEST, 0};
  return n;
}

static int scc_list_cores(scc_core *cores) {
  scc_cpus set;
  scc_allowed(&set);
  return scc_list_cores_of(&set, cores);
}

/* Threads to use of so many cores, all others' equals. Work is shared out evenly, so all wait for the slowest core: more
 * threads must give a tenth more than fewer on faster cores. */
SCC_RARE static int scc_best_threads(const scc_core *cores, int count) {
  int best = 1;
  long most = 0;
  for (int n = 1; n <= count && !cores[n - 1].sibling; ++n) {
    long sum = (long)n * cores[n - 1].capacity;
    if (10 * sum < 11 * most && cores[n - 1].capacity != cores[best - 1].capacity) continue;
    if (sum > most) best = n, most = sum;
  }
  return best;
}

/* Binds this thread to one core; a wish: where the system refuses, it goes on as it was. */
static void scc_bind(int cpu) {
  scc_cpus set;
  memset(&set, 0, sizeof set);
  if (cpu >= 0) scc_cpus_add(&set, cpu);
  if (cpu >= 0) sched_setaffinity(0, sizeof set, (cpu_set_t *)(void *)&set);
}

/* Whether threads of a library are bound to cores: SPARSECC_BIND_THREADS=1. */
static int scc_wants_binding(void) {
  const char *wish = getenv("SPARSECC_BIND_THREADS");
  return wish && *wish && strcmp(wish, "0");
}
