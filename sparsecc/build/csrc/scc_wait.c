/* Waiting for another thread: spin for a moment, then sleep in the kernel (futex). */
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Longest time to spin before sleeping. During a run it must be well above the time to wake a sleeping thread (50 to 80
 * us on a virtual machine): if not, a thread that slept once comes so late that the other one sleeps too, and so on at
 * every step (measured: 1.3 instead of 1.8 times one thread). After a run: longer than a caller needs to start the next. */
#define SCC_SPIN_RUN_NS 1000000
#define SCC_SPIN_IDLE_NS 100000
/* Who has waited so long lets other threads have the CPU, between one look and the next. */
#define SCC_YIELD_NS 5000
/* One wait in so many spins for that long, whatever was learned before. */
#define SCC_SPIN_RETRY 128

/* The kernel's FUTEX_WAIT and FUTEX_WAKE, FUTEX_PRIVATE_FLAG set. */
enum { SCC_FUTEX_WAIT = 0 | 128, SCC_FUTEX_WAKE = 1 | 128 };

/* A number that one thread changes and another waits for; begins a cache line. */
typedef struct {
  _Atomic uint32_t value;
  _Atomic uint32_t asleep;  /* the waiting thread is in the kernel, or about to enter it */
  uint32_t patience, waits; /* the waiting thread's: how long to spin (ns), waits that began to spin */
  uint64_t began;           /* and when it found that it has to wait for long; 0 for never */
} scc_event;

static void scc_event_init(scc_event *event) {
  atomic_store(&event->value, 0);
  atomic_store(&event->asleep, 0);
  event->patience = SCC_SPIN_RUN_NS;
  event->waits = 0;
}

static uint64_t scc_now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void scc_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  __asm__ volatile("yield" ::: "memory");
#endif
}

static void scc_futex_wait(_Atomic uint32_t *word, uint32_t expected) {
  syscall(SYS_futex, word, SCC_FUTEX_WAIT, expected, NULL, NULL, 0);
}

static void scc_futex_wake(_Atomic uint32_t *word, int threads) {
  syscall(SYS_futex, word, SCC_FUTEX_WAKE, threads, NULL, NULL, 0);
}

/* Spins until the event's value is no longer `old`; gives up after a while and returns 0. `allowed` is the longest time
 * in ns, and may change meanwhile.
 *
 * Spinning that ends in sleep is worse than sleeping at once, above all when another process has taken the core that
 * the other thread needs. So each time it was in vain during a run, the next try is half as long; success makes it
 * longer again. */
static int scc_spin(scc_event *event, uint32_t old, const _Atomic uint32_t *allowed) {
  uint32_t patience = ++event->waits % SCC_SPIN_RETRY ? event->patience : SCC_SPIN_RUN_NS;
  for (uint64_t start = 0;;) {
    for (int i = 0; i < 64; ++i) { /* looking at the clock costs more than looking at the value */
      if (atomic_load_explicit(&event->value, memory_order_acquire) != old) {
        uint32_t longer = 4 * event->patience + SCC_SPIN_IDLE_NS;
        event->patience = longer < SCC_SPIN_RUN_NS ? longer : SCC_SPIN_RUN_NS;
        return 1;
      }
      scc_pause();
    }
    uint64_t now = scc_now_ns();
    if (!start) start = now;
    if (!event->began) event->began = now;
    uint32_t limit = atomic_load_explicit(allowed, memory_order_relaxed);
    if (now - start < (patience < limit ? patience : limit)) {
      if (now - start > SCC_YIELD_NS) sched_yield();
      continue;
    }
    if (limit > SCC_SPIN_IDLE_NS) event->patience /= 2;
    return 0;
  }
}

/* Returns once the event's value is no longer `old`; spins for up to `allowed` ns before it sleeps. */
static void scc_await(scc_event *event, uint32_t old, const _Atomic uint32_t *allowed) {
  if (atomic_load_explicit(&event->value, memory_order_acquire) != old) return;
  if (atomic_load_explicit(allowed, memory_order_relaxed) && scc_spin(event, old, allowed)) return;
  if (!event->began) event->began = scc_now_ns();
  /* Sequentially consistent here and in scc_signal: one of the two sees the other's write, so no wake-up is lost. */
  atomic_store(&event->asleep, 1);
  while (atomic_load(&event->value) == old) scc_futex_wait(&event->value, old);
  atomic_store(&event->asleep, 0);
}

/* Adds to the event's value (-1 counts down), wakes the thread that waits for it, and returns the new value. */
static uint32_t scc_signal(scc_event *event, uint32_t add) {
  uint32_t value = atomic_fetch_add(&event->value, add) + add;
  if (atomic_load(&event->asleep)) scc_futex_wake(&event->value, 1);
  return value;
}

/* A mutex that is free in the child after fork(), whatever another thread of the parent was doing.
 *
 * The word holds 0 or the process that has it, as scc_process.c counts them. One that is not this one is a forebear
 * before fork(): its thread that held the lock does not exist here. */
#define SCC_WAITERS 0x80000000u

static void scc_lock(_Atomic uint32_t *word, uint32_t process) {
  uint32_t mine = process;
  for (;;) {
    uint32_t seen = 0;
    if (atomic_compare_exchange_strong(word, &seen, mine)) return;
    if ((seen & ~SCC_WAITERS) != process) {
      if (atomic_compare_exchange_strong(word, &seen, mine)) return;
      continue;
    }
    uint32_t marked = seen | SCC_WAITERS;
    if (seen != marked && !atomic_compare_exchange_strong(word, &seen, marked)) continue;
    scc_futex_wait(word, marked);
    mine = process | SCC_WAITERS; /* others may wait too: wake one when done */
  }
}

static void scc_unlock(_Atomic uint32_t *word) {
  if (atomic_exchange(word, 0) & SCC_WAITERS) scc_futex_wake(word, 1);
}
