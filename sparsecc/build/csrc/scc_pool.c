/* Threads that share the work of a parallel kernel.
 *
 * A pool belongs to one instance and only the thread that runs the instance gives it work. That thread is worker 0;
 * the others start at the first run. Which part of the work a worker does depends on its index and the number of
 * workers only, never on timing. */
#include <signal.h>

#ifndef SCC_FLUSH_LINE /* a test has another one */
#if defined(__x86_64__)
#define SCC_FLUSH_LINE(line) __asm__ volatile("clflushopt (%0)" ::"r"(line) : "memory")
#else
#define SCC_FLUSH_LINE(line) (void)(line) /* no CPU of the others can: see scc_pool_resize */
#endif
#endif

/* TVM's interface of a parallel region: task(index, group, data), 0 for success. */
typedef struct {
  void *sync_handle;
  int32_t num_task;
} scc_group;
typedef int (*scc_task)(int index, scc_group *group, void *data);

typedef struct scc_worker {
  scc_event ticket; /* goes up by one for each piece of work */
  struct scc_pool *pool;
  int index;
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
  int bind;             /* threads of the pool stay on one core each; the caller's thread is its own business */
  _Atomic uint32_t spin; /* longest time to spin in ns; 0 unless there is a core for everyone */
  int busy;             /* inside a parallel region: a nested one runs serially */
  uint32_t process;     /* the process whose threads these are (scc_process.c) */
  int can_flush, far;   /* the CPU can flush a cache line without waiting for it; a worker is far */
  uint64_t measured;    /* when a worker's distance was measured last, in ns; 0 for never */
  int partner;          /* whose it was */
  unsigned char *stale; /* what the step will write, if there is something to flush; NULL otherwise */
  size_t stale_bytes;
  scc_worker *workers;  /* `wanted` of them */
  scc_task task;        /* NULL tells a worker to end */
  void *data;
  int num_task;
  _Atomic int failed;   /* a task's code other than 0 */
  scc_event unfinished; /* workers still at it */
} scc_pool;

/* Flushes a worker's part of what the step will write from all cores' caches.
 *
 * Other cores have read or written these lines before, and each must give up its copy when a line is written: between
 * chips 28 to 37 ns a line, a few at a time (within one 9; Zen 4). To flush takes 5 and then the lines come from memory
 * ahead of the stores. */
static void scc_flush(const scc_pool *pool, int index) {
  size_t lines = pool->stale_bytes / SCC_ALIGNMENT, tasks = (size_t)pool->num_task;
  const unsigned char *line = pool->stale + lines * (size_t)index / tasks * SCC_ALIGNMENT;
  const unsigned char *end = pool->stale + lines * (size_t)(index + 1) / tasks * SCC_ALIGNMENT;
  for (; line < end; line += SCC_ALIGNMENT) SCC_FLUSH_LINE(line);
}

static void scc_do_task(scc_pool *pool, int index) {
  if (pool->stale) scc_flush(pool, index);
  scc_group group = {NULL, pool->num_task};
  int code = pool->task(index, &group, pool->data);
  if (code) atomic_store(&pool->failed, code);
}

static void *scc_worker_main(void *argument) {
  scc_worker *self = argument;
  scc_pool *pool = self->pool;
  scc_sit(self->seat);
  scc_float_set(SCC_FLOAT_RUN);
  if (pool->bind) {
    scc_core cores[SCC_MAX_THREADS];
    int count = scc_list_cores(cores);
    scc_bind(cores[self->index % count].cpu);
  }
  for (uint32_t seen = 0;; ++seen) {
    scc_await(&self->ticket, seen, &pool->spin);
    if (!pool->task) break;
    scc_do_task(pool, self->index);
    scc_signal(&pool->unfinished, (uint32_t)-1);
  }
  scc_rise(self->seat);
  return NULL;
}

static int scc_start_worker(scc_worker *worker) {
  scc_event_init(&worker->ticket);
  return pthread_create(&worker->thread, NULL, scc_worker_main, worker);
}

