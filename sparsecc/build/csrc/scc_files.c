/* The kernel's text files. What can't be read is empty: nothing here is worth a failure. */
#include <stdio.h>
#include <stdlib.h>

#ifndef SCC_ROOT /* a test has another one */
#define SCC_ROOT ""
#endif

/* Longest path, and longest line that is of interest; of others this much is read, and then the rest. */
#define SCC_LINE 2048

/* CPUs that the largest kernel can have. */
#define SCC_MAX_CPUS 8192
#define SCC_CPU_WORDS (SCC_MAX_CPUS / SCC_CPU_BITS)
#define SCC_CPU_BITS (8 * (int)sizeof(unsigned long))

/* A set of CPUs as the kernel writes it. */
typedef struct {
  unsigned long words[SCC_CPU_WORDS];
} scc_cpus;

static inline int scc_cpus_has(const scc_cpus *set, int cpu) {
  return set->words[cpu / SCC_CPU_BITS] >> cpu % SCC_CPU_BITS & 1;
}
static inline void scc_cpus_add(scc_cpus *set, int cpu) { set->words[cpu / SCC_CPU_BITS] |= 1ul << cpu % SCC_CPU_BITS; }

/* The number that a file begins with, and the one behind it, 0 where there is none. */
SCC_RARE static long scc_read_numbers(const char *path, long *second) {
  long first = 0;
  *second = 0;
  FILE *file = fopen(path, "re");
  if (!file) return 0;
  if (fscanf(file, "%ld %ld", &first, second) < 1) first = 0;
  fclose(file);
  return first;
}

/* Adds the CPUs of a list, "0-3,8", to a set; 0 if there is none. */
SCC_RARE static int scc_read_cpus(const char *path, scc_cpus *set) {
  FILE *file = fopen(path, "re");
  int found = 0, first, last;
  while (file && fscanf(file, "%d", &first) == 1) {
    int mark = getc(file);
    last = first;
    if (mark == '-' && fscanf(file, "%d", &last) == 1) mark = getc(file);
    for (int cpu = first; cpu >= 0 && cpu <= last && cpu < SCC_MAX_CPUS; ++cpu) scc_cpus_add(set, cpu), found = 1;
    if (mark != ',') break;
  }
  if (file) fclose(file);
  return found;
}
