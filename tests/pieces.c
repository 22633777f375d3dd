/* Regions of a pool whose workers are held back: appended to a network's main.c, whose head is pieces.h.
 *
 * Every piece must be done once, whoever does it. Threads as argument. */
#include <stdio.h>
#include <stdlib.h>

enum { EACH = 4, MOST = 16 * EACH, MANY = 500, SOME = 20 };

static struct { int count, by_caller; } pieces[MOST]; /* plain: who reads them must be told that they were written */
static pthread_t caller;
static int total;

static int task(int piece, scc_group *group, void *data) {
  (void)data;
  if (group->num_task != total) return 9;
  int mine = pthread_equal(pthread_self(), caller);
  while (atomic_load(&mode) == HELD_INSIDE && mine && !atomic_load(&held)) wait_a_moment(); /* until a worker has begun */
  ++pieces[piece].count;
  pieces[piece].by_caller = mine;
  atomic_fetch_add(&done, 1);
  return 0;
}

/* One region; gives the number of pieces that the caller did, or ends the program. */
static int region(scc_pool *pool, int threads) {
  int by_caller = 0;
  memset(pieces, 0, sizeof pieces);
  atomic_store(&done, 0);
  total = threads * EACH;
  if (scc_run_region(pool, task, NULL, threads, EACH)) exit(10);
  for (int i = 0; i < total; ++i) {
    if (pieces[i].count != 1) exit(11);
    by_caller += pieces[i].by_caller;
  }
  atomic_fetch_add(&over, 1);
  return by_caller;
}

int main(int argc, char **argv) {
  tiny_t *self;
  int threads = argc > 1 ? atoi(argv[1]) : 2;
  if (tiny_create(&self) || tiny_set_threads(self, threads) != threads) return 1;
  scc_pool *pool = &self->pool;
  caller = pthread_self();
  scc_sit(pool->workers[0].seat);
  for (int i = 0; i < MANY; ++i) region(pool, threads);

  atomic_store(&mode, NEVER_COME); /* all workers, for many regions */
  while (region(pool, threads) != total) continue; /* some are still at it */
  for (int i = 0; i < SOME; ++i)
    if (region(pool, threads) != total) return 2;

  atomic_store(&mode, COME_LATER); /* after the region they were wanted for */
  for (int i = 0; i < MANY; ++i) region(pool, threads);

  atomic_store(&mode, HELD_INSIDE); /* one, until all other pieces are done */
  for (int i = 0; i < SOME; ++i) {
    atomic_store(&held, 0);
    region(pool, threads);
    if (!atomic_load(&held)) return 3;
  }
  atomic_store(&mode, AT_RANDOM);
  for (int i = 0; i < MANY; ++i) region(pool, threads);
  atomic_store(&mode, NOBODY);
  scc_rise(pool->workers[0].seat);
  tiny_destroy(self);
  return 0;
}

int total_pieces(void) { return total; }
