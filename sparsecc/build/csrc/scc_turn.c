/* What a run has of the pool's threads: as many as the process has for it. */

/* How long threads of the pool may spin: not at all where there is no CPU for each one, or nothing for them to do. */
static void scc_pool_spin(scc_pool *pool, uint32_t longest) {
  int spins = pool->claim.threads > 1 && scc_budget_used(&pool->claim) <= pool->machine.cpus;
  atomic_store_explicit(&pool->spin, spins ? longest : 0, memory_order_relaxed);
}

/* Gives the pool `threads` threads, at most SCC_MAX_THREADS, or 0 for as many as are best. */
SCC_RARE static int scc_pool_set(scc_pool *pool, int threads) {
  scc_machine machine;
  scc_count(&machine);
  int wanted = !threads ? machine.threads : threads < SCC_MAX_THREADS ? threads : SCC_MAX_THREADS;
  int code = wanted == pool->wanted ? SCC_OK : scc_pool_resize(pool, wanted);
  if (code) return code;
  pool->machine = machine;
  pool->automatic = !threads;
  return SCC_OK;
}

/* Before a run. Where the caller's CPUs are others than before, threads start anew: they inherit these. */
static void scc_pool_begin(scc_pool *pool, uint32_t process) {
  if (scc_recount(&pool->machine) && pool->automatic) scc_pool_resize(pool, pool->machine.threads);
  int threads = scc_budget_take(&pool->claim, &pool->machine, pool->wanted, !pool->automatic);
  scc_pool_prepare(pool, process, threads);
  if (pool->running < threads) scc_budget_cut(&pool->claim, pool->running); /* the system gives no more */
  scc_pool_spin(pool, SCC_SPIN_RUN_NS);
}

/* Between two steps. */
static void scc_pool_keep(scc_pool *pool) {
  int before = pool->claim.threads;
  if (scc_budget_keep(&pool->claim) < before) scc_pool_spin(pool, SCC_SPIN_RUN_NS);
}

/* After a run: threads spin for a moment, for the next one may begin at once. */
static void scc_pool_end(scc_pool *pool) {
  scc_pool_spin(pool, SCC_SPIN_IDLE_NS);
  scc_budget_give(&pool->claim);
}
