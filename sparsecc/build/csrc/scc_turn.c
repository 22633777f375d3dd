/* What a run has of the pool's threads: as many as the process has for it. */

/* How long threads of the pool may spin: not at all where there is no CPU for each one, or nothing for them to do. */
static void scc_pool_spin(scc_pool *pool, uint32_t longest) {
  int spins = pool->claim.threads > 1 && pool->habits.use > 1 && scc_budget_used(&pool->claim) <= pool->machine.cpus;
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
  scc_habits_begin(&pool->habits, pool->wanted, scc_now_ns());
  int threads = scc_budget_take(&pool->claim, &pool->machine, pool->habits.use, !pool->automatic);
  scc_pool_prepare(pool, process, threads);
  if (pool->running < threads) scc_budget_cut(&pool->claim, pool->running); /* the system gives no more */
  scc_pool_spin(pool, SCC_SPIN_RUN_NS);
}

/* Workers that spin: they run, as far as the kernel knows. */
static int scc_pool_awake(const scc_pool *pool) {
  int awake = 0;
  for (int i = 1; i < pool->running; ++i)
    awake += !atomic_load_explicit(&pool->workers[i].ticket.asleep, memory_order_relaxed);
  return awake;
}

/* Looks who else needs the CPUs, if it is time. */
static void scc_pool_look(scc_pool *pool, uint64_t now) {
  scc_habits *habits = &pool->habits;
  if (!habits->cpus || now < habits->look_at || now - habits->began < SCC_SETTLED_NS) return;
  int ours = 1 + scc_pool_awake(pool), running = scc_running();
  if (running) scc_habits_see(habits, running, ours, now);
}

/* Before a step: how many threads it gets. */
static void scc_pool_keep(scc_pool *pool, const scc_step *step) {
  scc_claim *claim = &pool->claim;
  int before = claim->threads;
  int64_t worth = step->cycles / SCC_THREAD_CYCLES, pieces = step->cycles / SCC_PIECE_CYCLES;
  pool->most = !step->cycles || worth > SCC_MAX_THREADS ? SCC_MAX_THREADS : worth > 1 ? (int)worth : 1;
  pool->most_pieces = pieces > SCC_MOST_PIECES * SCC_MAX_THREADS ? SCC_MOST_PIECES * SCC_MAX_THREADS : (int)pieces;
  pool->shares = step->shares;
  if (pool->wanted == 1) return;
  pool->began = scc_now_ns();
  scc_pool_look(pool, pool->began);
  if (pool->habits.use < claim->threads) scc_budget_cut(claim, pool->habits.use);
  if (scc_budget_keep(claim) < before) scc_pool_spin(pool, SCC_SPIN_RUN_NS);
}

/* After a run: threads spin for a moment, for the next one may begin at once. */
static void scc_pool_end(scc_pool *pool) {
  uint64_t now = scc_now_ns();
  scc_pool_look(pool, now);
  if (pool->claim.threads < pool->habits.use) pool->habits.spoiled = 1; /* others have them */
  scc_habits_end(&pool->habits, now);
  scc_pool_spin(pool, SCC_SPIN_IDLE_NS);
  scc_budget_give(&pool->claim);
}
