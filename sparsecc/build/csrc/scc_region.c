/* A parallel region: its work in pieces, and who does which.
 *
 * Every thread has a run of pieces of its own, the same ones in every run of the network, so that it finds in its cache
 * what it needs. It takes them in order, one by one. Who has none left takes the last one of the thread that has most:
 * of one that came late, or was put aside between two pieces. So nobody waits for a thread that does nothing, only for
 * pieces that somebody has begun. What a piece computes does not depend on who does it. */

#ifndef SCC_FLUSH_LINE /* a test has another one */
#if defined(__x86_64__)
#define SCC_FLUSH_LINE(line) __asm__ volatile("clflushopt (%0)" ::"r"(line) : "memory")
#else
#define SCC_FLUSH_LINE(line) (void)(line) /* no CPU of the others can: see scc_pool_resize */
#endif
#endif
#ifndef SCC_DELAY /* a test keeps a worker (its index) back: before it looks for work, or inside of a piece */
#define SCC_DELAY(index, inside) (void)(index)
#endif

/* Pieces a thread has at most; predicted cycles that a piece has at least, and that a further thread must have to do:
 * to call it costs 1000 to 4000 (Zen 4). */
#define SCC_MOST_PIECES 4
#ifndef SCC_PIECE_CYCLES /* a test has others */
#define SCC_PIECE_CYCLES 150000
#define SCC_THREAD_CYCLES 10000
#endif
/* One of so many threads is called by the run's caller, and calls the others. */
#define SCC_CALLED 4
/* A wait is too long if it is longer than the thread has worked and so much. */
#ifndef SCC_LATE_NS /* a test has another one */
#define SCC_LATE_NS 500000
#endif

/* TVM's interface of a parallel region: task(index, group, data), 0 for success. */
typedef struct {
  void *sync_handle;
  int32_t num_task;
} scc_group;
typedef int (*scc_task)(int index, scc_group *group, void *data);

typedef struct scc_worker {
  _Alignas(SCC_ALIGNMENT) scc_event ticket; /* goes up by one for each region the worker is wanted in */
  _Atomic uint64_t pieces;                  /* its own that nobody has begun, see scc_run_of; on the ticket's line */
  _Alignas(SCC_ALIGNMENT) struct scc_pool *pool;
  int index;
  _Atomic int bound; /* to its core */
  scc_seat *seat;
  pthread_t thread;
  scc_scratch scratch;
  int far; /* its core is on another chip than the caller's, as scc_distance.c found */
} scc_worker;

typedef struct scc_pool {
  int wanted, running;  /* threads, the caller's included */
  int automatic;        /* nobody said how many */
  scc_machine machine;
  scc_claim claim;      /* threads of this run, the first ones */
  scc_habits habits;
  int bind;             /* threads of the pool stay on one core each; the caller's thread is its own business */
  _Atomic uint32_t spin; /* longest time to spin in ns; 0 unless there is a core for everyone */
  _Atomic int ending;   /* tells the workers to end */
  int busy;             /* inside a parallel region: a nested one runs serially */
  uint32_t process;     /* the process whose threads these are (scc_process.c) */
  int can_flush, far;   /* the CPU can flush a cache line without waiting for it; a worker is far */
  uint64_t measured;    /* when a worker's distance was measured last, in ns; 0 for never */
  int partner;          /* whose it was */
  scc_worker *workers;  /* `wanted` of them */

  /* What follows describes the region; only who has taken one of its pieces may read it, except `threads`. */
  _Atomic int threads;  /* that have pieces of their own */
  int most;             /* threads that the step is worth */
  int most_pieces;      /* and pieces of all threads together */
  int shares;           /* iterations of the step's loops that threads share out; 0 if not known */
  uint64_t began;       /* the step, in ns */
  unsigned char *stale; /* what the step will write, if there is something to flush; NULL otherwise */
  size_t stale_bytes;
  scc_task task;
  void *data;
  int num_task;         /* pieces */
  uint64_t region;      /* number of this region */
  _Atomic int failed;   /* a task's code other than 0 */
  _Alignas(SCC_ALIGNMENT) scc_event unfinished; /* pieces that are not done yet */
} scc_pool;

/* Pieces `first` to `end` of a region in one number, which changes with every piece that is taken. The region's number
 * is in it: a thread that was put aside while it took a piece finds another number, however long it was away. */
#define SCC_PIECE_BITS 12
#define SCC_PIECE_MASK ((1u << SCC_PIECE_BITS) - 1)

static uint64_t scc_run_of(uint64_t region, int first, int end) {
  return region << 2 * SCC_PIECE_BITS | (uint64_t)first << SCC_PIECE_BITS | (uint64_t)end;
}

static int scc_pieces_left(uint64_t run) {
  return (int)(run & SCC_PIECE_MASK) - (int)(run >> SCC_PIECE_BITS & SCC_PIECE_MASK);
}

/* Takes a worker's first piece, or its last; -1 if there is none. */
static int scc_take(scc_worker *from, int last) {
  uint64_t run = atomic_load_explicit(&from->pieces, memory_order_relaxed), less;
  do {
    if (scc_pieces_left(run) <= 0) return -1;
    less = last ? run - 1 : run + (1u << SCC_PIECE_BITS);
  } while (!atomic_compare_exchange_weak_explicit(&from->pieces, &run, less, memory_order_acquire,
                                                  memory_order_relaxed));
  return (int)(last ? less & SCC_PIECE_MASK : run >> SCC_PIECE_BITS & SCC_PIECE_MASK);
}

