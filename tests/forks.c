/* The small network of the tests in forked processes: appended to its main.c. Arguments: threads, 1 to clone() as well.
 *
 * A child that hangs dies by the alarm; any other failure is in its exit code. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

enum { NUMBERS = 105, RUNS = 3, FORKS = 6, DEPTH = 2, PAUSE_US = 100, PATIENCE_S = 20 };

static float input[NUMBERS], expected[NUMBERS];
static tiny_t *net, *other;
static atomic_int stop;

static int wrong(tiny_t *self) {
  float result[NUMBERS] = {0};
  const void *inputs[] = {input};
  void *outputs[] = {result};
  return tiny_run(self, inputs, outputs) || memcmp(result, expected, sizeof result);
}

static int threads_in_runs(void) {
  uint64_t tag = (uint64_t)getpid() & (UINT64_MAX >> SCC_TAG_AT);
  int sum = 0;
  for (int i = 0; i < SCC_COUNTS; ++i) sum += scc_count_all(scc_count_mine(atomic_load(&scc_board_now()->counts[i]), tag));
  return sum;
}

static pid_t new_process(int by_clone) { return by_clone ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork(); }

static int failed(int by_clone, int depth);

/* What a child does with what it has of its parent. */
static int child(int by_clone, int depth) {
  int bad = scc_process() && threads_in_runs() ? 1 : 0;
  int running = net->pool.wanted;
  alarm(PATIENCE_S);
  for (int i = 0; i < RUNS; ++i) bad |= wrong(net) ? 2 : 0;
  if (net->pool.running != running || threads_in_runs()) bad |= 4;
  bad |= wrong(other) ? 8 : 0;
  if (depth && failed(by_clone, depth - 1)) bad |= 16;
  if (tiny_set_threads(net, 3) != 3 || wrong(net)) bad |= 32;
  tiny_t *fresh;
  if (tiny_create(&fresh) || wrong(fresh)) return bad | 64;
  tiny_destroy(fresh);
  tiny_destroy(other);
  return bad;
}

static int failed(int by_clone, int depth) {
  int status;
  pid_t pid = new_process(by_clone);
  if (!pid) _exit(child(by_clone, depth));
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void *runs(void *self) {
  for (; !atomic_load(&stop); sched_yield()) wrong(self);
  return NULL;
}

static void *resizes(void *self) {
  for (int i = 0; !atomic_load(&stop); ++i, usleep(PAUSE_US)) tiny_set_threads(self, 1 + i % 3);
  return NULL;
}

static void *creates(void *unused) {
  for (tiny_t *self; !atomic_load(&stop) && !tiny_create(&self); tiny_destroy(self), usleep(PAUSE_US)) (void)unused;
  return NULL;
}

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 1, by_clone = argc > 2 && atoi(argv[2]);
  pthread_t busy[3];
  if (fread(input, sizeof input, 1, stdin) != 1 || fread(expected, sizeof expected, 1, stdin) != 1) return 100;
  if (tiny_create(&net) || tiny_create(&other)) return 101;
  if (tiny_set_threads(net, threads) != threads || wrong(net) || wrong(other)) return 102;
  for (int raw = 0; raw <= by_clone; ++raw) {
    int code = failed(raw, DEPTH);
    if (code) return printf("%s: %d\n", raw ? "clone" : "fork", code), 103;
  }
  pthread_create(&busy[0], NULL, runs, net);
  pthread_create(&busy[1], NULL, resizes, other);
  pthread_create(&busy[2], NULL, creates, NULL);
  int code = 0;
  for (int i = 0; i < FORKS && !code; ++i) code = failed(0, 0);
  atomic_store(&stop, 1);
  for (int i = 0; i < 3; ++i) pthread_join(busy[i], NULL);
  if (code) return printf("busy: %d\n", code), 104;
  return wrong(net) || wrong(other);
}
