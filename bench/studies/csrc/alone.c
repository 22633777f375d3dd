/* A program that times one thread's share of every step at a time, as if it ran on as many threads as wanted.
 *
 *     alone THREADS PASSES
 *
 * The generated main.c, with the runtime in it, stands before this text. The program has two cores. In the passes for
 * one thread of so many, one core does that thread's share of every step, and nothing else; the other core does all
 * other shares of the step just before. So the timed core's cache holds what the thread has read and written itself,
 * lines that others wrote are in another core's cache or below, and lines that others have read must be taken from them
 * before they are written: as on a machine with so many cores at one distance. What is not shown is many cores that want
 * memory, or the same lines, at the same time.
 *
 * Output, a line each, times in ns:
 *   sparsecc-alone 1 <threads> <steps>
 *   share <pass> <step> <launch> <thread> <ns>    a launch is a parallel region: a step has none, one or more
 *   serial <pass> <step> <ns>                     what the step does outside of them, the caller's thread
 *   run <pass> <step> <ns>                        one or two threads: the step in the runtime's own pool
 *   barrier <pass> <ns>                           two threads: a region in which there is nothing to do
 *   done */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { SCRATCH = 16 << 20, EMPTY_REGIONS = 2000 };

/* What one core is to do: shares from `first` to `end`, but for `skip`. */
typedef struct {
  scc_task task;
  void *data;
  int threads, first, end, skip;
  uint64_t took; /* ns */
  int code;
} work;

static struct {
  _Alignas(SCC_ALIGNMENT) _Atomic uint32_t asked;
  _Alignas(SCC_ALIGNMENT) _Atomic uint32_t done;
  work *order; /* NULL tells the other core to end */
} other;

static int threads, timed; /* of so many threads this one is timed */
static int pass, step, launch;
static uint64_t outside; /* ns spent in launches of this step */
static _Thread_local int inside;
static _Thread_local struct {
  unsigned char *base;
  size_t used;
} scratch;

static void fail(const char *text) {
  fprintf(stderr, "%s\n", text);
  exit(1);
}

static void begin_core(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set)) fail("can't stay on a core");
  scc_float_set(SCC_FLOAT_RUN);
  scratch.base = scc_aligned(SCC_ALIGNMENT, SCRATCH);
  if (!scratch.base) fail("no memory for scratch space");
  memset(scratch.base, 0, SCRATCH);
}

/* Temporaries are freed last to first, so a stack will do. */
static void *alloc_scratch(int device, int id, uint64_t bytes, int code_hint, int bits_hint) {
  (void)device, (void)id, (void)code_hint, (void)bits_hint;
  size_t size = (bytes + SCC_ALIGNMENT - 1) / SCC_ALIGNMENT * SCC_ALIGNMENT;
  if (size > SCRATCH - scratch.used) return NULL;
  scratch.used += size;
  return scratch.base + scratch.used - size;
}

static int free_scratch(int device, int id, void *memory) {
  (void)device, (void)id;
  scratch.used = (size_t)((unsigned char *)memory - scratch.base);
  return 0;
}

static void do_work(work *order) {
  scc_group group = {NULL, order->threads};
  uint64_t start = scc_now_ns();
  inside = 1;
  for (int i = order->first; i < order->end; ++i)
    if (i != order->skip) order->code |= order->task(i, &group, order->data);
  inside = 0;
  order->took = scc_now_ns() - start;
}

static void *other_main(void *argument) {
  begin_core(*(int *)argument);
  for (uint32_t seen = 0;; ++seen) {
    while (atomic_load_explicit(&other.asked, memory_order_acquire) == seen) scc_pause();
    if (!other.order) return NULL;
    do_work(other.order);
    atomic_store_explicit(&other.done, seen + 1, memory_order_release);
  }
}

static void ask_other(work *order) {
  other.order = order;
  uint32_t number = atomic_fetch_add(&other.asked, 1) + 1;
  while (atomic_load_explicit(&other.done, memory_order_acquire) != number) scc_pause();
}

/* In the place of the runtime's parallel loop: the others' shares on one core, then the timed one on the other. The
 * caller is thread 0, so this core is the timed one's if that is 0, else the others'. */
static int launch_alone(scc_task task, void *data, int num_task) {
  if (inside) return task(0, &(scc_group){NULL, 1}, data);
  uint64_t start = scc_now_ns();
  int count = num_task > 0 && num_task < threads ? num_task : threads;
  work rest = {task, data, count, 0, count, timed, 0, 0}, own = {task, data, count, timed, timed + 1, -1, 0, 0};
  if (timed >= count) own.end = own.first;
  if (timed) {
    do_work(&rest);
    ask_other(&own);
  } else {
    ask_other(&rest);
    do_work(&own);
  }
  if (pass >= 0) printf("share %d %d %d %d %llu\n", pass, step, launch, timed, (unsigned long long)own.took);
  ++launch;
  outside += scc_now_ns() - start;
  return rest.code | own.code;
}

