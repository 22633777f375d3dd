/* Runs a network on a ramp, in one thread: once to warm up, then once between two marks that the plugin sees. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "model.h"

static float *ramp(int rank, const int64_t *shape) {
  size_t count = 1;
  for (int i = 0; i < rank; ++i) count *= (size_t)shape[i];
  float *x = malloc(count * sizeof *x);
  for (size_t i = 0; x && i < count; ++i) x[i] = (float)(i % 17) / 16.0f - 0.5f;
  return x;
}

int main(void) {
  model_t *net;
  const void *inputs[64];
  void *outputs[64];
  if (model_create(&net) || model_set_threads(net, 1) != 1) return fputs(model_last_error(), stderr), 1;
  if (model_num_inputs() > 64 || model_num_outputs() > 64) return 3;
  for (int i = 0; i < model_num_inputs(); ++i) inputs[i] = ramp(model_input_rank(i), model_input_shape(i));
  for (int i = 0; i < model_num_outputs(); ++i) outputs[i] = ramp(model_output_rank(i), model_output_shape(i));
  if (model_run(net, inputs, outputs)) return fputs(model_last_error(), stderr), 2;
  getppid();
  if (model_run(net, inputs, outputs)) return fputs(model_last_error(), stderr), 2;
  getppid();
  model_destroy(net);
  return 0;
}
