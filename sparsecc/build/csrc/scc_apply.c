/* A program that runs a network once on inputs from a file, to see what it computes where no library can be loaded:
 *
 *     model_apply INPUTS OUTPUTS THREADS
 *
 * Both files have all arrays one after another. The generated main.c includes this file at its end. Working memory and
 * results are NaN before the run: what a kernel reads before it is written shows. Exit codes: 1, the network can't run
 * here; 2, a file. */
#include <stdio.h>
#include <stdlib.h>

/* Memory of all ports, full of NaN. */
static void **scc_arrays(const scc_port *ports, int count) {
  void **arrays = calloc((size_t)count + 1, sizeof *arrays);
  for (int i = 0; arrays && i < count; ++i) {
    size_t bytes = ports[i].bytes;
    arrays[i] = scc_aligned(SCC_ALIGNMENT, bytes + 1);
    if (!arrays[i]) return NULL;
    memset(arrays[i], 0xff, bytes);
  }
  return arrays;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  scc_instance *instance = NULL;
  void **inputs = scc_arrays(scc_this.inputs, scc_this.num_inputs), **outputs = scc_arrays(scc_this.outputs, scc_this.num_outputs);
  if (!inputs || !outputs) return fprintf(stderr, "no memory for inputs and outputs\n"), 1;
  if (scc_create(&scc_this, &instance) || scc_set_threads(&scc_this, instance, atoi(argv[3])) < 0)
    return fprintf(stderr, "%s\n", scc_last_error()), 1;
  FILE *file = fopen(argv[1], "rb");
  for (int i = 0; file && i < scc_this.num_inputs; ++i)
    if (fread(inputs[i], 1, scc_this.inputs[i].bytes, file) != scc_this.inputs[i].bytes) return 2;
  if (!file || fclose(file)) return 2;
  memset(instance->arena, 0xff, scc_this.arena_bytes);
  if (scc_run(&scc_this, instance, (const void *const *)inputs, outputs, NULL))
    return fprintf(stderr, "%s\n", scc_last_error()), 1;
  file = fopen(argv[2], "wb");
  for (int i = 0; file && i < scc_this.num_outputs; ++i)
    if (fwrite(outputs[i], 1, scc_this.outputs[i].bytes, file) != scc_this.outputs[i].bytes) return 2;
  return file && !fclose(file) ? 0 : 2;
}