static void run_alone(const scc_call *call) {
  for (step = 0; step < scc_this.num_steps; ++step) {
    launch = 0;
    outside = 0;
    uint64_t start = scc_now_ns();
    if (scc_this.steps[step].run(call)) fail("a step failed; probably no memory for its scratch space");
    uint64_t took = scc_now_ns() - start;
    if (pass >= 0 && !timed) printf("serial %d %d %llu\n", pass, step, (unsigned long long)(took - outside));
  }
}

static int nothing(int index, scc_group *group, void *data) { return (void)index, (void)group, (void)data, 0; }

static int32_t empty_regions(const scc_call *call) {
  (void)call;
  int code = 0;
  for (int i = 0; i < EMPTY_REGIONS; ++i) code |= SCC_NAME(__TVMBackendParallelLaunch)(nothing, NULL, 0);
  return code;
}

/* Runs in the runtime's own pool. */
static void run_together(scc_instance *instance, const void *const *inputs, void *const *outputs, int passes) {
  static const scc_step regions[] = {{.key = "regions", .run = empty_regions}};
  double seconds[scc_this.num_steps + 1];
  scc_model empty = scc_this;
  empty.steps = regions;
  empty.num_steps = 1;
  if (scc_set_threads(&scc_this, instance, threads) != threads) fail("not as many threads as wanted");
  for (int i = -2; i < passes; ++i) {
    if (scc_run(&scc_this, instance, inputs, outputs, seconds)) fail(scc_last_error());
    for (int j = 0; i >= 0 && j < scc_this.num_steps; ++j) printf("run %d %d %.0f\n", i, j, seconds[j] * 1e9);
  }
  for (int i = -1; threads == 2 && i < passes; ++i) {
    if (scc_run(&empty, instance, inputs, outputs, seconds)) fail(scc_last_error());
    if (i >= 0) printf("barrier %d %.0f\n", i, seconds[0] * 1e9 / EMPTY_REGIONS);
  }
  if (scc_set_threads(&scc_this, instance, 1) != 1) fail("not one thread");
}

/* Memory of all ports, with numbers from 0 to 1. */
static void **filled(const scc_port *ports, int count) {
  void **arrays = calloc((size_t)count + 1, sizeof *arrays);
  for (int i = 0; arrays && i < count; ++i) {
    size_t floats = 1;
    for (int j = 0; j < ports[i].rank; ++j) floats *= (size_t)ports[i].shape[j];
    float *values = scc_aligned(SCC_ALIGNMENT, floats * sizeof *values + 1);
    if (!values) return NULL;
    for (size_t j = 0; j < floats; ++j) values[j] = (float)(j * 37 % 101) / 101;
    arrays[i] = values;
  }
  return arrays;
}

int main(int argc, char **argv) {
  if (argc != 3 || (threads = atoi(argv[1])) < 1) return 2;
  int passes = atoi(argv[2]), cpus[2], found = 0;
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set)) fail("no list of cores");
  for (int i = 0; i < CPU_SETSIZE && found < 2; ++i)
    if (CPU_ISSET(i, &set)) cpus[found++] = i;
  if (found < 2) fail("found one core, expected two that this process may use");
  scc_instance *instance = NULL;
  void **inputs = filled(scc_this.inputs, scc_this.num_inputs), **outputs = filled(scc_this.outputs, scc_this.num_outputs);
  if (!inputs || !outputs) fail("no memory for inputs and outputs");
  if (scc_create(&scc_this, &instance)) fail(scc_last_error());
  printf("sparsecc-alone 1 %d %d\n", threads, scc_this.num_steps);
  if (threads <= 2) run_together(instance, (const void *const *)inputs, outputs, passes);

  pthread_t thread;
  begin_core(cpus[0]);
  if (pthread_create(&thread, NULL, other_main, &cpus[1])) fail("no second thread");
  SCC_NAME(__TVMBackendParallelLaunch) = launch_alone;
  SCC_NAME(__TVMBackendAllocWorkspace) = alloc_scratch;
  SCC_NAME(__TVMBackendFreeWorkspace) = free_scratch;
  scc_call call = {instance->arena, instance->weights, (const void *const *)inputs, outputs};
  for (timed = 0; timed < threads; ++timed)
    for (pass = -1; pass < passes; ++pass) run_alone(&call);
  other.order = NULL;
  atomic_fetch_add(&other.asked, 1);
  pthread_join(thread, NULL);
  printf("done\n");
  return 0;
}
