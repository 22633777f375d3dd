/* A library for several shapes: the functions that know of them. Those in scc_api.c are about the first one. */

static const scc_model *scc_shape(int shape) {
  if (shape >= 0 && shape < SCC_SHAPES) return &scc_models[shape];
  scc_fail(SCC_BAD_ARGUMENT, "%s: there is no shape %d, expected 0 to %d", scc_this.name, shape, SCC_SHAPES - 1);
  return NULL;
}

SCC_API int SCC_NAME(num_shapes)(void) { return SCC_SHAPES; }

static const int64_t *scc_sizes(const scc_port *port) { return port ? port->shape : NULL; }
SCC_API const int64_t *SCC_NAME(shape_input)(int shape, int index) {
  const scc_model *model = scc_shape(shape);
  return scc_sizes(model ? scc_port_at(model->inputs, model->num_inputs, index) : NULL);
}
SCC_API const int64_t *SCC_NAME(shape_output)(int shape, int index) {
  const scc_model *model = scc_shape(shape);
  return scc_sizes(model ? scc_port_at(model->outputs, model->num_outputs, index) : NULL);
}

SCC_API int SCC_NAME(find_shape)(const int64_t *const *sizes) {
  for (int shape = 0; sizes && shape < SCC_SHAPES; ++shape) {
    const scc_model *model = &scc_models[shape];
    int fits = 1;
    for (int i = 0; fits && i < model->num_inputs; ++i) {
      const scc_port *port = &model->inputs[i];
      fits = sizes[i] && !memcmp(sizes[i], port->shape, (size_t)port->rank * sizeof *port->shape);
    }
    if (fits) return shape;
  }
  scc_fail(SCC_BAD_ARGUMENT, "%s: no shape has inputs of these sizes", scc_this.name);
  return -1;
}

SCC_API int SCC_NAME(shape_num_steps)(int shape) {
  const scc_model *model = scc_shape(shape);
  return model ? model->num_steps : -1;
}
SCC_API const char *SCC_NAME(shape_step_key)(int shape, int index) {
  const scc_model *model = scc_shape(shape);
  return model && index >= 0 && index < model->num_steps ? model->steps[index].key : NULL;
}

SCC_API int SCC_NAME(run_shape)(scc_instance *self, int shape, const void *const *inputs, void *const *outputs) {
  int before = errno;
  const scc_model *model = scc_shape(shape);
  return scc_keep_errno(before, model ? scc_run(model, self, inputs, outputs, NULL) : SCC_BAD_ARGUMENT);
}

SCC_API int SCC_NAME(profile_shape)(scc_instance *self, int shape, const void *const *inputs, void *const *outputs,
                                    double *seconds) {
  if (!seconds) return scc_fail(SCC_BAD_ARGUMENT, "%s: profile needs room for the seconds, not NULL", scc_this.name);
  int before = errno;
  const scc_model *model = scc_shape(shape);
  return scc_keep_errno(before, model ? scc_run(model, self, inputs, outputs, seconds) : SCC_BAD_ARGUMENT);
}

/* The shape of a family with the largest batch below `below` and of `most` at most; -1 if there is none. */
static int scc_piece(int family, int64_t below, int64_t most) {
  int found = -1;
  for (int i = 0; i < SCC_SHAPES; ++i) {
    int64_t size = scc_batches[i].size;
    if (scc_batches[i].family != family || size >= below || size > most) continue;
    if (found < 0 || size > scc_batches[found].size) found = i;
  }
  return found;
}

/* Pieces that `left` images take, none with a batch of `below` or more; 0 if it can't be done. As many as possible of
 * the largest first; fewer of them where the rest can't be done. */
