/* Which process this is, told apart from those that it was forked from.
 *
 * Process ids don't tell: the first process of a new pid namespace may have its parent's. So there is a page of memory
 * that a child finds cleared: the kernel does it (MADV_WIPEONFORK, Linux 4.14), whoever calls clone(), and a handler of
 * fork() does it where a kernel is older or an emulator only says that it did. The C library forgets the handler when
 * the library is unloaded. */
#include <sys/mman.h>
#include <unistd.h>

#ifndef SCC_WIPE_ON_FORK /* MADV_WIPEONFORK, which headers may be too old for; a test has another one */
#define SCC_WIPE_ON_FORK 18
#endif

/* The largest page of a system. */
#define SCC_LARGEST_PAGE ((size_t)1 << 16)

/* What belongs to one process alone; zeros after fork(). */
typedef struct {
  _Atomic uint32_t process;       /* its number, 0 until somebody asks */
  _Atomic int32_t active_threads; /* of all instances of this library that are in a run (scc_instance.c) */
} scc_own;

/* Room for one whole page, wherever the library lies. Part of the library, so that it is there for threads that still
 * run when the process exits, and gone with the library. */
static _Alignas(SCC_ALIGNMENT) unsigned char scc_own_room[2 * SCC_LARGEST_PAGE];
static scc_own *scc_own_page = (scc_own *)(void *)scc_own_room;
static _Atomic uint32_t scc_processes; /* the largest number that this process or a forebear has taken */

static void scc_forked(void) { memset(scc_own_page, 0, sizeof *scc_own_page); }

__attribute__((constructor)) static void scc_own_init(void) {
  uintptr_t bytes = (uintptr_t)sysconf(_SC_PAGESIZE), room = (uintptr_t)scc_own_room;
  if (bytes <= SCC_LARGEST_PAGE) scc_own_page = (scc_own *)((room + bytes - 1) / bytes * bytes);
  if (bytes <= SCC_LARGEST_PAGE) madvise(scc_own_page, bytes, SCC_WIPE_ON_FORK);
  pthread_atfork(NULL, NULL, scc_forked);
}

/* This process's number: never 0, and none that it had before a fork(). Two children may have the same. */
static uint32_t scc_process(void) {
  uint32_t found = atomic_load_explicit(&scc_own_page->process, memory_order_relaxed);
  if (found) return found;
  /* Counted before it is used: a child that is forked between the two takes the next number. */
  uint32_t mine = atomic_fetch_add(&scc_processes, 1) + 1;
  return atomic_compare_exchange_strong(&scc_own_page->process, &found, mine) ? mine : found;
}
