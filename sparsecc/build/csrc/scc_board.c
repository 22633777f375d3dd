/* A page that all libraries of a process share, to count threads on it.
 *
 * Libraries know nothing of each other: their symbols are hidden, and they may be of different versions. So the page is
 * found by its name in /proc/self/maps, where a mapping of a file in memory shows that: the first of two pages is such a
 * mapping and only says where the second is. That one is anonymous memory, which the kernel clears in a child. Nobody
 * gives it back, for nobody knows whether another library has it. Where there is no such thing (no /proc, a sandbox) a
 * library has a page for its own instances.
 *
 * Two libraries that look at the same time may both make a page. Who made one looks again, and all but the first then
 * lead there: at worst a few runs are counted apart. */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The number is the layout's: of pages with another one nothing is known. */
#define SCC_BOARD_NAME "sparsecc-threads-1"

/* memfd_create's flags, which headers may be too old for: closed by exec; never executable. */
enum { SCC_MEMFD_CLOEXEC = 1, SCC_MEMFD_NOEXEC = 8 };

static _Atomic(scc_board *) scc_board_known;

/* The board on the second page of a line's mapping; NULL if that is another mapping. */
static scc_board *scc_board_of(const char *line, uintptr_t page) {
  const char *name = strstr(line, "/memfd:" SCC_BOARD_NAME);
  char *end;
  if (!name || name[sizeof "/memfd:" SCC_BOARD_NAME - 1] != ' ') return NULL; /* "name (deleted)" */
  uintptr_t from = (uintptr_t)strtoull(line, &end, 16), to = *end == '-' ? (uintptr_t)strtoull(end + 1, NULL, 16) : 0;
  return to - from == page ? (scc_board *)to : NULL;
}

/* The process's board, NULL if there is none; any others are made to lead there. */
SCC_RARE static scc_board *scc_board_find(uintptr_t page) {
  scc_board *first = NULL, *found, *nobody;
  char line[SCC_LINE];
  FILE *file = fopen("/proc/self/maps", "re"); /* by ascending addresses: the first one is the same for everybody */
  while (file && fgets(line, sizeof line, file)) {
    if (!(found = scc_board_of(line, page))) continue;
    nobody = NULL;
    if (first) atomic_compare_exchange_strong(&found->moved, &nobody, first);
    if (!first) first = found;
  }
  if (file) fclose(file);
  return first;
}

/* Two new pages, the first one with the name; 0 if the system has no such thing. */
SCC_RARE static int scc_board_make(size_t page) {
  long file = syscall(SYS_memfd_create, SCC_BOARD_NAME, SCC_MEMFD_CLOEXEC | SCC_MEMFD_NOEXEC);
  if (file < 0) file = syscall(SYS_memfd_create, SCC_BOARD_NAME, SCC_MEMFD_CLOEXEC); /* before Linux 6.3 */
  if (file < 0) return 0;
  void *pages = ftruncate((int)file, (off_t)page) ? MAP_FAILED
                                                  : mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int made = 0;
  if (pages != MAP_FAILED) {
    madvise((unsigned char *)pages + page, page, SCC_WIPE_ON_FORK);
    made = mmap(pages, page, PROT_NONE, MAP_PRIVATE | MAP_FIXED, (int)file, 0) != MAP_FAILED;
    if (!made) munmap(pages, 2 * page);
  }
  close((int)file);
  return made;
}

/* The board to count on now; looked for once by every library. */
static scc_board *scc_board_now(void) {
  scc_board *board = atomic_load(&scc_board_known);
  if (!board) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    board = scc_board_find(page);
    if (!board && scc_board_make(page)) board = scc_board_find(page);
    if (!board) board = &scc_own_page->board;
    atomic_store(&scc_board_known, board);
  }
  for (scc_board *next; (next = atomic_load_explicit(&board->moved, memory_order_acquire));) board = next;
  return board;
}
