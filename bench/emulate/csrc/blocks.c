/* A plugin of QEMU: which blocks of code run between two marks, how often, and which of their accesses miss caches.
 *
 * The mark is the system call getppid: from the first on everything counts, to the second. Arguments, in this order:
 * out=FILE, starts=FILE (64-bit addresses of functions), then a level of caches each, cache=SETS:WAYS, then streams=N.
 * A block belongs to the function of these that was begun last when it first ran. A miss is foreseen where its line follows the
 * lines of a sequence that the prefetcher has found, which is after two of them; then it may have been asked for in
 * time. Lines that code asks for itself (prfm) are not seen. The few declarations are those of QEMU's plugin API,
 * version 1; Debian's package of the emulator comes without its header. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

SHOWN int qemu_plugin_version = 1;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, unsigned, int64_t, uint64_t,
                                          uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, void (*)(unsigned, qemu_plugin_meminfo_t, uint64_t,
                                      void *), int, int, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);

enum { LEVELS = 3, STREAMS = 64, LINE_BITS = 6, NO_REGISTERS = 0, READ_AND_WRITE = 3, GETPPID = 173, FOUND = 2 };

typedef struct block {
  uint64_t address, owner, runs, accesses, foreseen[LEVELS], unforeseen[LEVELS];
  uint32_t size;
  int is_start;
  struct block *next;
  unsigned char code[];
} block;

typedef struct {
  uint64_t sets, ways, *lines, *used;
} cache;

typedef struct {
  uint64_t last, used;
  int64_t step;
  int found;
} stream;

static block *blocks;
static cache caches[LEVELS];
static stream streams[STREAMS];
static int levels, stream_count, marks;
static uint64_t now, owner, *starts;
static size_t start_count;
static char out[4096], from[4096];

static int holds(cache *c, uint64_t line) {
  uint64_t *lines = c->lines + line % c->sets * c->ways, *used = c->used + line % c->sets * c->ways, oldest = 0;
  for (uint64_t i = 0; i < c->ways; ++i) {
    if (lines[i] == line + 1) return used[i] = now, 1;
    if (used[i] < used[oldest]) oldest = i;
  }
  lines[oldest] = line + 1, used[oldest] = now;
  return 0;
}

/* Whether a line was to be expected; notes it. A sequence goes on in either direction, and may leave out a line. */
static int expected(uint64_t line) {
  int oldest = 0;
  for (int i = 0; i < stream_count; ++i) {
    stream *s = &streams[i];
    int64_t step = (int64_t)(line - s->last);
    if (step && step >= -2 && step <= 2 && (s->found == 0 || (step > 0) == (s->step > 0))) {
      s->last = line, s->step = step, s->used = now;
      return s->found++ >= FOUND - 1;
    }
    if (s->used < streams[oldest].used) oldest = i;
  }
  if (stream_count) streams[oldest] = (stream){line, now, 0, 0};
  return 0;
}

static void accessed(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data) {
  block *b = data;
  (void)cpu, (void)info;
  uint64_t line = address >> LINE_BITS;
  int was = -1;
  ++now;
  if (marks == 1) ++b->accesses;
  for (int level = 0; level < levels && !holds(&caches[level], line); ++level) {
    if (was < 0) was = expected(line);
    if (marks == 1) ++*(was ? &b->foreseen[level] : &b->unforeseen[level]);
  }
}

static void ran(unsigned cpu, void *data) {
  block *b = data;
  (void)cpu;
  if (marks != 1) return;
  if (b->is_start) owner = b->address;
  if (!b->runs++) b->owner = owner;
}

/* The same code may be translated again: its counts are added up by who reads them. */
static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *code) {
  size_t count = qemu_plugin_tb_n_insns(code), size = 0;
  (void)id;
  for (size_t i = 0; i < count; ++i) size += qemu_plugin_insn_size(qemu_plugin_tb_get_insn(code, i));
  block *b = calloc(1, sizeof *b + size);
  if (!b) abort();
  b->address = qemu_plugin_tb_vaddr(code), b->next = blocks, blocks = b;
  for (size_t i = 0; i < start_count; ++i) b->is_start |= starts[i] == b->address;
  for (size_t i = 0; i < count; ++i) {
    struct qemu_plugin_insn *one = qemu_plugin_tb_get_insn(code, i);
    memcpy(b->code + b->size, qemu_plugin_insn_data(one), qemu_plugin_insn_size(one));
    b->size += (uint32_t)qemu_plugin_insn_size(one);
    qemu_plugin_register_vcpu_mem_cb(one, accessed, NO_REGISTERS, READ_AND_WRITE, b);
  }
  qemu_plugin_register_vcpu_tb_exec_cb(code, ran, NO_REGISTERS, b);
}

static void called(qemu_plugin_id_t id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                   uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
  (void)id, (void)cpu, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
  if (number == GETPPID) ++marks;
}

static void at_exit(qemu_plugin_id_t id, void *data) {
  FILE *file = fopen(out, "wb");
  (void)id, (void)data;
  if (!file) return;
  for (block *b = blocks; b; b = b->next) {
    if (!b->runs) continue;
    fwrite(&b->address, sizeof(uint64_t), 4 + 2 * LEVELS, file);
    fwrite(&b->size, sizeof b->size, 1, file);
    fwrite(b->code, 1, b->size, file);
  }
  fwrite(&(uint64_t){(uint64_t)marks}, sizeof(uint64_t), 1, file);
  fclose(file);
}

static void read_starts(void) {
  FILE *file = fopen(from, "rb");
  if (!file) abort();
  fseek(file, 0, SEEK_END);
  start_count = (size_t)ftell(file) / sizeof *starts;
  rewind(file);
  starts = malloc(start_count * sizeof *starts + 1);
  if (!starts || fread(starts, sizeof *starts, start_count, file) != start_count) abort();
  fclose(file);
}

SHOWN int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
  (void)info;
  for (int i = 0; i < argc; ++i) {
    cache *c = &caches[levels];
    if (sscanf(argv[i], "out=%4095s", out) == 1 || sscanf(argv[i], "streams=%d", &stream_count) == 1) continue;
    if (sscanf(argv[i], "starts=%4095s", from) == 1) continue;
    if (levels == LEVELS || sscanf(argv[i], "cache=%" SCNu64 ":%" SCNu64, &c->sets, &c->ways) != 2) return 1;
    c->lines = calloc(c->sets * c->ways, sizeof(uint64_t)), c->used = calloc(c->sets * c->ways, sizeof(uint64_t));
    if (!c->lines || !c->used) return 1;
    ++levels;
  }
  if (stream_count > STREAMS) return 1;
  if (*from) read_starts();
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_vcpu_syscall_cb(id, called);
  qemu_plugin_register_atexit_cb(id, at_exit, NULL);
  return 0;
}
