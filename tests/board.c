/* The page that libraries share and the count on it, without a library. The argument says which test; 0 if it passes,
 * else a line's number. */
#define _GNU_SOURCE
#include "scc_runtime.h"
#include "scc_process.c"
#include "scc_wait.c"
#include "scc_files.c"
#include "scc_speeds.c"
#include "scc_cores.c"
#include "scc_quota.c"
#include "scc_machine.c"
#ifdef NO_MEMFD
#undef SYS_memfd_create
#define SYS_memfd_create 9999
#endif
#include "scc_board.c"
static _Atomic int yields;
static void counted_yield(void) { atomic_fetch_add(&yields, 1); }
#define sched_yield counted_yield
#include "scc_budget.c"
#undef sched_yield

#define CHECK(condition) \
  if (!(condition)) return __LINE__

enum { LIMIT = 4, WORKERS = 8, ROUNDS = 20000 };

static uintptr_t page;
static _Atomic int most, failures;

/* Libraries that looked at the same time made a page each: all but the first lead there, and their counts end where
 * they began. */
static int two_pages(void) {
  scc_machine machine = {.threads = LIMIT, .cpus = LIMIT, .group = 7};
  scc_claim early = {0}, late = {0};
  CHECK(scc_board_make(page));
  scc_board *one = scc_board_find(page);
  CHECK(one && !atomic_load(&one->moved));
  atomic_store(&scc_board_known, one);
  CHECK(scc_budget_take(&early, &machine, LIMIT, 0) == LIMIT);
  CHECK(scc_board_make(page) && scc_board_make(page));
  scc_board *first = scc_board_find(page);
  CHECK(first && first == scc_board_find(page) && !atomic_load(&first->moved));
  CHECK(scc_board_now() == first);
  CHECK(one == first || atomic_load(&one->moved) == first);
  CHECK(scc_budget_take(&late, &machine, LIMIT, 0) == (one == first ? LIMIT / 2 : LIMIT));
  scc_budget_give(&early);
  scc_budget_give(&late);
  for (int i = 0; i < SCC_COUNTS; ++i) CHECK(!scc_count_all(atomic_load(&one->counts[i]) | atomic_load(&first->counts[i])));
  return 0;
}

/* Only its own kind of page is one. */
static int lines(void) {
  const char *lines[] = {"10000-11000 ---p 00000000 00:01 5 /memfd:sparsecc-threads-1 (deleted)\n",
                         "10000-11000 ---p 00000000 00:01 5 /memfd:sparsecc-threads-12 (deleted)\n",
                         "10000-11000 ---p 00000000 00:01 5 /memfd:sparsecc-threads-2 (deleted)\n",
                         "10000-12000 ---p 00000000 00:01 5 /memfd:sparsecc-threads-1 (deleted)\n",
                         "10000-11000 ---p 00000000 00:00 0\n", "\n"};
  CHECK(scc_board_of(lines[0], 0x1000) == (scc_board *)0x11000);
  for (int i = 1; i < 6; ++i) CHECK(!scc_board_of(lines[i], 0x1000));
  return 0;
}

/* Where the system has no such pages a library counts its own threads. */
static int alone(void) {
  CHECK(!scc_board_make(page));
  CHECK(scc_board_now() == &scc_own_page->board);
  CHECK(scc_board_now() == &scc_own_page->board);
  return 0;
}

/* Threads on other CPUs are counted apart; those that share a quota are not. */
static int groups(void) {
  scc_machine here = {.threads = LIMIT, .cpus = LIMIT, .group = 1}, there = here;
  scc_claim one = {0}, two = {0}, three = {0};
  there.group = 2;
  CHECK(scc_budget_take(&one, &here, LIMIT, 0) == LIMIT);
  CHECK(scc_budget_take(&two, &there, LIMIT, 0) == LIMIT);
  CHECK(scc_budget_take(&three, &here, LIMIT, 0) == LIMIT / 2);
  CHECK(scc_budget_used(&one) == LIMIT + LIMIT / 2 && scc_budget_used(&two) == LIMIT);
  CHECK(scc_budget_keep(&one) == LIMIT / 2 && scc_budget_keep(&two) == LIMIT && scc_budget_keep(&three) == LIMIT / 2);
  scc_budget_give(&one);
  CHECK(scc_budget_used(&three) == LIMIT / 2);
  scc_budget_give(&two);
  scc_budget_give(&three);
  return 0;
}

