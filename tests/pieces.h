/* How workers are held back: see pieces.c. */
#define _GNU_SOURCE 1
#include <sched.h>
#include <stdatomic.h>

enum { NOBODY, NEVER_COME, COME_LATER, HELD_INSIDE, AT_RANDOM };

static atomic_int mode, over, done, held;
int total_pieces(void);

#define SCC_LEARNS 0
#define SCC_DELAY(index, inside) hold_back(index, inside)

static void hold_back(int index, int inside) {
  static atomic_uint random;
  int now = atomic_load(&mode), before = atomic_load(&over);
  if (now == AT_RANDOM)
    for (unsigned i = (atomic_fetch_add(&random, 1) * 2654435761u >> 16) % 64; i; --i) sched_yield();
  if (!index) return;
  while (now == NEVER_COME && !inside && atomic_load(&mode) == now) sched_yield();
  while (now == COME_LATER && !inside && atomic_load(&mode) == now && atomic_load(&over) == before) sched_yield();
  if (now != HELD_INSIDE || !inside || atomic_exchange(&held, 1)) return;
  while (atomic_load(&done) < total_pieces() - 1) sched_yield();
}
