/* What a pool learns, with a clock and a system that the test makes up: scc_learn.c alone. */
#include <stdint.h>
#include <stdio.h>

#define SCC_RARE
#include "scc_learn.c"

#define MS 1000000ull
#define CHECK(what) \
  if (!(what)) return printf("line %d: %s\n", __LINE__, #what), 1

static scc_habits h;
static uint64_t now = 1000 * MS;
static int others; /* threads of others that run */
static uint64_t slow; /* a piece is late by so much when others run and we have all threads */

/* One run of `alone` ns of work at `gain` percent of the time for each doubling; gives the threads it began with. */
static int run(int most, uint64_t alone, int gain) {
  uint64_t took = alone;
  scc_habits_begin(&h, most, now);
  int use = h.use;
  for (int n = 1; n < use; n *= 2) took = took * (uint64_t)gain / 100;
  h.shared = use > 1;
  now += took / 2;
  if (h.cpus && now >= h.look_at) scc_habits_see(&h, others + use, use, now);
  now += took / 2;
  if (use > 1 && others && slow) now += slow, scc_habits_late(&h, now);
  scc_habits_end(&h, now);
  return use;
}

static int several(int runs, int most, uint64_t alone, int gain, int use) {
  int found = 0;
  for (int i = 0; i < runs; ++i) found += run(most, alone, gain) == use;
  return found;
}

/* Two threads that gain stay, with a trial now and then. */
static int gains(void) {
  scc_habits_init(&h, 2);
  CHECK(several(5000, 2, 2 * MS, 55, 2) >= 4980);
  CHECK(several(5000, 2, 2 * MS, 55, 1) >= 3);
  return 0;
}

/* Two that gain nothing become one, and two again when they gain. */
static int gains_nothing(void) {
  scc_habits_init(&h, 2);
  several(50, 2, 2 * MS, 105, 1);
  CHECK(several(2000, 2, 2 * MS, 105, 1) >= 1870);
  several(450, 2, 2 * MS, 55, 2);
  CHECK(several(1000, 2, 2 * MS, 55, 2) >= 990);
  return 0;
}

/* Two CPUs that become one core for a while: that is seen within a few runs, and the end of it soon. */
static int becomes_one_core(void) {
  scc_habits_init(&h, 2);
  several(500, 2, 2 * MS, 55, 2);
  several(30, 2, 2 * MS, 135, 1);
  CHECK(several(1000, 2, 2 * MS, 135, 1) >= 930);
  several(120, 2, 2 * MS, 55, 2);
  CHECK(several(100, 2, 2 * MS, 55, 2) >= 90);
  return 0;
}

/* Of eight, four are best. */
static int gains_up_to_four(void) {
  int use = 0;
  scc_habits_init(&h, 8);
  for (int i = 0; i < 3000; ++i) {
    scc_habits_begin(&h, 8, now);
    use = h.use;
    h.shared = 1;
    now += use == 8 ? 3 * MS : use == 4 ? 2 * MS : use == 2 ? 4 * MS : 8 * MS;
    scc_habits_end(&h, now);
  }
  CHECK(h.best == 4);
  return 0;
}

/* A neighbour is seen, and when it has gone that is seen too. */
static int neighbour(void) {
  scc_habits_init(&h, 2);
  several(20, 2, 2 * MS, 55, 2);
  others = 1;
  several(10, 2, 2 * MS, 55, 1);
  CHECK(several(2000, 2, 2 * MS, 55, 1) == 2000);
  others = 0;
  uint64_t gone = now;
  while (run(2, 2 * MS, 55) == 1) CHECK(now - gone < 50 * MS);
  /* one look is no neighbour */
  others = 1;
  do run(2, 2 * MS, 55);
  while (!h.streak);
  others = 0;
  CHECK(several(50, 2, 2 * MS, 55, 2) >= 47);
  return 0;
}

/* One that comes again and again is believed to have gone later and later, but soon. */
static int comes_again(void) {
  uint64_t longest = 0;
  scc_habits_init(&h, 2);
  for (int i = 0; i < 20; ++i) {
    others = 1;
    while (run(2, 2 * MS, 55) == 2) continue;
    others = 0;
    uint64_t gone = now;
    while (run(2, 2 * MS, 55) == 1) continue;
    if (now - gone > longest) longest = now - gone;
  }
  CHECK(longest > 20 * MS && longest < 100 * MS);
  return 0;
}

/* Where nobody can see it, it is noticed by what it does: at most one run of a hundred is spoiled. */
static int unseen(void) {
  int spoiled = 0;
  scc_habits_init(&h, 0);
  several(20, 2, 2 * MS, 55, 2);
  others = 1, slow = 8 * MS;
  several(300, 2, 2 * MS, 55, 1);
  for (int i = 0; i < 20000; ++i) spoiled += run(2, 2 * MS, 55) > 1;
  CHECK(spoiled && spoiled <= 100);
  others = 0;
  uint64_t gone = now;
  while (run(2, 2 * MS, 55) == 1) CHECK(now - gone < 2100 * MS);
  CHECK(several(200, 2, 2 * MS, 55, 2) >= 190);
  return slow = 0;
}

/* A late piece is a reason to look: with somebody there, room is less at once; else it is forgotten at the next look. */
static int late(void) {
  scc_habits_init(&h, 2);
  several(20, 2, 2 * MS, 55, 2);
  scc_habits_begin(&h, 2, now);
  scc_habits_late(&h, now += MS);
  CHECK(h.use == 1);
  scc_habits_see(&h, 3, 2, now);
  CHECK(h.room == 1);
  scc_habits_init(&h, 2);
  scc_habits_begin(&h, 2, now);
  scc_habits_late(&h, now += MS);
  scc_habits_see(&h, 2, 2, now);
  CHECK(h.room > 1);
  now += SCC_LOOK_NS;
  CHECK(run(2, 2 * MS, 55) == 2);
  return 0;
}

/* Sixteen threads beside three neighbours are thirteen. */
static int some_room(void) {
  scc_habits_init(&h, 16);
  others = 3;
  several(50, 16, 2 * MS, 55, 13);
  CHECK(several(100, 16, 2 * MS, 55, 13) >= 97);
  others = 40;
  several(50, 16, 2 * MS, 55, 1);
  CHECK(several(100, 16, 2 * MS, 55, 1) == 100);
  return others = 0;
}

int main(void) {
  return gains() || gains_nothing() || becomes_one_core() || gains_up_to_four() || neighbour() || comes_again() || unseen() || late() ||
         some_room();
}
