/* Does this CPU, and the operating system on it, have every feature the kernels were compiled for?
 *
 * Features go by LLVM's names. A name that is not in the table counts as missing: refusing a good CPU is a clear
 * error, accepting a bad one is a crash. */

#if defined(__x86_64__)
#include <cpuid.h>

enum { SCC_EAX, SCC_EBX, SCC_ECX, SCC_EDX };
/* Register state the operating system must save: bits of XCR0. */
enum { SCC_ANY = 0, SCC_YMM = 0x06, SCC_ZMM = 0xe6 };

typedef struct {
  char name[20];
  uint32_t leaf;
  uint8_t subleaf, reg, bit, state;
} scc_feature;

static const scc_feature scc_features[] = {
    {"64bit", 0x80000001, 0, SCC_EDX, 29, SCC_ANY},
    {"cmov", 1, 0, SCC_EDX, 15, SCC_ANY},
    {"cx8", 1, 0, SCC_EDX, 8, SCC_ANY},
    {"mmx", 1, 0, SCC_EDX, 23, SCC_ANY},
    {"fxsr", 1, 0, SCC_EDX, 24, SCC_ANY},
    {"sse", 1, 0, SCC_EDX, 25, SCC_ANY},
    {"sse2", 1, 0, SCC_EDX, 26, SCC_ANY},
    {"sse3", 1, 0, SCC_ECX, 0, SCC_ANY},
    {"pclmul", 1, 0, SCC_ECX, 1, SCC_ANY},
    {"ssse3", 1, 0, SCC_ECX, 9, SCC_ANY},
    {"fma", 1, 0, SCC_ECX, 12, SCC_YMM},
    {"cx16", 1, 0, SCC_ECX, 13, SCC_ANY},
    {"sse4.1", 1, 0, SCC_ECX, 19, SCC_ANY},
    {"sse4.2", 1, 0, SCC_ECX, 20, SCC_ANY},
    {"crc32", 1, 0, SCC_ECX, 20, SCC_ANY},
    {"movbe", 1, 0, SCC_ECX, 22, SCC_ANY},
    {"popcnt", 1, 0, SCC_ECX, 23, SCC_ANY},
    {"aes", 1, 0, SCC_ECX, 25, SCC_ANY},
    {"xsave", 1, 0, SCC_ECX, 26, SCC_ANY},
    {"avx", 1, 0, SCC_ECX, 28, SCC_YMM},
    {"f16c", 1, 0, SCC_ECX, 29, SCC_YMM},
    {"rdrnd", 1, 0, SCC_ECX, 30, SCC_ANY},
    {"sahf", 0x80000001, 0, SCC_ECX, 0, SCC_ANY},
    {"lzcnt", 0x80000001, 0, SCC_ECX, 5, SCC_ANY},
    {"sse4a", 0x80000001, 0, SCC_ECX, 6, SCC_ANY},
    {"prfchw", 0x80000001, 0, SCC_ECX, 8, SCC_ANY},
    {"fma4", 0x80000001, 0, SCC_ECX, 16, SCC_YMM},
    {"fsgsbase", 7, 0, SCC_EBX, 0, SCC_ANY},
    {"bmi", 7, 0, SCC_EBX, 3, SCC_ANY},
    {"avx2", 7, 0, SCC_EBX, 5, SCC_YMM},
    {"bmi2", 7, 0, SCC_EBX, 8, SCC_ANY},
    {"avx512f", 7, 0, SCC_EBX, 16, SCC_ZMM},
    {"avx512dq", 7, 0, SCC_EBX, 17, SCC_ZMM},
    {"rdseed", 7, 0, SCC_EBX, 18, SCC_ANY},
    {"adx", 7, 0, SCC_EBX, 19, SCC_ANY},
    {"avx512ifma", 7, 0, SCC_EBX, 21, SCC_ZMM},
    {"clflushopt", 7, 0, SCC_EBX, 23, SCC_ANY},
    {"clwb", 7, 0, SCC_EBX, 24, SCC_ANY},
    {"avx512cd", 7, 0, SCC_EBX, 28, SCC_ZMM},
    {"sha", 7, 0, SCC_EBX, 29, SCC_ANY},
    {"avx512bw", 7, 0, SCC_EBX, 30, SCC_ZMM},
    {"avx512vl", 7, 0, SCC_EBX, 31, SCC_ZMM},
    {"avx512vbmi", 7, 0, SCC_ECX, 1, SCC_ZMM},
    {"avx512vbmi2", 7, 0, SCC_ECX, 6, SCC_ZMM},
    {"gfni", 7, 0, SCC_ECX, 8, SCC_ANY},
    {"vaes", 7, 0, SCC_ECX, 9, SCC_YMM},
    {"vpclmulqdq", 7, 0, SCC_ECX, 10, SCC_YMM},
    {"avx512vnni", 7, 0, SCC_ECX, 11, SCC_ZMM},
    {"avx512bitalg", 7, 0, SCC_ECX, 12, SCC_ZMM},
    {"avx512vpopcntdq", 7, 0, SCC_ECX, 14, SCC_ZMM},
    {"rdpid", 7, 0, SCC_ECX, 22, SCC_ANY},
    {"avx512vp2intersect", 7, 0, SCC_EDX, 8, SCC_ZMM},
    {"avx512fp16", 7, 0, SCC_EDX, 23, SCC_ZMM},
    {"avxvnni", 7, 1, SCC_EAX, 4, SCC_YMM},
    {"avx512bf16", 7, 1, SCC_EAX, 5, SCC_ZMM},
    {"avxifma", 7, 1, SCC_EAX, 23, SCC_YMM},
    {"avxvnniint8", 7, 1, SCC_EDX, 4, SCC_YMM},
    {"xsaveopt", 0xd, 1, SCC_EAX, 0, SCC_ANY},
    {"xsavec", 0xd, 1, SCC_EAX, 1, SCC_ANY},
    {"xsaves", 0xd, 1, SCC_EAX, 3, SCC_ANY},
};

