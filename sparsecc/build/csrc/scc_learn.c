/* How many threads a run uses: fewer than it may where others need the CPUs, or where more of them gain nothing.
 *
 * A thread whose CPU is taken away in the midst of a piece holds up all others for a time slice, some 4 ms; a run may be
 * shorter. So others are looked for (room), and where that does not show them, a piece that kept everybody waiting does
 * (caution). Where two threads are no faster than one, because their cores are far from each other or are one core in
 * truth, runs with fewer are tried from time to time (trials). */

#ifndef SCC_LEARNS /* 0: always all threads; for tests */
#define SCC_LEARNS 1
#endif

/* Time between two looks at who else runs; between those when there seem to be more of them. */
#define SCC_LOOK_NS 4000000
#define SCC_NEXT_LOOK_NS 2000000
/* A run is looked at so late: threads of other instances, which spin for a moment after their run, sleep by then. */
#define SCC_SETTLED_NS 150000
/* Looks in a row that find more threads beside before there are fewer of ours; and that find room before that is used,
 * the second number when others came back within so short a time. */
#define SCC_BUSY_LOOKS 3
#define SCC_CALM_LOOKS 2
#define SCC_MOST_CALM_LOOKS 8
#define SCC_BACK_NS 200000000

/* After a late piece: how long there are fewer threads, until the next look or, where nobody can look, so long and so
 * many runs; and the most when it happens again and again: then runs that are spoiled are one of some hundreds. */
#define SCC_CAUTION_NS 20000000
#define SCC_CAUTION_RUNS 8
#define SCC_MOST_CAUTION_NS 2000000000
#define SCC_MOST_CAUTION_RUNS 500

/* A trial: runs with another number of threads, the first one not counted, as data comes from other caches. Runs and
 * time from one to the next: where they are about as fast, and where they are not. */
#define SCC_TRIAL_RUNS 3
#define SCC_FIRST_TRIAL 8
#define SCC_CLOSE_RUNS 20
#define SCC_CLOSE_NS 100000000
#define SCC_CLEAR_RUNS 1000
#define SCC_CLEAR_NS 1000000000
/* Runs in a row that are slower than the last trial of fewer threads was, after which these are tried at once: CPUs of
 * virtual machines become one core, and two again, within seconds. */
#define SCC_SLOW_RUNS 3

typedef struct {
  int cpus;               /* that others may be seen on; 0 if nobody can tell */
  int most, best, use;    /* threads: of this run at most, found to be the best, of the next region */
  int room;               /* CPUs for threads of ours */
  int calm;               /* looks in a row that it takes to have more room */
  uint64_t crowded;       /* when there was less of it, in ns */
  int streak, least_room; /* looks in a row that found less (below 0) or more, and the least that they found */
  uint64_t look_at;
  int cautious;           /* threads until then; 0 if there was nothing */
  uint64_t cautious_until, caution;
  int trial, trial_runs, wins; /* threads on trial, 0 for none; runs of it; trials in a row that were for fewer */
  uint64_t trial_ns, usual_ns[2]; /* the fastest of a trial's runs; the last two others */
  uint64_t fewer_ns;      /* of the last trial of fewer threads; 0 for none */
  int slow;               /* runs in a row that took longer */
  uint64_t runs_to_trial, trial_at;
  int upwards;            /* the last trial was of more */
  int shared, spoiled;    /* this run: had a region of several threads; was not like others */
  uint64_t began;
} scc_habits;

SCC_RARE static void scc_habits_init(scc_habits *h, int cpus) {
  *h = (scc_habits){.cpus = cpus, .room = INT32_MAX, .calm = SCC_CALM_LOOKS, .runs_to_trial = SCC_FIRST_TRIAL};
}

/* Threads of the next region. */
static void scc_decide(scc_habits *h, uint64_t now) {
  int use = h->trial ? h->trial : h->best;
  if (h->cautious && now < h->cautious_until && h->cautious < use) use = h->cautious;
  if (h->room < use) use = h->room;
  h->use = !SCC_LEARNS ? h->most : use > 1 ? use : 1;
}

static uint64_t scc_larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* Before a run of `most` threads at most. */
static void scc_habits_begin(scc_habits *h, int most, uint64_t now) {
  if (most != h->most) {
    h->most = h->best = most;
    h->trial = h->wins = h->slow = 0;
    h->fewer_ns = 0;
    h->usual_ns[0] = h->usual_ns[1] = 0;
    h->runs_to_trial = SCC_FIRST_TRIAL;
  }
  h->began = now;
  h->shared = h->spoiled = 0;
  scc_decide(h, now);
}

/* There is less room from now on. */
SCC_RARE static void scc_crowd(scc_habits *h, int room, uint64_t now) {
  int again = h->crowded && now - h->crowded < SCC_BACK_NS;
  h->calm = again && 2 * h->calm <= SCC_MOST_CALM_LOOKS ? 2 * h->calm : again ? h->calm : SCC_CALM_LOOKS;
  h->crowded = now;
  h->room = room;
  h->streak = 0;
  h->spoiled = 1;
  scc_decide(h, now);
}

