/* The public functions, documented in the generated header. Nothing else of a library is visible from outside. */
#include <errno.h>

/* They leave errno as it was: what went wrong is in the code and the text, and a caller may be about to look at it. */
static int scc_keep_errno(int before, int code) {
  errno = before;
  return code;
}

SCC_API int SCC_NAME(create)(scc_instance **out) {
  int before = errno;
  return scc_keep_errno(before, scc_create(&scc_this, out));
}

SCC_API int SCC_NAME(create_lean)(scc_instance **out) {
  int before = errno;
  return scc_keep_errno(before, scc_new(&scc_this, 1, out));
}

SCC_API void SCC_NAME(destroy)(scc_instance *model) {
  int before = errno;
  scc_destroy(model);
  errno = before;
}

SCC_API int SCC_NAME(run)(scc_instance *model, const void *const *inputs, void *const *outputs) {
  int before = errno;
  return scc_keep_errno(before, scc_run(&scc_this, model, inputs, outputs, NULL));
}

SCC_API int SCC_NAME(profile)(scc_instance *model, const void *const *inputs, void *const *outputs, double *seconds) {
  if (!seconds) return scc_fail(SCC_BAD_ARGUMENT, "%s: profile needs room for the seconds, not NULL", scc_this.name);
  int before = errno;
  return scc_keep_errno(before, scc_run(&scc_this, model, inputs, outputs, seconds));
}

SCC_API int SCC_NAME(set_threads)(scc_instance *model, int threads) {
  int before = errno;
  return scc_keep_errno(before, scc_set_threads(&scc_this, model, threads));
}

SCC_RARE static const scc_port *scc_port_at(const scc_port *ports, int count, int index) {
  return index >= 0 && index < count ? &ports[index] : NULL;
}
static const scc_port *scc_input(int index) { return scc_port_at(scc_this.inputs, scc_this.num_inputs, index); }
static const scc_port *scc_output(int index) { return scc_port_at(scc_this.outputs, scc_this.num_outputs, index); }

SCC_API int SCC_NAME(num_inputs)(void) { return scc_this.num_inputs; }
SCC_API const char *SCC_NAME(input_name)(int i) { return scc_input(i) ? scc_input(i)->name : NULL; }
SCC_API const char *SCC_NAME(input_dtype)(int i) { return scc_input(i) ? scc_input(i)->dtype : NULL; }
SCC_API int SCC_NAME(input_rank)(int i) { return scc_input(i) ? scc_input(i)->rank : -1; }
SCC_API const int64_t *SCC_NAME(input_shape)(int i) { return scc_input(i) ? scc_input(i)->shape : NULL; }

SCC_API int SCC_NAME(num_outputs)(void) { return scc_this.num_outputs; }
SCC_API const char *SCC_NAME(output_name)(int i) { return scc_output(i) ? scc_output(i)->name : NULL; }
SCC_API const char *SCC_NAME(output_dtype)(int i) { return scc_output(i) ? scc_output(i)->dtype : NULL; }
SCC_API int SCC_NAME(output_rank)(int i) { return scc_output(i) ? scc_output(i)->rank : -1; }
SCC_API const int64_t *SCC_NAME(output_shape)(int i) { return scc_output(i) ? scc_output(i)->shape : NULL; }

SCC_API int SCC_NAME(num_steps)(void) { return scc_this.num_steps; }
SCC_API const char *SCC_NAME(step_key)(int i) {
  return i >= 0 && i < scc_this.num_steps ? scc_this.steps[i].key : NULL;
}

SCC_API const char *SCC_NAME(target)(void) { return scc_this.target; }
SCC_API const char *SCC_NAME(version)(void) { return scc_this.version; }
SCC_API const char *SCC_NAME(describe)(void) { return scc_this.description; }
SCC_API int SCC_NAME(check)(void) { return scc_check(&scc_this); }
SCC_API const char *SCC_NAME(last_error)(void) { return scc_last_error(); }
