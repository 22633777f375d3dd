/* Threads that share the work of a parallel kernel.
 *
 * A pool belongs to one instance and only the thread that runs the instance gives it work. That thread is worker 0;
 * the others start at the first run. */
#include <signal.h>

static void *scc_worker_main(void *argument) {
  scc_worker *self = argument;
  scc_pool *pool = self->pool;
  scc_sit(self->seat);
  scc_float_set(SCC_FLOAT_RUN);
  if (pool->bind) {
    scc_core cores[SCC_MAX_THREADS];
    int count = scc_list_cores(cores);
    scc_bind(cores[self->index % count].cpu);
    atomic_store(&self->bound, 1);
  }
  for (uint32_t seen = 0;;) {
    scc_await(&self->ticket, seen, &pool->spin);
    seen = atomic_load_explicit(&self->ticket.value, memory_order_acquire); /* regions it has missed are over */
    if (atomic_load_explicit(&pool->ending, memory_order_relaxed)) break;
    scc_call_others(pool, self->index, atomic_load_explicit(&pool->threads, memory_order_relaxed));
    uint32_t done = scc_work(self);
    if (done) scc_signal(&pool->unfinished, -done);
  }
  scc_rise(self->seat);
  return NULL;
}

SCC_RARE static int scc_start_worker(scc_worker *worker) {
  scc_event_init(&worker->ticket);
  atomic_store(&worker->bound, !worker->pool->bind);
  int code = pthread_create(&worker->thread, NULL, scc_worker_main, worker);
  while (!code && !atomic_load(&worker->bound)) sched_yield(); /* nobody waits for it later on */
  return code;
}

SCC_RARE static void scc_start_workers(scc_pool *pool, int threads) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the business of the application's threads */
  while (pool->running < threads && !scc_start_worker(&pool->workers[pool->running])) ++pool->running;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

SCC_RARE static void scc_pool_anew(scc_pool *pool, uint32_t process) {
  pool->process = process;
  pool->measured = 0;
  pool->running = 1;
  pool->busy = 0;
  atomic_store_explicit(&pool->ending, 0, memory_order_relaxed);
  scc_event_init(&pool->unfinished);
  for (int i = 0; i < pool->wanted; ++i) atomic_store(&pool->workers[i].pieces, 0); /* of a run of the parent's */
}

/* Starts threads that are missing, up to so many (at the first run, and in a forked child). */
static void scc_pool_prepare(scc_pool *pool, uint32_t process, int threads) {
  if (pool->process != process) scc_pool_anew(pool, process);
  for (int i = 0; i < pool->wanted; ++i) scc_scratch_clear(&pool->workers[i].scratch); /* a failed step leaves blocks */
  if (pool->running < threads) scc_start_workers(pool, threads);
}

SCC_RARE static void scc_end_workers(scc_pool *pool) {
  int ours = pool->process == scc_process(); /* a forked child has the parent's memory but not its threads */
  atomic_store_explicit(&pool->ending, 1, memory_order_relaxed);
  for (int i = 1; ours && i < pool->running; ++i) scc_signal(&pool->workers[i].ticket, 1);
  for (int i = 1; ours && i < pool->running; ++i) pthread_join(pool->workers[i].thread, NULL);
  atomic_store_explicit(&pool->ending, 0, memory_order_relaxed);
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
  scc_habits_init(&pool->habits, scc_watched_cpus());
  pool->running = 1;
  pool->bind = scc_wants_binding();
  pool->process = scc_process();
  return SCC_OK;
}

/* TVM's parallel loop: calls task(0..n-1) with n pieces, num_task or as many for every thread, and returns when all are
 * done. */
static int scc_parallel_launch(scc_task task, void *data, int num_task) {
  scc_worker *self = scc_self();
  scc_pool *pool = self ? self->pool : NULL;
  int n = pool ? pool->claim.threads : 1;
  if (n > pool->most) n = pool->most;
  if (num_task > 0 && num_task < n) n = num_task;
  if (n == 1 || self->index != 0 || pool->busy) {
    scc_group alone = {NULL, 1};
    return task(0, &alone, data);
  }
  pool->habits.shared = 1;
  return scc_run_region(pool, task, data, n, scc_pieces_each(pool->shares, n, pool->most_pieces / n));
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
