/* What a thread finds to compute with: threads to use when nobody says, and when that changes. */
#include <stdlib.h>

/* A thread's cores are looked at once in so long: they may be others by now. Less than a microsecond. */
#ifndef SCC_LOOK_EVERY_NS /* a test has another one */
#define SCC_LOOK_EVERY_NS 100000000
#endif

typedef struct {
  int threads;     /* to use when nobody says, and for all runs together */
  int cpus;        /* that may be busy at once: more threads do not spin */
  uint64_t group;  /* threads with the same number share these; 0 for all of the process */
  uint64_t seen;   /* which CPUs they were */
  uint64_t looked; /* when, in ns */
} scc_machine;

/* SPARSECC_THREADS, 1 to SCC_MAX_THREADS; 0 if it is not set, or no number: a library can't say so. */
SCC_RARE static int scc_wish(void) {
  const char *text = getenv("SPARSECC_THREADS");
  char *end;
  if (!text || *text < '0' || *text > '9') return 0;
  long threads = strtol(text, &end, 10);
  if (*end) return 0;
  return threads < SCC_MAX_THREADS ? (int)threads : SCC_MAX_THREADS;
}

/* FNV-1a of a set, never 0. */
static uint64_t scc_cpus_hash(const scc_cpus *set) {
  uint64_t hash = 14695981039346656037u;
  for (int i = 0; i < SCC_CPU_WORDS; ++i) hash = (hash ^ set->words[i]) * 1099511628211u;
  return hash | 1;
}

/* Counts what is there. Threads on the same CPUs share them; a quota, or what the user says, is all threads'. */
SCC_RARE static void scc_count(scc_machine *machine) {
  scc_core cores[SCC_MAX_THREADS];
  scc_cpus set;
  scc_allowed(&set);
  int count = scc_list_cores_of(&set, cores), wish = scc_wish();
  int best = scc_best_threads(cores, count), cpus = scc_quota(count);
  machine->cpus = cpus;
  machine->threads = wish ? wish : best < cpus ? best : cpus;
  machine->seen = scc_cpus_hash(&set);
  machine->group = wish || cpus < best ? 0 : machine->seen;
  machine->looked = scc_now_ns();
}

/* Before a run: counts again if this thread may use other CPUs by now; 1 if so. */
static int scc_recount(scc_machine *machine) {
  uint64_t now = scc_now_ns();
  if (now - machine->looked < SCC_LOOK_EVERY_NS) return 0;
  scc_cpus set;
  scc_allowed(&set);
  machine->looked = now;
  if (scc_cpus_hash(&set) == machine->seen) return 0;
  scc_count(machine);
  return 1;
}