/* Starts threads that are missing, up to so many (at the first run, and in a forked child). */
static void scc_pool_prepare(scc_pool *pool, uint32_t process, int threads) {
  if (pool->process != process) {
    pool->process = process;
    pool->measured = 0;
    pool->running = 1;
    pool->busy = 0;
    scc_event_init(&pool->unfinished);
  }
  for (int i = 0; i < pool->wanted; ++i) scc_scratch_clear(&pool->workers[i].scratch); /* a failed step leaves blocks */
  if (pool->running >= threads) return;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the business of the application's threads */
  while (pool->running < threads && !scc_start_worker(&pool->workers[pool->running])) ++pool->running;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

SCC_RARE static void scc_end_workers(scc_pool *pool) {
  int ours = pool->process == scc_process(); /* a forked child has the parent's memory but not its threads */
  pool->task = NULL;
  for (int i = 1; ours && i < pool->running; ++i) scc_signal(&pool->workers[i].ticket, 1);
  for (int i = 1; ours && i < pool->running; ++i) pthread_join(pool->workers[i].thread, NULL);
}

SCC_RARE static void scc_free_workers(scc_worker *workers, int count) {
  for (int i = 0; i < count; ++i) {
    if (workers[i].seat) scc_seat_give(workers[i].seat);
    free(workers[i].scratch.base);
  }
  free(workers);
}

SCC_RARE static scc_worker *scc_new_workers(scc_pool *pool, int count) {
  size_t bytes = (size_t)count * sizeof(scc_worker);
  scc_worker *workers = scc_aligned(SCC_ALIGNMENT, bytes);
  if (!workers) return NULL;
  memset(workers, 0, bytes);
  for (int i = 0; i < count; ++i) {
    workers[i].pool = pool;
    workers[i].index = i;
    workers[i].seat = scc_seat_take(&workers[i]);
    if (workers[i].seat) continue;
    scc_free_workers(workers, count);
    return NULL;
  }
  return workers;
}

static void scc_pool_free(scc_pool *pool) {
  scc_end_workers(pool);
  scc_free_workers(pool->workers, pool->wanted);
}

/* Gives the pool `threads` threads; they start when they are needed. */
SCC_RARE static int scc_pool_resize(scc_pool *pool, int threads) {
  scc_worker *workers = scc_new_workers(pool, threads), *old = pool->workers;
  if (!workers) return SCC_NO_MEMORY;
  scc_end_workers(pool);
  /* A child that is forked meanwhile finds workers that exist, and no more of them wanted than there are. */
  int had = pool->wanted;
  pool->wanted = threads < had ? threads : had;
  atomic_thread_fence(memory_order_release);
  pool->workers = workers;
  atomic_thread_fence(memory_order_release);
  pool->wanted = threads;
  scc_free_workers(old, had);
  scc_event_init(&pool->unfinished);
  pool->can_flush = scc_cpu_has("clflushopt");
  pool->measured = 0;
  pool->running = 1;
  pool->bind = scc_wants_binding();
  pool->process = scc_process();
  return SCC_OK;
}

/* TVM's parallel loop: calls task(0..n-1), n = num_task or all threads, and returns when all are done. */
static int scc_parallel_launch(scc_task task, void *data, int num_task) {
  scc_worker *self = scc_self();
  scc_pool *pool = self ? self->pool : NULL;
  int n = pool ? pool->claim.threads : 1;
  if (num_task > 0 && num_task < n) n = num_task;
  if (n == 1 || self->index != 0 || pool->busy) {
    scc_group alone = {NULL, 1};
    return task(0, &alone, data);
  }
  pool->task = task;
  pool->data = data;
  pool->num_task = n;
  pool->busy = 1;
  atomic_store_explicit(&pool->failed, 0, memory_order_relaxed);
  atomic_store_explicit(&pool->unfinished.value, (uint32_t)(n - 1), memory_order_relaxed);
  for (int i = 1; i < n; ++i) scc_signal(&pool->workers[i].ticket, 1);
  scc_do_task(pool, 0);
  for (uint32_t left; (left = atomic_load_explicit(&pool->unfinished.value, memory_order_acquire)) != 0;)
    scc_await(&pool->unfinished, left, &pool->spin);
  pool->busy = 0;
  pool->stale = NULL;
  return atomic_load_explicit(&pool->failed, memory_order_relaxed);
}

/* TVM's scratch memory for temporaries. The other arguments (device, type hints) say nothing on a CPU. */
static void *scc_alloc_workspace(int device, int id, uint64_t bytes, int code_hint, int bits_hint) {
  (void)device, (void)id, (void)code_hint, (void)bits_hint;
  if (bytes > SIZE_MAX / 2) return NULL;
  scc_worker *self = scc_self();
  return self ? scc_scratch_alloc(&self->scratch, (size_t)bytes) : scc_aligned(SCC_ALIGNMENT, (size_t)bytes);
}

static int scc_free_workspace(int device, int id, void *memory) {
  (void)device, (void)id;
  scc_worker *self = scc_self();
  if (self)
    scc_scratch_free(&self->scratch, memory);
  else
    free(memory);
  return 0;
}

/* The kernels call through these variables; build/objects.py gives them this library's prefix in kernels.o. */
int (*SCC_NAME(__TVMBackendParallelLaunch))(scc_task, void *, int) = scc_parallel_launch;
void *(*SCC_NAME(__TVMBackendAllocWorkspace))(int, int, uint64_t, int, int) = scc_alloc_workspace;
int (*SCC_NAME(__TVMBackendFreeWorkspace))(int, int, void *) = scc_free_workspace;
