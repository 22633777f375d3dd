/* How many threads a library takes by itself here, and what that follows from: the runtime's own count. */
#define _GNU_SOURCE
#include <stdio.h>
#include "scc_runtime.h"
#include "scc_wait.c"
#include "scc_files.c"
#include "scc_speeds.c"
#include "scc_cores.c"
#include "scc_quota.c"
#include "scc_machine.c"

int main(void) {
  scc_machine machine;
  scc_core cores[SCC_MAX_THREADS];
  scc_count(&machine);
  int count = scc_list_cores(cores), whole = 0, best = scc_best_threads(cores, count);
  while (whole < count && !cores[whole].sibling) ++whole;
  printf("{\"threads\": %d, \"wish\": %d, \"cpus\": %d, ", machine.threads, scc_wish(), count);
  printf("\"cores\": %d, \"best\": %d, \"quota\": %d}\n", whole, best, machine.cpus);
  return 0;
}