/* So many threads run or want to in the whole system, `ours` of this pool. */
SCC_RARE static void scc_habits_see(scc_habits *h, int running, int ours, uint64_t now) {
  int room = h->cpus - (running > ours ? running - ours : 0);
  h->look_at = now + SCC_LOOK_NS;
  if (room >= h->most) room = INT32_MAX;
  if (room == h->room) {
    h->streak = 0;
    return;
  }
  int more = room > h->room;
  if ((h->streak > 0) != more) h->streak = 0;
  h->least_room = h->streak && h->least_room < room ? h->least_room : room;
  h->streak += more ? 1 : -1;
  if (!more) h->look_at = now + SCC_NEXT_LOOK_NS;
  if (h->streak == -SCC_BUSY_LOOKS) scc_crowd(h, room, now);
  if (h->streak != h->calm) return;
  h->room = h->least_room; /* from the next run on */
  h->streak = 0;
}

/* A region took longer than fewer threads would have taken: one was put aside. */
SCC_RARE static void scc_habits_late(scc_habits *h, uint64_t now) {
  uint64_t run = h->usual_ns[0];
  uint64_t least = h->cpus ? SCC_LOOK_NS : scc_larger(SCC_CAUTION_NS, SCC_CAUTION_RUNS * run);
  uint64_t most = scc_larger(SCC_MOST_CAUTION_NS, SCC_MOST_CAUTION_RUNS * run);
  int again = h->cautious && now < h->cautious_until + 4 * h->caution;
  h->caution = again ? 2 * h->caution : least;
  if (h->caution > most) h->caution = most;
  h->cautious = h->use > 3 ? h->use / 2 : 1;
  h->cautious_until = now + h->caution;
  h->streak = 1 - SCC_BUSY_LOOKS; /* one look is enough now */
  h->look_at = now;
  h->spoiled = 1;
  scc_decide(h, now);
}

/* What was found out about another number of threads. */
SCC_RARE static void scc_judge(scc_habits *h, uint64_t now) {
  uint64_t usual = h->usual_ns[0] < h->usual_ns[1] ? h->usual_ns[0] : h->usual_ns[1];
  int fewer = h->trial < h->best, wins = 100 * h->trial_ns < 97 * usual;
  int close = 10 * h->trial_ns < 12 * usual && 10 * usual < 12 * h->trial_ns;
  h->wins = fewer && wins ? h->wins + 1 : 0;
  h->slow = 0;
  if (fewer || wins) h->fewer_ns = fewer ? h->trial_ns : usual;
  if (wins && (!fewer || h->wins == 2)) {
    h->best = h->trial;
    h->usual_ns[0] = h->usual_ns[1] = h->trial_ns;
  }
  h->trial = 0;
  h->runs_to_trial = h->wins == 1 ? SCC_FIRST_TRIAL : close || h->best < h->most ? SCC_CLOSE_RUNS : SCC_CLEAR_RUNS;
  h->trial_at = h->wins == 1 ? now : now + (close || h->best < h->most ? SCC_CLOSE_NS : SCC_CLEAR_NS);
  if (h->wins == 2) h->wins = 0;
}

/* After a run with the usual number of threads: whether fewer would have been faster. */
static void scc_compare(scc_habits *h, uint64_t took, uint64_t now) {
  h->slow = h->best > 1 && h->fewer_ns && took > h->fewer_ns ? h->slow + 1 : 0;
  if (h->slow != SCC_SLOW_RUNS) return;
  h->upwards = 1; /* the next trial is of fewer, and need not be confirmed */
  h->wins = 1;
  h->runs_to_trial = 0;
  h->trial_at = now;
}

SCC_RARE static void scc_begin_trial(scc_habits *h) {
  h->upwards = h->best == 1 || (h->best < h->most && !h->upwards);
  h->trial = h->upwards ? 2 * h->best : (h->best + 1) / 2;
  if (h->trial > h->most) h->trial = h->most;
  h->trial_runs = 0;
}

/* After a run. */
static void scc_habits_end(scc_habits *h, uint64_t now) {
  uint64_t took = now - h->began;
  if (h->spoiled || h->most < 2 || h->use != (h->trial ? h->trial : h->best)) return;
  if (h->trial) {
    if (h->trial_runs++ == 1 || (h->trial_runs > 1 && took < h->trial_ns)) h->trial_ns = took;
    if (h->trial_runs == SCC_TRIAL_RUNS) scc_judge(h, now);
    return;
  }
  h->usual_ns[1] = h->usual_ns[0];
  h->usual_ns[0] = took;
  if (h->runs_to_trial) --h->runs_to_trial;
  scc_compare(h, took, now);
  if (!h->runs_to_trial && now >= h->trial_at && h->usual_ns[1] && (h->shared || h->best < h->most))
    scc_begin_trial(h);
}
