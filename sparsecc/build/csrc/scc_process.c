/* Which process this is, told apart from those that it was forked from.
 *
 * Process ids alone don't tell: the first process of a new pid namespace may have its parent's. So there is a page of
 * memory that the kernel clears in a child (MADV_WIPEONFORK, Linux 4.14), whoever calls clone(). The id is kept in it
 * too, for older kernels, and for emulators that only say that they clear it. A handler of fork() would do both, but it
 * outlives a library that is unloaded where the linker knows the C library's old pthread_atfork only: the next child
 * then dies. */
#include <sys/mman.h>
#include <unistd.h>

#ifndef SCC_WIPE_ON_FORK /* MADV_WIPEONFORK, which headers may be too old for; a test has another one */
#define SCC_WIPE_ON_FORK 18
#endif

/* The largest page of a system. */
#define SCC_LARGEST_PAGE ((size_t)1 << 16)

/* Where threads are counted (scc_budget.c); less than a page. */
#define SCC_COUNTS 251
typedef struct scc_board {
  _Atomic(struct scc_board *) moved; /* to another board, or NULL */
  _Atomic uint64_t counts[SCC_COUNTS];
} scc_board;

/* What belongs to one process alone; zeros after fork(). */
typedef struct {
  _Atomic uint64_t process; /* its number, and above it its id; 0 until somebody asks */
  scc_board board;          /* of this library alone, if libraries find none that they share */
} scc_own;

/* Room for one whole page, wherever the library lies. Part of the library, so that it is there for threads that still
 * run when the process exits, and gone with the library. */
static _Alignas(SCC_ALIGNMENT) unsigned char scc_own_room[2 * SCC_LARGEST_PAGE];
static scc_own *scc_own_page = (scc_own *)(void *)scc_own_room;
static _Atomic uint32_t scc_processes; /* the largest number that this process or a forebear has taken */

__attribute__((constructor)) static void scc_own_init(void) {
  uintptr_t bytes = (uintptr_t)sysconf(_SC_PAGESIZE), room = (uintptr_t)scc_own_room;
  if (bytes <= SCC_LARGEST_PAGE) scc_own_page = (scc_own *)((room + bytes - 1) / bytes * bytes);
  if (bytes <= SCC_LARGEST_PAGE) madvise(scc_own_page, bytes, SCC_WIPE_ON_FORK);
}

/* This process's number: never 0, and none that it had before a fork(). Two children may have the same. */
static uint32_t scc_process(void) {
  uint64_t id = (uint64_t)getpid() << 32, found = atomic_load(&scc_own_page->process);
  if (found && (found & ~(uint64_t)UINT32_MAX) == id) return (uint32_t)found;
  /* Counted before it is used: a child that is forked between the two takes the next number. */
  uint64_t mine = id | (atomic_fetch_add(&scc_processes, 1) + 1);
  return (uint32_t)(atomic_compare_exchange_strong(&scc_own_page->process, &found, mine) ? mine : found);
}
