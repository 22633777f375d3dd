/* An instance: the arena, the threads and a lock. */

struct SCC_NAME(instance) {
  scc_pool pool;
  _Atomic uint32_t lock;
  unsigned char *arena;
  const unsigned char *weights;
  int lean; /* reads the file's own pages of them, and keeps none */
#ifdef SCC_SHAPES
  int shape;                       /* of the last run; what was learned of the others is put aside */
  scc_habits habits[SCC_SHAPES];
#endif
};
typedef struct SCC_NAME(instance) scc_instance;

SCC_RARE static unsigned char *scc_new_arena(size_t bytes) {
  size_t alignment = bytes >= 2 * SCC_HUGE_PAGE ? SCC_HUGE_PAGE : SCC_ALIGNMENT;
  size_t size = (bytes + alignment) / alignment * alignment;
  unsigned char *arena = scc_aligned(alignment, size);
  if (!arena) return NULL;
  if (alignment == SCC_HUGE_PAGE) madvise(arena, size, MADV_HUGEPAGE); /* a wish: failure changes nothing */
  memset(arena, 0, size);
  return arena;
}

SCC_RARE static void scc_destroy(scc_instance *self) {
  if (!self) return;
  scc_pool_free(&self->pool);
  if (self->weights && !self->lean) scc_weights_leave();
  free(self->arena);
  free(self);
}

SCC_RARE static int scc_new(const scc_model *model, int lean, scc_instance **out) {
  if (!out) return scc_fail(SCC_BAD_ARGUMENT, "%s: create needs a place for the instance, not NULL", model->name);
  *out = NULL;
  int code = scc_check_cpu(model);
  if (code) return code;
  scc_instance *self = scc_aligned(SCC_ALIGNMENT, sizeof *self);
  if (self) {
    memset(self, 0, sizeof *self);
    self->arena = scc_new_arena(model->arena_bytes);
    if (self->arena && !scc_pool_set(&self->pool, 0)) {
      self->lean = lean;
      self->weights = lean ? model->weights : scc_weights_use(model->weights, model->weight_bytes);
      *out = self;
      return SCC_OK;
    }
    scc_destroy(self);
  }
  return scc_fail(SCC_NO_MEMORY, "%s: no memory for an instance (%zu bytes)", model->name, model->arena_bytes);
}

static int scc_create(const scc_model *model, scc_instance **out) { return scc_new(model, 0, out); }

/* The array of a port, inputs before outputs. */
static uintptr_t scc_array(const scc_model *model, const scc_call *call, int i, const scc_port **port) {
  int inputs = model->num_inputs;
  *port = i < inputs ? &model->inputs[i] : &model->outputs[i - inputs];
  return (uintptr_t)(i < inputs ? call->inputs[i] : call->outputs[i - inputs]);
}

SCC_RARE static int scc_check_call(const scc_model *model, const scc_call *call) {
  if (!call->arena || !call->inputs || !call->outputs)
    return scc_fail(SCC_BAD_ARGUMENT, "%s: instance, inputs and outputs must not be NULL", model->name);
  const scc_port *port, *other;
  int inputs = model->num_inputs, count = inputs + model->num_outputs;
  for (int i = 0; i < count; ++i) {
    uintptr_t from = scc_array(model, call, i, &port), to = from + port->bytes;
    const char *what = !from ? "is NULL" : from & (port->element - 1) ? "is not aligned for its type" : NULL;
    for (int j = i < inputs ? i : 0; !what && j < i; ++j) {
      uintptr_t start = scc_array(model, call, j, &other);
      if (start < to && from < start + other->bytes) what = "overlaps an input or another output";
    }
    if (!what) continue;
    int is_input = i < inputs;
    return scc_fail(SCC_BAD_ARGUMENT, "%s: %s %d (%s) %s", model->name, is_input ? "input" : "output",
                    is_input ? i : i - inputs, port->name, what);
  }
  return SCC_OK;
}

#ifdef SCC_SHAPES
/* What is learned about threads holds for one shape: times of others say nothing. */
static void scc_use_shape(scc_instance *self, int shape) {
  if (shape == self->shape) return;
  scc_habits *habits = &self->pool.habits, *own = &self->habits[shape];
  int cpus = habits->cpus;
  self->habits[self->shape] = *habits;
  if (own->calm)
    *habits = *own;
  else
    scc_habits_init(habits, cpus);
  habits->cpus = cpus;
  self->shape = shape;
}
#endif

static int scc_run_steps(const scc_model *model, scc_instance *self, const scc_call *call, double *seconds) {
  scc_pool *pool = &self->pool;
  for (int i = 0; i < model->num_steps; ++i) {
    const scc_step *step = &model->steps[i];
    scc_pool_keep(pool, step);
    uint64_t start = seconds ? scc_now_ns() : 0;
    pool->stale = pool->far && step->result_bytes ? call->arena + step->result : NULL;
    pool->stale_bytes = step->result_bytes;
    int32_t code = step->run(call);
    if (seconds) seconds[i] = (double)(scc_now_ns() - start) * 1e-9;
    if (self->lean) scc_weights_forget(model->weights, model->weight_bytes);
    if (code)
      return scc_fail(SCC_STEP_FAILED, "%s: step %d (%s) failed with code %d%s", model->name, i, step->key,
                      (int)code, code == -1 ? "; probably no memory for its scratch space" : "");
  }
  return SCC_OK;
}

/* One run; `seconds` (may be NULL) receives the time of every step. */
static int scc_run(const scc_model *model, scc_instance *self, const void *const *inputs, void *const *outputs,
                   double *seconds) {
  scc_call call = {self ? self->arena : NULL, self ? self->weights : NULL, inputs, outputs};
  int code = scc_check_call(model, &call);
  if (code) return code;
  uint32_t process = scc_process();
  scc_lock(&self->lock, process);
  scc_pool *pool = &self->pool;
#ifdef SCC_SHAPES
  scc_use_shape(self, (int)(model - scc_models));
#endif
  scc_pool_begin(pool, process);
  scc_sit(pool->workers[0].seat);
  scc_float_mode callers = scc_float_get();
  scc_float_set(SCC_FLOAT_RUN);
  scc_measure_distance(pool);
  code = scc_run_steps(model, self, &call, seconds);
  scc_float_set(callers);
  scc_rise(pool->workers[0].seat);
  scc_pool_end(pool);
  scc_unlock(&self->lock);
  return code;
}

SCC_RARE static int scc_set_threads(const scc_model *model, scc_instance *self, int threads) {
  if (!self || threads < 0) {
    scc_fail(SCC_BAD_ARGUMENT, "%s: set_threads needs an instance and 0 (its own choice) or more threads, not %d",
             model->name, threads);
    return -1;
  }
  uint32_t process = scc_process();
  scc_lock(&self->lock, process);
  scc_pool *pool = &self->pool;
  int code = scc_pool_set(pool, threads);
  if (!code && threads) scc_pool_prepare(pool, process, pool->wanted);
  if (!code) threads = threads ? pool->running : pool->wanted; /* fewer than asked for if the system gives no more */
  scc_unlock(&self->lock);
  if (!code) return threads;
  scc_fail(code, "%s: no memory for %d threads", model->name, threads);
  return -1;
}
