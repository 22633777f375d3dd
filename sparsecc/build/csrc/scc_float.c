/* Floating-point mode during a run: round to nearest, no traps, denormals read and written as zero.
 *
 * A denormal costs a hundred cycles and adds nothing to a network. The mode is set whole, not bit by bit, so that
 * every thread computes the same whatever the caller's mode was; the caller's comes back afterwards. */

#if defined(__x86_64__)
typedef uint32_t scc_float_mode;
#define SCC_FLOAT_RUN 0x9fc0u /* MXCSR: flush to zero | all traps masked | denormals are zero */
static scc_float_mode scc_float_get(void) { return __builtin_ia32_stmxcsr(); }
static void scc_float_set(scc_float_mode mode) { __builtin_ia32_ldmxcsr(mode); }

#elif defined(__aarch64__)
typedef uint64_t scc_float_mode;
#define SCC_FLOAT_RUN ((uint64_t)1 << 24) /* FPCR.FZ */
static scc_float_mode scc_float_get(void) {
  uint64_t mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
}
static void scc_float_set(scc_float_mode mode) { __asm__ volatile("msr fpcr, %0" ::"r"(mode)); }

#else
typedef uint32_t scc_float_mode;
#define SCC_FLOAT_RUN (1u << 24) /* FPSCR.FZ; NEON flushes whatever this says */
static scc_float_mode scc_float_get(void) {
  uint32_t mode;
  __asm__ volatile("vmrs %0, fpscr" : "=r"(mode));
  return mode;
}
static void scc_float_set(scc_float_mode mode) { __asm__ volatile("vmsr fpscr, %0" ::"r"(mode)); }
#endif
