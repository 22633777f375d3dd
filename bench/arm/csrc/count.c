/* A plugin of QEMU that counts the instructions a program runs, and the fused multiply-adds of vectors among them. The
 * few declarations are those of QEMU's plugin API, version 1; Debian's package of the emulator comes without its
 * header. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SHOWN __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef struct {
  const char *target_name;
} qemu_info; /* how it begins */

SHOWN int qemu_plugin_version = 1;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
void qemu_plugin_outs(const char *);

static uint64_t instructions, fused;
static int is_64;

/* fmla and fmls of whole vectors of floats or of half precision, also with one lane; vfma and vfms of four floats */
static int is_fused(const struct qemu_plugin_insn *insn) {
  uint32_t code;
  if (qemu_plugin_insn_size(insn) != sizeof code) return 0;
  memcpy(&code, qemu_plugin_insn_data(insn), sizeof code);
  if (!is_64) return (code & 0xff900f50) == 0xf2000c50;
  if ((code & 0xff60fc00) == 0x4e400c00 || (code & 0xffc0b400) == 0x4f001000) return 1; /* eight halves */
  return (code & 0xff60fc00) == 0x4e20cc00 || (code & 0xffc0b400) == 0x4f801000;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
  size_t count = qemu_plugin_tb_n_insns(block), among = 0;
  (void)id;
  for (size_t i = 0; i < count; ++i) among += (size_t)is_fused(qemu_plugin_tb_get_insn(block, i));
  qemu_plugin_register_vcpu_tb_exec_inline(block, 0 /* add */, &instructions, count);
  qemu_plugin_register_vcpu_tb_exec_inline(block, 0 /* add */, &fused, among);
}

static void at_exit(qemu_plugin_id_t id, void *data) {
  char text[96];
  (void)id, (void)data;
  snprintf(text, sizeof text, "instructions %" PRIu64 "\nfused %" PRIu64 "\n", instructions, fused);
  qemu_plugin_outs(text);
}

SHOWN int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info *info, int argc, char **argv) {
  (void)argc, (void)argv;
  is_64 = !strcmp(info->target_name, "aarch64");
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, at_exit, NULL);
  return 0;
}