/* The worker with most pieces that nobody has begun; NULL if there are none. */
static scc_worker *scc_furthest_behind(const scc_pool *pool) {
  scc_worker *found = NULL;
  int threads = atomic_load_explicit(&pool->threads, memory_order_relaxed), most = 0;
  for (int i = 0; i < threads; ++i) {
    int left = scc_pieces_left(atomic_load_explicit(&pool->workers[i].pieces, memory_order_relaxed));
    if (left > most) most = left, found = &pool->workers[i];
  }
  return found;
}

/* Flushes a piece's part of what the step will write from all cores' caches.
 *
 * Other cores have read or written these lines before, and each must give up its copy when a line is written: between
 * chips 28 to 37 ns a line, a few at a time (within one 9; Zen 4). To flush takes 5 and then the lines come from memory
 * ahead of the stores. */
static void scc_flush(const scc_pool *pool, int piece) {
  size_t lines = pool->stale_bytes / SCC_ALIGNMENT, pieces = (size_t)pool->num_task;
  const unsigned char *line = pool->stale + lines * (size_t)piece / pieces * SCC_ALIGNMENT;
  const unsigned char *end = pool->stale + lines * (size_t)(piece + 1) / pieces * SCC_ALIGNMENT;
  for (; line < end; line += SCC_ALIGNMENT) SCC_FLUSH_LINE(line);
}

static void scc_do_piece(scc_pool *pool, int piece) {
  if (pool->stale) scc_flush(pool, piece);
  scc_group group = {NULL, pool->num_task};
  int code = pool->task(piece, &group, pool->data);
  if (code) atomic_store(&pool->failed, code);
}

/* Calls other threads to a region of so many. A call takes the time of a line from one core to another, and sixty of
 * them more than many steps; who is called by one that was put aside comes late, so no more than a few are. */
static void scc_call_others(scc_pool *pool, int index, int threads) {
  for (int i = SCC_CALLED; !index && i < threads; i += SCC_CALLED) scc_signal(&pool->workers[i].ticket, 1);
  int end = index % SCC_CALLED ? 0 : index + SCC_CALLED;
  for (int i = index + 1; i < end && i < threads; ++i) scc_signal(&pool->workers[i].ticket, 1);
}

/* Does all pieces that a thread finds, its own first; gives their number. They are of one region: it does not end
 * before they are counted. */
static uint32_t scc_work(scc_worker *self) {
  uint32_t done = 0;
  SCC_DELAY(self->index, 0);
  for (scc_worker *from = self; from; from = scc_furthest_behind(self->pool)) {
    int piece;
    do {
      piece = scc_take(from, from != self);
      if (piece < 0) break;
      SCC_DELAY(self->index, 1);
      scc_do_piece(self->pool, piece);
      ++done;
    } while (from == self); /* of others one piece: then another one may be further behind */
  }
  return done;
}

/* Pieces for each thread of a loop of so many equal shares; one if their number is not known (0).
 *
 * TVM's code gives every piece the same number of shares, rounded up. Each thread must have the shares that it had in
 * one piece: they were cut so that its data is in its cache. */
static int scc_pieces_each(int shares, int threads, int most) {
  int each = (shares + threads - 1) / threads;
  if (!shares) return 1;
  for (int pieces = most < SCC_MOST_PIECES ? most : SCC_MOST_PIECES; pieces > 1; --pieces)
    if (each % pieces == 0 && (shares + threads * pieces - 1) / (threads * pieces) == each / pieces) return pieces;
  return 1;
}

/* After a wait for pieces of others: whether it was longer than it would have taken to do them here. */
SCC_RARE static void scc_look_back(scc_pool *pool) {
  uint64_t worked = pool->unfinished.began - pool->began, now = scc_now_ns();
  if (now - pool->unfinished.began > worked + SCC_LATE_NS) scc_habits_late(&pool->habits, now);
}

/* Runs a task in `threads` threads, `each` pieces a thread, and returns when all are done. */
static int scc_run_region(scc_pool *pool, scc_task task, void *data, int threads, int each) {
  uint32_t left = (uint32_t)(threads * each);
  pool->task = task;
  pool->data = data;
  pool->num_task = threads * each;
  pool->busy = 1;
  ++pool->region;
  atomic_store_explicit(&pool->threads, threads, memory_order_relaxed);
  atomic_store_explicit(&pool->failed, 0, memory_order_relaxed);
  atomic_store_explicit(&pool->unfinished.value, left, memory_order_relaxed);
  for (int i = 0; i < threads; ++i)
    atomic_store_explicit(&pool->workers[i].pieces, scc_run_of(pool->region, i * each, (i + 1) * each),
                          memory_order_release);
  scc_call_others(pool, 0, threads);
  left = scc_signal(&pool->unfinished, -scc_work(&pool->workers[0]));
  pool->unfinished.began = 0;
  for (; left; left = atomic_load_explicit(&pool->unfinished.value, memory_order_acquire))
    scc_await(&pool->unfinished, left, &pool->spin);
  if (pool->unfinished.began) scc_look_back(pool);
  pool->busy = 0;
  pool->stale = NULL;
  return atomic_load_explicit(&pool->failed, memory_order_relaxed);
}
