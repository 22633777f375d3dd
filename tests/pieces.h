/* How workers are held back: see pieces.c. */
#define _GNU_SOURCE 1
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

enum { NOBODY, NEVER_COME, COME_LATER, HELD_INSIDE, AT_RANDOM };

static atomic_int mode, over, done, held;
int total_pieces(void);

#define SCC_LEARNS 0
#define SCC_DELAY(index, inside) hold_back(index, inside)

/* Who waits sleeps: on a busy machine a yield takes a time slice of the threads that it waits for. */
static void wait_a_moment(void) { usleep(20); }

static void hold_back(int index, int inside) {
  static atomic_uint random;
  int now = atomic_load(&mode), before = atomic_load(&over);
  if (now == AT_RANDOM) {
    unsigned steps = (atomic_fetch_add(&random, 1) * 2654435761u >> 16) % 4096;
    if (steps % 32 == 0) sched_yield();
    for (volatile unsigned i = 0; i < steps; ++i) continue;
  }
  if (!index) return;
  while (now == NEVER_COME && !inside && atomic_load(&mode) == now) wait_a_moment();
  while (now == COME_LATER && !inside && atomic_load(&mode) == now && atomic_load(&over) == before) wait_a_moment();
  if (now != HELD_INSIDE || !inside || atomic_exchange(&held, 1)) return;
  while (atomic_load(&done) < total_pieces() - 1) wait_a_moment();
}
