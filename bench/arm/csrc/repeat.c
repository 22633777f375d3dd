/* Runs a network as often as its argument says, on zeros, in one thread. */
#include <stdio.h>
#include <stdlib.h>

#include "model.h"

static void *zeros(int rank, const int64_t *shape) {
  size_t count = 1;
  for (int i = 0; i < rank; ++i) count *= (size_t)shape[i];
  return calloc(count, sizeof(float));
}

int main(int argc, char **argv) {
  model_t *net;
  if (argc < 2 || model_create(&net) || model_set_threads(net, 1) != 1) return fputs(model_last_error(), stderr), 1;
  const void *inputs[] = {zeros(model_input_rank(0), model_input_shape(0))};
  void *outputs[] = {zeros(model_output_rank(0), model_output_shape(0))};
  for (int i = 0; i < atoi(argv[1]); ++i)
    if (model_run(net, inputs, outputs)) return fputs(model_last_error(), stderr), 2;
  model_destroy(net);
  return 0;
}
