/* The runtime: all of it, each file once. It comes after a network's tables in the same translation unit, or is one of
 * its own beside them (build/link.py): then all it knows of the network is scc_this, and the compiler's result is the
 * same for every network of one name. */
#define _GNU_SOURCE 1
#include "scc_runtime.h"

#include "scc_process.c"
#include "scc_wait.c"
#include "scc_error.c"
#include "scc_seat.c"
#include "scc_cpu.c"
#include "scc_float.c"
#include "scc_scratch.c"
#include "scc_weights.c"
#include "scc_check.c"
#include "scc_files.c"
#include "scc_speeds.c"
#include "scc_cores.c"
#include "scc_quota.c"
#include "scc_machine.c"
#include "scc_board.c"
#include "scc_budget.c"
#include "scc_others.c"
#include "scc_learn.c"
#include "scc_region.c"
#include "scc_pool.c"
#include "scc_turn.c"
#include "scc_distance.c"
#include "scc_instance.c"
#include "scc_api.c"
#ifdef SCC_SHAPES
#include "scc_shapes.c"
#endif
