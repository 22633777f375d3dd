/* Finds shapes in a scene: a compiled detector, and beside it what turns its cells into boxes.
 *
 *     python examples/train_detector.py --out out        writes out/1x16/detector.so, its header and out/scene.f32
 *     cc detect.c -Iout/1x16 -Lout/1x16 -l:detector.so -Wl,-rpath,out/1x16 -lm -o detect && ./detect out/scene.f32
 *
 * The scene is 3x128x128 floats from 0 to 1, as they lie in memory. Prints a line for each shape: its class, its score,
 * and left, top, right, bottom in pixels.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "detector.h"

enum { CHANNELS = 3, SIZE = 128, FINE = 8, COARSE = 16, CLASSES = 3, SIDES = 4, MOST = 512 };
enum { FINE_CELLS = SIZE / FINE, COARSE_CELLS = SIZE / COARSE, NUMBERS = 1 + SIDES + CLASSES };
static const float LEAST_SCORE = 0.4f, MOST_OVERLAP = 0.5f;
static const char *const NAMES[CLASSES] = {"disc", "square", "triangle"};

typedef struct {
    float score;
    int label;
    float box[SIDES]; /* left, top, right, bottom */
} found_t;

static void fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

/* Appends the cells of an output whose score is high enough; a number of all cells lies together, then the next. */
static int decode(const float *cells, int side, int stride, found_t *found, int count) {
    for (int i = 0; i < side * side && count < MOST; i++) {
        float score = 1.0f / (1.0f + expf(-cells[i]));
        if (score < LEAST_SCORE)
            continue;
        const float *number = cells + i;
        float x = ((float)(i % side) + 0.5f) * (float)stride, y = ((float)(i / side) + 0.5f) * (float)stride;
        float distance[SIDES];
        for (int k = 0; k < SIDES; k++)
            distance[k] = expf(number[(1 + k) * side * side]) * (float)stride;
        int label = 0;
        for (int k = 1; k < CLASSES; k++)
            if (number[(1 + SIDES + k) * side * side] > number[(1 + SIDES + label) * side * side])
                label = k;
        found[count++] = (found_t){score, label, {x - distance[0], y - distance[1], x + distance[2], y + distance[3]}};
    }
    return count;
}

static float area(const float *box) { return (box[2] - box[0]) * (box[3] - box[1]); }

static float overlap(const float *a, const float *b) {
    float width = fminf(a[2], b[2]) - fmaxf(a[0], b[0]), height = fminf(a[3], b[3]) - fmaxf(a[1], b[1]);
    if (width <= 0 || height <= 0)
        return 0;
    return width * height / (area(a) + area(b) - width * height);
}

static int by_score(const void *a, const void *b) {
    float x = ((const found_t *)a)->score, y = ((const found_t *)b)->score;
    return (x < y) - (x > y);
}

/* Keeps the best ones, without those that overlap a better one of their class; returns how many stay. */
static int suppress(found_t *found, int count) {
    int kept = 0;
    qsort(found, (size_t)count, sizeof *found, by_score);
    for (int i = 0; i < count; i++) {
        int is_new = 1;
        for (int k = 0; k < kept && is_new; k++)
            is_new = found[k].label != found[i].label || overlap(found[k].box, found[i].box) <= MOST_OVERLAP;
        if (is_new)
            found[kept++] = found[i];
    }
    return kept;
}

static void read_scene(const char *path, float *image, size_t count) {
    FILE *file = fopen(path, "rb");
    if (!file)
        fail(path, "can't open");
    if (fread(image, sizeof *image, count, file) != count)
        fail(path, "too short: expected 3x128x128 floats");
    fclose(file);
}

int main(int argc, char **argv) {
    static float image[CHANNELS * SIZE * SIZE];
    static float fine[NUMBERS * FINE_CELLS * FINE_CELLS], coarse[NUMBERS * COARSE_CELLS * COARSE_CELLS];
    static found_t found[MOST];
    if (argc != 2)
        fail("usage", "detect SCENE");
    read_scene(argv[1], image, CHANNELS * SIZE * SIZE);

    detector_t *net;
    if (detector_create(&net))
        fail("create", detector_last_error());
    const void *inputs[] = {image};
    void *outputs[] = {fine, coarse};
    if (detector_run(net, inputs, outputs))
        fail("run", detector_last_error());
    detector_destroy(net);

    int count = decode(fine, FINE_CELLS, FINE, found, 0);
    count = suppress(found, decode(coarse, COARSE_CELLS, COARSE, found, count));
    for (int i = 0; i < count; i++)
        printf("%s %.3f %.1f %.1f %.1f %.1f\n", NAMES[found[i].label], (double)found[i].score, (double)found[i].box[0],
               (double)found[i].box[1], (double)found[i].box[2], (double)found[i].box[3]);
    return 0;
}
