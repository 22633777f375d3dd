/* How fast cores are next to each other, 1024 for the fastest.
 *
 * Linux says so where they differ (cpu_capacity), on x86 only lately and only without two threads on a core. Else: x86
 * has two kinds of cores where there are two lists of them, and any other slow core shows by its highest frequency. */

#ifndef SCC_CPU_FOLDER /* a test has another one */
#define SCC_CPU_FOLDER SCC_ROOT "/sys/devices/system/cpu"
#endif

#define SCC_CPU_PATH (sizeof SCC_CPU_FOLDER + 60)
#define SCC_FASTEST 1024

typedef struct {
  int cpu, capacity;
  int sibling; /* how many CPUs of the same core come before it: 0 for each core's first */
} scc_core;

/* The path of what the kernel says of a core. */
SCC_RARE static const char *scc_cpu_file(char *path, int cpu, const char *name) {
  snprintf(path, SCC_CPU_PATH, SCC_CPU_FOLDER "/cpu%d/%s", cpu, name);
  return path;
}

static long scc_cpu_number(int cpu, const char *name, long otherwise) {
  char path[SCC_CPU_PATH];
  long second, number = scc_read_numbers(scc_cpu_file(path, cpu, name), &second);
  return number > 0 ? number : otherwise;
}

/* What the kernel says of a core's speed; it says nothing where all are alike. */
static int scc_capacity(int cpu) { return (int)scc_cpu_number(cpu, "cpu_capacity", SCC_FASTEST); }

/* A core's highest frequency in kHz, 0 if nobody knows. */
static long scc_frequency(int cpu) { return scc_cpu_number(cpu, "cpufreq/cpuinfo_max_freq", 0); }

/* Part of the fastest core's speed. A small core's multiply-add units are half as wide, 128 bits for 256; where nobody
 * knows frequencies it has three quarters of the others'. Other cores whose frequencies differ by a fifth at most are
 * alike: makers let their best cores run a little faster. */
static int scc_speed(long frequency, long highest, int is_small) {
  if (!frequency) return is_small ? SCC_FASTEST * 3 / 8 : SCC_FASTEST;
  if (is_small) return (int)((int64_t)frequency * SCC_FASTEST / highest / 2);
  return 5 * (int64_t)frequency >= 4 * (int64_t)highest ? SCC_FASTEST : (int)((int64_t)frequency * SCC_FASTEST / highest);
}

/* Fills in the cores' capacities. */
SCC_RARE static void scc_rate(scc_core *cores, int count) {
  int alike = 1;
  long highest = 0;
  for (int i = 0; i < count; ++i) {
    cores[i].capacity = scc_capacity(cores[i].cpu);
    alike &= cores[i].capacity == cores[0].capacity;
  }
  if (!alike) return;
  scc_cpus small = {{0}};
  scc_read_cpus(SCC_ROOT "/sys/devices/cpu_atom/cpus", &small);
  scc_read_cpus(SCC_ROOT "/sys/devices/cpu_lowpower/cpus", &small);
  for (int i = 0; i < count; ++i) {
    long frequency = scc_frequency(cores[i].cpu);
    if (frequency > highest) highest = frequency;
  }
  for (int i = 0; i < count; ++i)
    cores[i].capacity = scc_speed(scc_frequency(cores[i].cpu), highest, scc_cpus_has(&small, cores[i].cpu));
}