/* Who finds others on its CPUs lets them go first, but not before every short run, and not for its own threads. */
static int polite(void) {
  scc_machine machine = {.threads = 2, .cpus = 2, .group = 9};
  scc_claim one = {0}, two = {0}, three = {0};
  CHECK(scc_budget_take(&three, &machine, 3, 1) == 3 && !atomic_load(&yields));
  three.began -= SCC_YIELD_AFTER_NS + 1;
  scc_budget_give(&three);
  CHECK(scc_budget_take(&three, &machine, 3, 1) == 3 && !atomic_load(&yields));
  CHECK(scc_budget_take(&one, &machine, 2, 0) == 1 && !atomic_load(&yields));
  one.began -= SCC_YIELD_AFTER_NS + 1;
  scc_budget_give(&one);
  CHECK(scc_budget_take(&one, &machine, 2, 0) == 1 && atomic_load(&yields) == 1);
  scc_budget_give(&one);
  CHECK(scc_budget_take(&one, &machine, 2, 0) == 1 && atomic_load(&yields) == 1);
  scc_budget_give(&three);
  one.began -= SCC_YIELD_AFTER_NS + 1;
  scc_budget_give(&one);
  CHECK(scc_budget_take(&two, &machine, 1, 0) == 1);
  CHECK(scc_budget_take(&one, &machine, 1, 0) == 1 && atomic_load(&yields) == 1);
  scc_budget_give(&one);
  scc_budget_give(&two);
  return 0;
}

/* What a word says of another process is nothing here. */
static int strangers(void) {
  scc_machine machine = {.threads = LIMIT, .cpus = LIMIT, .group = 3};
  scc_claim claim = {0};
  _Atomic uint64_t *count = &scc_board_now()->counts[3];
  atomic_store(count, ((uint64_t)(getpid() + 1) << SCC_TAG_AT) + 3 * SCC_ONE_KEPT + SCC_ONE_RUN + 2);
  CHECK(scc_budget_take(&claim, &machine, LIMIT, 0) == LIMIT);
  atomic_store(count, (uint64_t)(getpid() + 1) << SCC_TAG_AT);
  scc_budget_give(&claim);
  CHECK(scc_count_all(atomic_load(count)) == 0);
  return 0;
}

static void *takes(void *number) {
  scc_machine machine = {.threads = LIMIT, .cpus = LIMIT, .group = 5};
  int keeps = (intptr_t)number == 1;
  for (int i = 0; i < ROUNDS; ++i) {
    scc_claim claim = {0};
    int threads = scc_budget_take(&claim, &machine, keeps ? 2 : LIMIT, keeps), used = scc_budget_used(&claim);
    if (threads < 1 || threads > LIMIT || (keeps && threads != 2) || used < threads) atomic_fetch_add(&failures, 1);
    if (used > atomic_load(&most)) atomic_store(&most, used);
    if (scc_budget_keep(&claim) > threads) atomic_fetch_add(&failures, 1);
    if (i % 37 == 0) sched_yield(); /* not oftener: on a busy machine each one is a time slice */
    scc_budget_give(&claim);
  }
  return NULL;
}

static int crowd(void) {
  pthread_t threads[WORKERS];
  for (intptr_t i = 0; i < WORKERS; ++i) pthread_create(&threads[i], NULL, takes, (void *)i);
  for (int i = 0; i < WORKERS; ++i) pthread_join(threads[i], NULL);
  CHECK(!atomic_load(&failures));
  CHECK(atomic_load(&most) <= 2 * LIMIT + WORKERS);
  for (int i = 0; i < SCC_COUNTS; ++i) CHECK(!(atomic_load(&scc_board_now()->counts[i]) << (64 - SCC_TAG_AT)));
  return 0;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    int (*test)(void);
  } tests[] = {{"two pages", two_pages}, {"lines", lines}, {"alone", alone}, {"groups", groups}, {"strangers", strangers}, {"polite", polite}, {"crowd", crowd}};
  page = (uintptr_t)sysconf(_SC_PAGESIZE);
  for (size_t i = 0; argc == 2 && i < sizeof tests / sizeof *tests; ++i)
    if (!strcmp(argv[1], tests[i].name)) return tests[i].test();
  return 255;
}
