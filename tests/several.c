/* Calls every function that knows of shapes; with an argument, four threads run one instance at a time with all. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "several.h"

#define CHECK(holds) if (!(holds)) return fprintf(stderr, "line %d: %s\n", __LINE__, several_last_error()), 1

enum { WIDE = 4, MOST = 64 };

static int right(const float *x, const float *y, int first, int count, int batch) {
  for (int i = first * WIDE; i < (first + count) * WIDE; ++i)
    if (y[i] != (x[i] * 10 + (float)batch) * 10 + (float)batch) return 0;
  return 1;
}

static several_t *shared;

static void *caller(void *data) {
  float x[MOST * WIDE], y[MOST * WIDE];
  const void *inputs[] = {x};
  void *outputs[] = {y};
  for (int i = 0; i < MOST * WIDE; ++i) x[i] = (float)(i % 7);
  for (int i = 0; i < 300; ++i) {
    int batch = 1 + (i * 5 + *(int *)data) % 11, size = batch > 3 ? 4 : batch > 1 ? 2 : 1;
    if (several_run_batch(shared, 0, batch, inputs, outputs) || !right(x, y, 0, size, size)) return data;
  }
  return NULL;
}

static int run_at_a_time(void) {
  pthread_t threads[4];
  int numbers[4], failed = 0;
  for (int i = 0; i < 4; ++i) numbers[i] = i;
  for (int i = 0; i < 4; ++i) pthread_create(&threads[i], NULL, caller, &numbers[i]);
  for (int i = 0; i < 4; ++i) {
    void *result;
    pthread_join(threads[i], &result);
    failed |= result != NULL;
  }
  return failed;
}

int main(int argc, char **argv) {
  (void)argv;
  several_t *net;
  CHECK(!several_check() && !several_create(&net) && several_set_threads(net, 2) > 0);
  shared = net;
  if (argc > 1) return run_at_a_time();
  float *x = calloc(MOST * WIDE, sizeof *x), *y = calloc(MOST * WIDE, sizeof *y);
  for (int i = 0; i < MOST * WIDE; ++i) x[i] = (float)i;
  const void *inputs[] = {x};
  void *outputs[] = {y};
  double seconds[8];

  CHECK(several_num_shapes() == 3 && SEVERAL_NUM_SHAPES == 3 && SEVERAL_SHAPE_2_INPUT_0_COUNT == 16);
  const int64_t two[] = {2, WIDE}, three[] = {3, WIDE};
  const int64_t *sizes[] = {two}, *others[] = {three};
  CHECK(several_find_shape(sizes) == 1 && several_find_shape(others) == -1 && several_find_shape(NULL) == -1);
  CHECK(several_shape_input(2, 0)[0] == 4 && several_shape_output(1, 0)[1] == WIDE);
  CHECK(!several_shape_input(3, 0) && !several_shape_input(0, 1) && !several_shape_output(-1, 0));
  CHECK(several_shape_num_steps(1) == 2 && several_shape_num_steps(7) == -1);
  CHECK(!strcmp(several_shape_step_key(2, 1), "last_4") && !several_shape_step_key(2, 2) && !several_shape_step_key(3, 0));

  CHECK(!several_run(net, inputs, outputs) && right(x, y, 0, 1, 1));
  CHECK(!several_run_shape(net, 2, inputs, outputs) && right(x, y, 0, 4, 4));
  CHECK(!several_profile_shape(net, 1, inputs, outputs, seconds) && right(x, y, 0, 2, 2));
  CHECK(several_run_shape(net, 3, inputs, outputs) == 1 && strstr(several_last_error(), "there is no shape 3"));
  CHECK(several_profile_shape(net, 0, inputs, outputs, NULL) == 1);
  CHECK(several_profile_shape(net, -1, inputs, outputs, seconds) == 1);

  CHECK(several_num_pieces(0, 7) == 3 && several_num_pieces(2, 1) == 1 && several_num_pieces(1, 64) == 16);
  CHECK(several_num_pieces(0, 0) == 0 && several_num_pieces(0, -3) == 0 && several_num_pieces(5, 1) == 0);
  CHECK(!several_run_batch(net, 1, 7, inputs, outputs));
  CHECK(right(x, y, 0, 4, 4) && right(x, y, 4, 2, 2) && right(x, y, 6, 1, 1) && y[7 * WIDE] == 0);
  CHECK(several_run_batch(net, 0, 0, inputs, outputs) == 1 && strstr(several_last_error(), "a batch of 0"));
  CHECK(several_run_batch(NULL, 0, 2, inputs, outputs) == 1 && several_run_batch(net, 9, 2, inputs, outputs) == 1);
  CHECK(several_run_batch(net, 0, 2, NULL, outputs) == 1 && several_run_batch(net, 0, 2, inputs, NULL) == 1);
  const void *nothing[] = {NULL};
  void *late[] = {x + 8 * WIDE};
  CHECK(several_run_batch(net, 0, 2, nothing, outputs) == 1 && strstr(several_last_error(), "input 0 (x) is NULL"));
  CHECK(several_run_batch(net, 0, 9, inputs, late) == 1 && strstr(several_last_error(), "output 0 (y)"));
  CHECK(!several_run_batch(net, 0, 8, inputs, late));
  several_destroy(net);
  free(x);
  free(y);
  return 0;
}
