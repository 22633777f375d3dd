/* The two limits of a core: multiply-adds from registers, and a triad over arrays of a chosen size. */
#include <time.h>

#define CHAINS 12 /* independent sums: more than latency x FMAs a cycle (at most 4 x 2 to 5 x 2), fits 16 registers */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static volatile float sink;

/* Seconds for `steps` x CHAINS vector multiply-adds; the values tend to 1, so none is denormal or infinite. */
#define FMA_LOOP(BYTES)                                                                                               \
    typedef float vector##BYTES __attribute__((vector_size(BYTES)));                                                  \
    double fma_##BYTES(long steps)                                                                                    \
    {                                                                                                                 \
        vector##BYTES sums[CHAINS], scale, term;                                                                      \
        volatile float half = 0.5f;                                                                                   \
        for (int lane = 0; lane < BYTES / 4; lane++)                                                                  \
            scale[lane] = term[lane] = half;                                                                          \
        for (int i = 0; i < CHAINS; i++)                                                                              \
            sums[i] = scale * (float)i;                                                                               \
        double start = seconds();                                                                                     \
        for (long step = 0; step < steps; step++) {                                                                   \
            _Pragma("clang loop unroll(full)") for (int i = 0; i < CHAINS; i++)                                       \
                sums[i] = __builtin_elementwise_fma(sums[i], scale, term);                                            \
            __asm__ volatile("" ::: "memory");                                                                        \
        }                                                                                                             \
        double taken = seconds() - start;                                                                             \
        for (int i = 1; i < CHAINS; i++)                                                                              \
            sums[0] += sums[i];                                                                                       \
        sink = sums[0][0];                                                                                            \
        return taken;                                                                                                 \
    }

FMA_LOOP(16)
FMA_LOOP(32)
FMA_LOOP(64)

int fma_chains(void)
{
    return CHAINS;
}

/* Seconds for `passes` times a[i] = b[i] + scale * c[i]. */
double triad(float *restrict a, const float *restrict b, const float *restrict c, long length, long passes)
{
    volatile float half = 0.5f;
    float scale = half;
    double start = seconds();
    for (long pass = 0; pass < passes; pass++) {
        for (long i = 0; i < length; i++)
            a[i] = b[i] + scale * c[i];
        __asm__ volatile("" ::: "memory"); /* every pass must happen */
    }
    return seconds() - start;
}
