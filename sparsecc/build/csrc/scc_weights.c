/* The weights on huge pages, shared by all instances.
 *
 * Weights are part of the file and so lie on small pages, and a run reads all of them once: what a page walk costs
 * shows. Where the system has transparent huge pages, large weights are copied to anonymous memory with the first
 * instance and freed with the last; the file's own pages are given back. Measured on a virtual machine: 4 MB read from
 * the last-level cache at 61 instead of 33 GB/s, from memory at 31 instead of 12 GB/s.
 *
 * A lean instance does without: it reads the file's pages and gives them back after every step. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define SCC_COPIED ((size_t)4 << 20) /* bytes that are copied before the file's pages are given back */

static struct {
  _Atomic uint32_t lock;
  int users;
  _Atomic(unsigned char *) copy; /* NULL: the file's own are used; also in a child that is forked halfway */
  void *mapping;
  size_t mapped;
} scc_weights;

SCC_RARE static int scc_has_huge_pages(void) {
  char text[64] = "";
  int file = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t n = read(file, text, sizeof text - 1);
  close(file);
  return n > 0 && !strstr(text, "[never]");
}

/* Gives a part of the file's pages back: clean ones, which are read again if needed. Pages that other data shares stay. */
static void scc_weights_forget(const unsigned char *own, size_t bytes) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t first = ((uintptr_t)own + page - 1) / page * page, last = ((uintptr_t)own + bytes) / page * page;
  if (last > first) madvise((void *)first, last - first, MADV_DONTNEED);
}

/* A read-only copy on huge pages; without one, the file's own pages do. */
SCC_RARE static void scc_weights_copy(const unsigned char *own, size_t bytes) {
  size_t size = (bytes + SCC_HUGE_PAGE - 1) / SCC_HUGE_PAGE * SCC_HUGE_PAGE, mapped = size + SCC_HUGE_PAGE;
  void *mapping = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return;
  unsigned char *copy = (unsigned char *)(((uintptr_t)mapping + SCC_HUGE_PAGE - 1) / SCC_HUGE_PAGE * SCC_HUGE_PAGE);
  if (madvise(copy, size, MADV_HUGEPAGE)) {
    munmap(mapping, mapped);
    return;
  }
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = ((uintptr_t)own + page - 1) / page * page;
  for (size_t at = 0; at < bytes; at += SCC_COPIED) { /* never all of both in memory */
    size_t count = bytes - at < SCC_COPIED ? bytes - at : SCC_COPIED;
    memcpy(copy + at, own + at, count);
    uintptr_t last = ((uintptr_t)own + at + count) / page * page;
    if (last > first) madvise((void *)first, last - first, MADV_DONTNEED); /* clean pages of a file: read again if needed */
    if (last > first) first = last;
  }
  mprotect(copy, size, PROT_READ);
  scc_weights.mapping = mapping;
  scc_weights.mapped = mapped;
  atomic_store(&scc_weights.copy, copy);
}

/* For a new instance: where it finds the weights. */
SCC_RARE static const unsigned char *scc_weights_use(const unsigned char *own, size_t bytes) {
  scc_lock(&scc_weights.lock, scc_process());
  if (!scc_weights.users++ && bytes >= SCC_HUGE_PAGE && scc_has_huge_pages()) scc_weights_copy(own, bytes);
  const unsigned char *copy = atomic_load(&scc_weights.copy);
  scc_unlock(&scc_weights.lock);
  return copy ? copy : own;
}

/* An instance that used them is gone. */
SCC_RARE static void scc_weights_leave(void) {
  scc_lock(&scc_weights.lock, scc_process());
  if (!--scc_weights.users && atomic_exchange(&scc_weights.copy, NULL))
    munmap(scc_weights.mapping, scc_weights.mapped);
  scc_unlock(&scc_weights.lock);
}
