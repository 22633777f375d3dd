/* How far apart the cores are that a pool's threads run on: whether what one wrote reaches another over a chip's own
 * wires or leaves the chip.
 *
 * Measured while the network is in use, because threads move, and a virtual machine's cores do too: a number goes to
 * and fro between two threads. A round trip takes 60 to 110 ns within a chip, over 300 ns between two (EPYC). */

#ifndef SCC_FAR_NS /* a test has another one */
#define SCC_FAR_NS 200
#endif
/* One worker's distance is measured once in so long: 3 to 10 us of 20 ms. */
#define SCC_MEASURE_EVERY_NS 20000000
/* Round trips that are timed together, and how often: the least time counts, what is longer was disturbed. */
#define SCC_TRIPS 8
/* Longest time to wait for the ball the first time, more than it takes to start the partner; later on, more than to wake
 * it: a part of that. */
#ifndef SCC_PATIENCE_NS /* a test has another one */
#define SCC_PATIENCE_NS 5000000
#endif
#define SCC_LESS_PATIENCE 25
#define SCC_BATCHES 3

/* The number that two threads pass to and fro; alone on its cache line. */
typedef struct {
  _Alignas(SCC_ALIGNMENT) _Atomic uint32_t ball;
  _Alignas(SCC_ALIGNMENT) int partner; /* who plays against the caller's thread */
  _Atomic int over;                    /* one of the two waits in vain */
  uint64_t patience;                   /* longest time to wait, in ns */
  uint64_t least;                      /* shortest time of a batch, in ns */
} scc_game;

/* 1 when the ball has come. 0 when it does not: another process has taken the core that one of the two needs, and each
 * trip would take as long as the system lets others run. Then both give up. */
static int scc_await_ball(scc_game *game, uint32_t value) {
  uint64_t start = scc_now_ns();
  while (atomic_load_explicit(&game->ball, memory_order_acquire) != value) {
    for (int i = 0; i < 64 && atomic_load_explicit(&game->ball, memory_order_acquire) != value; ++i) scc_pause();
    if (atomic_load_explicit(&game->over, memory_order_relaxed)) return 0;
    if (scc_now_ns() - start < game->patience) continue;
    atomic_store_explicit(&game->over, 1, memory_order_relaxed);
    return 0;
  }
  return 1;
}

static int scc_play(int index, scc_group *group, void *data) {
  (void)group;
  scc_game *game = data;
  if (index && index != game->partner) return 0;
  uint32_t ball = 0;
  for (int batch = 0; batch < SCC_BATCHES; ++batch) {
    uint64_t start = index ? 0 : scc_now_ns();
    for (int trip = 0; trip < SCC_TRIPS; ++trip, ball += 2) {
      if (index && !scc_await_ball(game, ball + 1)) return 0;
      atomic_store_explicit(&game->ball, index ? ball + 2 : ball + 1, memory_order_release);
      if (!index && !scc_await_ball(game, ball + 2)) return 0;
    }
    if (index) continue;
    uint64_t took = scc_now_ns() - start;
    if (took < game->least) game->least = took;
  }
  return 0;
}

SCC_RARE static void scc_measure_partners(scc_pool *pool, int count, uint64_t now) {
  int others = pool->claim.threads - 1;
  for (int left = count; left; --left) {
    pool->partner = pool->partner % others + 1;
    uint64_t patience = pool->measured ? SCC_PATIENCE_NS / SCC_LESS_PATIENCE : SCC_PATIENCE_NS;
    scc_game game = {.partner = pool->partner, .patience = patience, .least = UINT64_MAX};
    pool->began = 0; /* who comes late to this one is no witness: it may just have been started */
    scc_run_region(pool, scc_play, &game, others + 1, 1);
    if (game.least < UINT64_MAX) pool->workers[game.partner].far = game.least > SCC_TRIPS * SCC_FAR_NS;
    pool->measured = now;
  }
}

/* Before the steps of a run: measures one worker's distance if it is time, everyone's if none is known yet.
 *
 * Without a core for every thread nothing is measured: the partner may not be running. */
static void scc_measure_distance(scc_pool *pool) {
  pool->far = 0;
  pool->stale = NULL;
  if (!pool->can_flush || pool->claim.threads < 2 || !atomic_load_explicit(&pool->spin, memory_order_relaxed)) return;
  uint64_t now = scc_now_ns();
  if (!pool->measured || now - pool->measured >= SCC_MEASURE_EVERY_NS)
    scc_measure_partners(pool, pool->measured ? 1 : pool->claim.threads - 1, now);
  for (int i = 1; i < pool->claim.threads; ++i) pool->far |= pool->workers[i].far;
}
