/* What the generated main.c and the runtime's source files share.
 *
 * The runtime is one translation unit (scc_library.c), so everything here can be static: no symbol of it can meet
 * another library's. SCC_PREFIX is the prefix of every public function ("model_") and of the little that main.c and the
 * runtime have in common. All is compiled for the architecture's baseline: nothing in here may use an instruction that
 * the CPU check (scc_cpu.c) has not asked for yet. */
#ifndef SCC_RUNTIME_H
#define SCC_RUNTIME_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SCC_PASTE(a, b) a##b
#define SCC_GLUE(a, b) SCC_PASTE(a, b)
#define SCC_NAME(name) SCC_GLUE(SCC_PREFIX, name)
#define SCC_API __attribute__((visibility("default")))
/* For what runs once or so: small code. */
#define SCC_RARE __attribute__((cold))

/* Alignment of the arena, of every buffer in it and of every weight array. */
#define SCC_ALIGNMENT 64

/* Large memory is put on huge pages where the system has them: convolutions walk many planes at once. */
#define SCC_HUGE_PAGE ((size_t)2 << 20)

/* Return codes of the public functions (documented in the generated header). */
enum { SCC_OK = 0, SCC_BAD_ARGUMENT = 1, SCC_WRONG_CPU = 2, SCC_NO_MEMORY = 3, SCC_STEP_FAILED = 4, SCC_DAMAGED = 5 };

/* Where one run finds its data. */
typedef struct {
  unsigned char *arena;
  const unsigned char *weights;
  const void *const *inputs;
  void *const *outputs;
} scc_call;

typedef struct {
  const char *key;                        /* the layer or operator this step computes */
  int32_t (*run)(const scc_call *call);   /* 0 for success */
  size_t result, result_bytes;            /* its result's place in the arena, if nobody needs what was there; else 0, 0 */
  int shares;                             /* iterations of its loops that threads share out; 0 if not known */
  int64_t cycles;                         /* predicted, of one thread; 0 if not known */
} scc_step;

typedef struct {
  const char *name;
  const char *dtype;
  int rank;
  const int64_t *shape;
  size_t bytes, element; /* of all, and of one of them */
} scc_port;

typedef struct {
  const char *name, *version, *target, *description;
  const unsigned char *weights;
  size_t weight_bytes, arena_bytes, description_bytes;
  uint64_t weights_digest[2], description_digest[2]; /* what scc_check.c expects */
  int num_steps, num_inputs, num_outputs;
  const scc_step *steps;
  const scc_port *inputs, *outputs;
  const char *const *features; /* CPU features the kernels use; ends with NULL */
} scc_model;

/* The network, from main.c; of several shapes the first. */
#define scc_this SCC_NAME(network)
extern const scc_model scc_this __attribute__((visibility("hidden")));

/* Clears what a padded-plane buffer must read as zero and no kernel writes. All numbers count floats. */
static inline void scc_zero_gaps(void *buffer, size_t lead, size_t planes, size_t plane_stride, size_t rows,
                                 size_t row_stride, size_t row_used, size_t tail) {
  float *row = buffer;
  memset(row, 0, lead * sizeof(float));
  row += lead;
  for (size_t plane = 0; plane < planes; ++plane) {
    float *next_plane = row + plane_stride;
    for (size_t i = 0; i < rows; ++i, row += row_stride)
      for (size_t x = row_used; x < row_stride; ++x) row[x] = 0.0f; /* a few elements: a loop beats a call */
    memset(row, 0, (size_t)(next_plane - row) * sizeof(float));
    row = next_plane;
  }
  memset(row, 0, tail * sizeof(float));
}

/* The same for elements of any size, with bytes of any value: all numbers count bytes, but planes and rows. */
static inline void scc_fill_gaps(void *buffer, int byte, size_t lead, size_t planes, size_t plane_stride, size_t rows,
                                 size_t row_stride, size_t row_used, size_t tail) {
  unsigned char *row = buffer;
  memset(row, byte, lead);
  row += lead;
  for (size_t plane = 0; plane < planes; ++plane) {
    unsigned char *next_plane = row + plane_stride;
    for (size_t i = 0; i < rows; ++i, row += row_stride) memset(row + row_used, byte, row_stride - row_used);
    memset(row, byte, (size_t)(next_plane - row));
    row = next_plane;
  }
  memset(row, byte, tail);
}

#endif
