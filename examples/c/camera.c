/* Says what is on each frame of a camera: reads raw RGB frames of the network's size, prints a label for each.
 *
 *     python examples/camera.py out/camera.so         (writes the library and its header)
 *     cc camera.c -I out -L out -l:camera.so -Wl,-rpath,out -o camera
 *     ffmpeg -i /dev/video0 -vf scale=64:64 -pix_fmt rgb24 -f rawvideo - | ./camera
 *
 * A frame is bytes, row by row, red, green and blue of a pixel side by side: what cameras and decoders give. The network
 * takes them as they are (layout="nhwc"); scale and mean are in it. Its outputs are a label (int64) and a score. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "camera.h"

static const char *const classes[] = {CAMERA_META_CLASSES};

static void check(int code) {
    if (code) {
        fprintf(stderr, "%s\n", camera_last_error());
        exit(1);
    }
}

int main(void) {
    camera_t *net;
    check(camera_check());
    check(camera_create(&net));
    static _Alignas(64) uint8_t frame[CAMERA_INPUT_0_BYTES];
    int64_t label = 0;
    float score = 0;
    const void *inputs[CAMERA_NUM_INPUTS] = {frame};
    void *outputs[CAMERA_NUM_OUTPUTS];
    outputs[CAMERA_OUTPUT_LABEL] = &label;
    outputs[CAMERA_OUTPUT_SCORE] = &score;
    for (int i = 0; fread(frame, 1, sizeof frame, stdin) == sizeof frame; i++) {
        check(camera_run(net, inputs, outputs));
        printf("frame %d: %" PRId64 " %s %.4f\n", i, label, classes[label], (double)score);
    }
    camera_destroy(net);
    return 0;
}
