/* Runs a compiled network from C: fills every input with a ramp, runs once, prints the first outputs.
 *
 *     sparsecc compile model.pt2 -o model.so          (or: make demo, which writes build/out/model.so)
 *     cc main.c -I. -L. -l:model.so -Wl,-rpath,'$ORIGIN' -o main && ./main
 *
 * -I and -L name the folder of model.h and model.so. With a static library: cc main.c -I. model.a -lm -lpthread
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

enum { SHOWN = 8 };

static void fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static size_t elements(int rank, const int64_t *shape) {
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= (size_t)shape[i];
    return count;
}

static float *new_array(size_t count) {
    float *values = malloc((count ? count : 1) * sizeof *values);
    if (!values)
        fail("malloc", "no memory");
    return values;
}

/* camera.c shows bytes and labels; this program knows float32 only. */
static void check_type(const char *name, const char *type) {
    if (strcmp(type, "float32"))
        fail(name, "not float32, which this example expects");
}

/* From -1 to 1. */
static void fill_with_ramp(float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        values[i] = count > 1 ? 2.0f * (float)i / (float)(count - 1) - 1.0f : 0.0f;
}

static void print_first(const char *name, const float *values, size_t count) {
    printf("%s (%zu values):", name, count);
    for (size_t i = 0; i < count && i < SHOWN; i++)
        printf(" %.6g", (double)values[i]);
    printf("%s\n", count > SHOWN ? " ..." : "");
}

int main(void) {
    model_t *net;
    if (model_check()) /* not needed: finds a damaged file */
        fail("model_check", model_last_error());
    if (model_create(&net))
        fail("model_create", model_last_error());
    printf("network for %s, compiled by sparsecc %s\n", model_target(), model_version());

    int num_inputs = model_num_inputs(), num_outputs = model_num_outputs();
    float **inputs = calloc((size_t)num_inputs, sizeof *inputs);
    float **outputs = calloc((size_t)num_outputs, sizeof *outputs);
    if (!inputs || !outputs)
        fail("calloc", "no memory");
    for (int i = 0; i < num_inputs; i++) {
        size_t count = elements(model_input_rank(i), model_input_shape(i));
        check_type(model_input_name(i), model_input_dtype(i));
        inputs[i] = new_array(count);
        fill_with_ramp(inputs[i], count);
    }
    for (int i = 0; i < num_outputs; i++) {
        check_type(model_output_name(i), model_output_dtype(i));
        outputs[i] = new_array(elements(model_output_rank(i), model_output_shape(i)));
    }

    if (model_run(net, (const void *const *)inputs, (void *const *)outputs))
        fail("model_run", model_last_error());

    for (int i = 0; i < num_outputs; i++)
        print_first(model_output_name(i), outputs[i], elements(model_output_rank(i), model_output_shape(i)));

    for (int i = 0; i < num_inputs; i++)
        free(inputs[i]);
    for (int i = 0; i < num_outputs; i++)
        free(outputs[i]);
    free(inputs);
    free(outputs);
    model_destroy(net);
    return 0;
}
