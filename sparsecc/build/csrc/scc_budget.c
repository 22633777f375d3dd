/* The threads that all runs of a process share: eight instances on eight cores are eight threads, not sixty-four.
 *
 * Before a run an instance takes as many threads as are free or its fair part, whichever is more, and one at least: its
 * caller. Between steps it gives back what is too much since others came. An instance that was told how many threads to
 * use keeps them; the others share the rest. */

/* A count, all in one word: who counts (a part of the process's id: no child goes on with its parent's count, also on
 * kernels that do not clear the page), threads of runs that keep them, runs that share, and their threads. */
#define SCC_FIELD 17
#define SCC_ONE_THREAD ((uint64_t)1)
#define SCC_ONE_RUN ((uint64_t)1 << SCC_FIELD)
#define SCC_ONE_KEPT ((uint64_t)1 << 2 * SCC_FIELD)
#define SCC_TAG_AT (3 * SCC_FIELD)

/* A caller that finds others on its CPU lets them go first, once in so many ns of its own runs: threads then change at
 * the end of a run, not in its midst, where each would find its caches full of the other's data. Not oftener, for who
 * yields gives up what is left of its time slice. */
#define SCC_YIELD_AFTER_NS 1000000

/* What a run has of the budget. */
typedef struct {
  _Atomic uint64_t *count; /* where that is written down; NULL outside a run */
  uint64_t tag;
  int threads;
  int keeps;           /* it was told how many */
  int limit;           /* threads for all that share */
  uint64_t began, ran; /* when this run began, and what all took since the caller yielded, in ns */
} scc_claim;

static int scc_count_of(uint64_t word, uint64_t one) { return (int)(word / one & (((uint64_t)1 << SCC_FIELD) - 1)); }
static int scc_count_all(uint64_t word) {
  return scc_count_of(word, SCC_ONE_THREAD) + scc_count_of(word, SCC_ONE_KEPT);
}

/* The word as this process's: 0 threads if another one wrote it. */
static uint64_t scc_count_mine(uint64_t word, uint64_t tag) {
  return word >> SCC_TAG_AT == tag ? word : tag << SCC_TAG_AT;
}

/* Fair part of one of so many runs. */
static int scc_fair(uint64_t word, int runs, int limit) {
  int rest = limit - scc_count_of(word, SCC_ONE_KEPT);
  return rest > runs ? rest / runs : 1;
}

/* Takes threads for a run, `wanted` at most; gives their number, at least 1. */
static int scc_budget_take(scc_claim *claim, const scc_machine *machine, int wanted, int keeps) {
  _Atomic uint64_t *count = &scc_board_now()->counts[machine->group % SCC_COUNTS];
  uint64_t tag = (uint64_t)getpid() & (UINT64_MAX >> SCC_TAG_AT), seen = atomic_load(count), next;
  *claim = (scc_claim){count, tag, wanted, keeps, machine->threads, 0, claim->ran};
  do {
    uint64_t now = scc_count_mine(seen, tag);
    int fair = scc_fair(now, scc_count_of(now, SCC_ONE_RUN) + 1, claim->limit), left = claim->limit - scc_count_all(now);
    int most = left > fair ? left : fair;
    if (!keeps) claim->threads = wanted < most ? wanted : most;
    next = now + (uint64_t)claim->threads * (keeps ? SCC_ONE_KEPT : SCC_ONE_THREAD) + (keeps ? 0 : SCC_ONE_RUN);
  } while (!atomic_compare_exchange_weak(count, &seen, next));
  int used = scc_count_all(next);
  if (used > claim->threads && used > machine->cpus && claim->ran > SCC_YIELD_AFTER_NS) {
    sched_yield();
    claim->ran = 0;
  }
  claim->began = scc_now_ns();
  return claim->threads;
}

/* Goes on with so many threads, fewer than before. */
static void scc_budget_cut(scc_claim *claim, int threads) {
  uint64_t less = (uint64_t)(claim->threads - threads) * (claim->keeps ? SCC_ONE_KEPT : SCC_ONE_THREAD);
  uint64_t seen = atomic_load(claim->count);
  claim->threads = threads;
  while (seen >> SCC_TAG_AT == claim->tag && !atomic_compare_exchange_weak(claim->count, &seen, seen - less)) continue;
}

/* Between steps: gives back what others need; gives how many threads are left. */
static int scc_budget_keep(scc_claim *claim) {
  if (claim->keeps || claim->threads == 1) return claim->threads;
  uint64_t seen = atomic_load_explicit(claim->count, memory_order_relaxed);
  int excess = scc_count_all(seen) - claim->limit, fair = scc_fair(seen, scc_count_of(seen, SCC_ONE_RUN), claim->limit);
  int threads = claim->threads - excess > fair ? claim->threads - excess : fair;
  if (excess > 0 && threads < claim->threads) scc_budget_cut(claim, threads);
  return claim->threads;
}

/* Threads in runs now, of those that share a budget. */
static int scc_budget_used(const scc_claim *claim) {
  return scc_count_all(atomic_load_explicit(claim->count, memory_order_relaxed));
}

/* After a run. */
static void scc_budget_give(scc_claim *claim) {
  uint64_t one = claim->keeps ? SCC_ONE_KEPT : SCC_ONE_THREAD, run = claim->keeps ? 0 : SCC_ONE_RUN;
  uint64_t less = (uint64_t)claim->threads * one + run, seen = atomic_load(claim->count);
  while (seen >> SCC_TAG_AT == claim->tag && !atomic_compare_exchange_weak(claim->count, &seen, seen - less)) continue;
  claim->ran += scc_now_ns() - claim->began;
  claim->count = NULL;
}