static int64_t scc_pieces_of(int family, int64_t below, int64_t left) {
  int shape = scc_piece(family, below, left);
  if (shape < 0) return 0;
  int64_t size = scc_batches[shape].size;
  for (int64_t count = left / size; count >= 0; --count) {
    int64_t rest = left - count * size;
    if (!rest) return count;
    int64_t others = scc_pieces_of(family, size, rest);
    if (others) return count + others;
    if (left / size - count > 2 * size) break; /* what is left over then could be done before, or can't at all */
  }
  return 0;
}

SCC_API int64_t SCC_NAME(num_pieces)(int shape, int64_t batch) {
  if (!scc_shape(shape) || scc_batches[shape].family < 0 || batch < 1) return 0;
  return scc_pieces_of(scc_batches[shape].family, INT64_MAX, batch);
}

/* Runs `left` images from the `first` on, none in a piece of `below` images or more. */
static int scc_run_pieces(scc_instance *self, int family, int64_t first, int64_t left, const void *const *inputs,
                          void *const *outputs) {
  const void *ins[SCC_PORTS];
  void *outs[SCC_PORTS];
  int64_t below = INT64_MAX;
  while (left) {
    int shape = scc_piece(family, below, left);
    if (shape < 0) return scc_fail(SCC_BAD_ARGUMENT, "%s: no pieces for this batch", scc_this.name);
    const scc_model *model = &scc_models[shape];
    int64_t size = scc_batches[shape].size;
    if (left != size && !scc_pieces_of(family, size + 1, left - size)) {
      below = size;
      continue;
    }
    for (int i = 0; i < model->num_inputs; ++i)
      ins[i] = (const char *)inputs[i] + (size_t)first * (model->inputs[i].bytes / (size_t)size);
    for (int i = 0; i < model->num_outputs; ++i)
      outs[i] = (char *)outputs[i] + (size_t)first * (model->outputs[i].bytes / (size_t)size);
    int code = scc_run(model, self, ins, outs, NULL);
    if (code) return code;
    first += size;
    left -= size;
  }
  return SCC_OK;
}

/* Whether arrays of so many images can be given: none is NULL, no output lies on an input or another output. */
static int scc_check_batch(const scc_model *model, int64_t size, int64_t batch, const scc_call *call) {
  const scc_port *port, *other;
  int inputs = model->num_inputs, count = inputs + model->num_outputs;
  for (int i = 0; i < count; ++i) {
    uintptr_t from = scc_array(model, call, i, &port), to = from + port->bytes / (size_t)size * (size_t)batch;
    int wrong = !from;
    for (int j = i < inputs ? i : 0; !wrong && j < i; ++j) {
      uintptr_t start = scc_array(model, call, j, &other);
      wrong = start < to && from < start + other->bytes / (size_t)size * (size_t)batch;
    }
    if (wrong)
      return scc_fail(SCC_BAD_ARGUMENT, "%s: %s %d (%s) is NULL, or overlaps an input or another output", model->name,
                      i < inputs ? "input" : "output", i < inputs ? i : i - inputs, port->name);
  }
  return SCC_OK;
}

static int scc_run_batch(scc_instance *self, int shape, int64_t batch, const scc_call *call) {
  if (!call->inputs || !call->outputs)
    return scc_fail(SCC_BAD_ARGUMENT, "%s: inputs and outputs must not be NULL", scc_this.name);
  if (!SCC_NAME(num_pieces)(shape, batch))
    return scc_fail(SCC_BAD_ARGUMENT, "%s: a batch of %lld can't be run in pieces of the shapes that are like shape %d",
                    scc_this.name, (long long)batch, shape);
  int code = scc_check_batch(&scc_models[shape], scc_batches[shape].size, batch, call);
  return code ? code : scc_run_pieces(self, scc_batches[shape].family, 0, batch, call->inputs, call->outputs);
}

SCC_API int SCC_NAME(run_batch)(scc_instance *self, int shape, int64_t batch, const void *const *inputs,
                                void *const *outputs) {
  int before = errno;
  scc_call call = {NULL, NULL, inputs, outputs};
  return scc_keep_errno(before, scc_run_batch(self, shape, batch, &call));
}