/* Register state that the operating system saves and restores for us (XCR0). */
static uint32_t scc_saved_state(void) {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27))) return 0; /* OSXSAVE: else XGETBV would trap */
  uint32_t low, high;
  __asm__ volatile(".byte 0x0f, 0x01, 0xd0" : "=a"(low), "=d"(high) : "c"(0)); /* xgetbv */
  return low;
}

SCC_RARE static int scc_cpu_has(const char *name) {
  for (size_t i = 0; i < sizeof scc_features / sizeof *scc_features; ++i) {
    const scc_feature *f = &scc_features[i];
    if (strcmp(f->name, name)) continue;
    uint32_t regs[4];
    if (!__get_cpuid_count(f->leaf, f->subleaf, &regs[0], &regs[1], &regs[2], &regs[3])) return 0;
    return (regs[f->reg] >> f->bit & 1) && (scc_saved_state() & f->state) == f->state;
  }
  return 0;
}

#else
#include <sys/auxv.h>

typedef struct {
  char name[20];
  int word; /* AT_HWCAP or AT_HWCAP2; 0 for what every CPU of the architecture has */
  int bit;
} scc_feature;

#if defined(__aarch64__)
static const scc_feature scc_features[] = {
    {"v8a", 0, 0},          {"fp-armv8", AT_HWCAP, 0}, {"neon", AT_HWCAP, 1},  {"aes", AT_HWCAP, 3},
    {"sha2", AT_HWCAP, 6},  {"crc", AT_HWCAP, 7},      {"lse", AT_HWCAP, 8},   {"fullfp16", AT_HWCAP, 10},
    {"rdm", AT_HWCAP, 12},  {"jsconv", AT_HWCAP, 13},  {"complxnum", AT_HWCAP, 14}, {"rcpc", AT_HWCAP, 15},
    {"sha3", AT_HWCAP, 17}, {"dotprod", AT_HWCAP, 20}, {"sve", AT_HWCAP, 22},  {"fp16fml", AT_HWCAP, 23},
    {"sve2", AT_HWCAP2, 1}, {"i8mm", AT_HWCAP2, 13},   {"bf16", AT_HWCAP2, 14},
};
#elif defined(__arm__)
static const scc_feature scc_features[] = {
    {"vfp2", AT_HWCAP, 6},   {"neon", AT_HWCAP, 12},      {"vfp3", AT_HWCAP, 13},  {"vfp3d16", AT_HWCAP, 14},
    {"vfp4", AT_HWCAP, 16},  {"hwdiv-arm", AT_HWCAP, 17}, {"hwdiv", AT_HWCAP, 18}, {"d32", AT_HWCAP, 19},
};
#else
#error "sparsecc's runtime knows x86-64, aarch64 and armv7 only"
#endif

SCC_RARE static int scc_cpu_has(const char *name) {
  for (size_t i = 0; i < sizeof scc_features / sizeof *scc_features; ++i) {
    const scc_feature *f = &scc_features[i];
    if (!strcmp(f->name, name)) return !f->word || (getauxval((unsigned long)f->word) >> f->bit & 1);
  }
  return 0;
}
#endif

/* SCC_OK, or an error that lists every missing feature. */
SCC_RARE static int scc_check_cpu(const scc_model *model) {
  char missing[256] = "";
  for (const char *const *name = model->features; *name; ++name) {
    if (scc_cpu_has(*name)) continue;
    size_t used = strlen(missing);
    snprintf(missing + used, sizeof missing - used, "%s%s", used ? ", " : "", *name);
  }
  if (!*missing) return SCC_OK;
  return scc_fail(SCC_WRONG_CPU,
                  "%s was compiled for target %s and needs CPU features that this machine lacks: %s; "
                  "compile it for this machine or for an older target",
                  model->name, model->target, missing);
}
