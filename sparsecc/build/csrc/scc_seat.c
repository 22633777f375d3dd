/* Which worker a thread is, found without being told: kernels call back with nothing that says for whom they compute.
 *
 * A table for the whole library, and no thread-specific keys: a process has 1024 of these for everything it loads. No
 * thread-local variables either: they would need a symbol of the dynamic loader, and some systems have little room for
 * them. Seats are few, as many as all instances have threads, and a look at all of them is quick. */
#include <stdlib.h>

#define SCC_SEATS 32

struct scc_worker;

/* Belongs to a worker as long as that exists, and is occupied while a thread does its work. */
typedef struct {
  struct scc_worker *worker; /* NULL: free */
  _Atomic uint32_t process;  /* the process of the thread: a child has other threads with the same names */
  _Atomic uintptr_t thread;  /* pthread_self(), 0 for none */
} scc_seat;

/* Seats side by side; more rows are added and stay as long as the library. */
typedef struct scc_row {
  scc_seat seats[SCC_SEATS];
  _Atomic(struct scc_row *) next;
} scc_row;

static scc_row scc_seats;
static _Atomic uint32_t scc_seats_lock;

/* At exit threads may still look for theirs; when the library is unloaded no instance is left. */
__attribute__((destructor)) static void scc_seats_end(void) {
  for (const scc_row *row = &scc_seats; row; row = atomic_load(&row->next))
    for (int i = 0; i < SCC_SEATS; ++i)
      if (row->seats[i].worker) return;
  for (scc_row *row = atomic_load(&scc_seats.next), *next; row; row = next) {
    next = atomic_load(&row->next);
    free(row);
  }
  atomic_store(&scc_seats.next, NULL);
}

static scc_seat *scc_seat_free(scc_row *row) {
  for (int i = 0; i < SCC_SEATS; ++i)
    if (!row->seats[i].worker) return &row->seats[i];
  return NULL;
}

/* A seat for a worker, or NULL if there is no memory. */
SCC_RARE static scc_seat *scc_seat_take(struct scc_worker *worker) {
  scc_lock(&scc_seats_lock, scc_process());
  scc_row *row = &scc_seats;
  scc_seat *seat;
  for (scc_row *next; !(seat = scc_seat_free(row)); row = next) {
    next = atomic_load(&row->next);
    if (!next) atomic_store(&row->next, next = calloc(1, sizeof *next));
    if (!next) break;
  }
  if (seat) seat->worker = worker;
  scc_unlock(&scc_seats_lock);
  return seat;
}

SCC_RARE static void scc_seat_give(scc_seat *seat) {
  scc_lock(&scc_seats_lock, scc_process());
  atomic_store_explicit(&seat->thread, 0, memory_order_relaxed);
  seat->worker = NULL;
  scc_unlock(&scc_seats_lock);
}

/* This thread sits down. Until `process` is stored nobody is found here, so no other thread's name is ever taken for
 * one of this process. */
static void scc_sit(scc_seat *seat) {
  atomic_store_explicit(&seat->thread, (uintptr_t)pthread_self(), memory_order_relaxed);
  atomic_store_explicit(&seat->process, scc_process(), memory_order_release);
}

static void scc_rise(scc_seat *seat) { atomic_store_explicit(&seat->thread, 0, memory_order_relaxed); }

/* The worker that this thread is, or NULL outside a run. */
static struct scc_worker *scc_self(void) {
  uintptr_t me = (uintptr_t)pthread_self();
  uint32_t process = (uint32_t)atomic_load(&scc_own_page->process); /* who sits has asked for it: no call is needed */
  for (scc_row *row = &scc_seats; row; row = atomic_load_explicit(&row->next, memory_order_acquire))
    for (int i = 0; i < SCC_SEATS; ++i) {
      scc_seat *seat = &row->seats[i];
      if (atomic_load_explicit(&seat->process, memory_order_acquire) != process) continue;
      if (atomic_load_explicit(&seat->thread, memory_order_relaxed) == me) return seat->worker;
    }
  return NULL;
}
