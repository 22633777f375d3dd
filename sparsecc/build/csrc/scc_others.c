/* Who else runs: the kernel counts threads that run or want to. */
#include <fcntl.h>

/* Threads that run now in the whole system, this one included; 0 if the system does not say. */
SCC_RARE static int scc_running(void) {
  char text[64];
  int file = open(SCC_ROOT "/proc/loadavg", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t bytes = read(file, text, sizeof text - 1);
  close(file);
  if (bytes <= 0) return 0;
  text[bytes] = 0;
  const char *at = text; /* "0.20 0.18 0.12 1/80 11206": three averages, running, all */
  for (int i = 0; i < 3 && at; ++i) at = strchr(at, ' '), at = at ? at + 1 : at;
  return at ? (int)strtol(at, NULL, 10) : 0;
}

/* CPUs on which others are counted: all that are there, if this thread may use each of them; else 0, as who is counted
 * may be on one that this thread may not use. */
SCC_RARE static int scc_watched_cpus(void) {
  scc_cpus set;
  int allowed = 0;
  scc_allowed(&set);
  for (int cpu = 0; cpu < SCC_MAX_CPUS; ++cpu) allowed += scc_cpus_has(&set, cpu);
  return allowed == sysconf(_SC_NPROCESSORS_ONLN) ? allowed : 0;
}
