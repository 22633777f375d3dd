/* Nanoseconds for a cache line to travel from one core to another and back. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

typedef struct {
    _Alignas(128) _Atomic long ball; /* alone in its pair of lines: cores prefetch the neighbour */
    _Alignas(128) long trips;
    int cpu;
} table;

static int stay_on(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static void *answer(void *argument)
{
    table *t = argument;
    stay_on(t->cpu);
    for (long i = 0; i < t->trips; i++) {
        while (atomic_load_explicit(&t->ball, memory_order_acquire) != 2 * i + 1)
            ;
        atomic_store_explicit(&t->ball, 2 * i + 2, memory_order_release);
    }
    return 0;
}

/* The lowest of `batches` averages over `trips` round trips: a batch in which a thread lost its core shows that, not
   the distance. Negative when a thread can't be made or pinned. The caller's affinity is restored. */
double round_trip(int cpu, int other_cpu, long trips, int batches)
{
    cpu_set_t before;
    pthread_getaffinity_np(pthread_self(), sizeof before, &before);
    double best = -1;
    if (stay_on(cpu))
        return best;
    for (int batch = 0; batch < batches; batch++) {
        table t = {.ball = 0, .trips = trips + 100, .cpu = other_cpu};
        pthread_t partner;
        if (pthread_create(&partner, 0, answer, &t))
            break;
        struct timespec start, end;
        for (long i = 0; i < t.trips; i++) {
            if (i == 100) /* the partner is awake and on its core by now */
                clock_gettime(CLOCK_MONOTONIC, &start);
            atomic_store_explicit(&t.ball, 2 * i + 1, memory_order_release);
            while (atomic_load_explicit(&t.ball, memory_order_acquire) != 2 * i + 2)
                ;
        }
        clock_gettime(CLOCK_MONOTONIC, &end);
        pthread_join(partner, 0);
        double ns = ((double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec)) / (double)trips;
        if (best < 0 || ns < best)
            best = ns;
    }
    pthread_setaffinity_np(pthread_self(), sizeof before, &before);
    return best;
}
