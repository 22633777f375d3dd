/* Scratch memory of one worker, for kernels' temporaries that are too large for the stack.
 *
 * A stack of blocks in one piece of memory that grows to what the kernels need and is kept from run to run. What does
 * not fit (the first time) comes from malloc. Blocks may be freed in any order; memory is reused from the top down. */
#include <stdlib.h>

#define SCC_NO_BLOCK SIZE_MAX

typedef struct {
  unsigned char *base;
  size_t size, used;
  size_t top;  /* where the last block starts, or SCC_NO_BLOCK */
  size_t wish; /* size that would have been enough so far */
} scc_scratch;

/* Sits before every block, SCC_ALIGNMENT bytes apart. */
typedef struct {
  size_t below; /* where the block under this one starts */
  int is_free;
} scc_block;

static void *scc_aligned(size_t alignment, size_t bytes) {
  void *memory = NULL;
  return posix_memalign(&memory, alignment, bytes) ? NULL : memory;
}

static void scc_scratch_clear(scc_scratch *scratch) {
  scratch->used = 0;
  scratch->top = SCC_NO_BLOCK;
}

/* A child that is forked meanwhile goes on with what it finds: never memory that is free already. */
SCC_RARE static void scc_scratch_grow(scc_scratch *scratch) {
  unsigned char *old = scratch->base;
  scratch->size = 0;
  scratch->base = NULL;
  atomic_thread_fence(memory_order_release);
  free(old);
  scratch->base = scc_aligned(SCC_ALIGNMENT, scratch->wish);
  atomic_thread_fence(memory_order_release);
  scratch->size = scratch->base ? scratch->wish : 0;
}

static void *scc_scratch_alloc(scc_scratch *scratch, size_t bytes) {
  size_t size = (bytes + SCC_ALIGNMENT - 1) / SCC_ALIGNMENT * SCC_ALIGNMENT;
  size_t end = scratch->used + SCC_ALIGNMENT + size;
  if (end > scratch->wish) scratch->wish = end;
  if (!scratch->used && scratch->wish > scratch->size) scc_scratch_grow(scratch);
  if (end > scratch->size) return scc_aligned(SCC_ALIGNMENT, size);
  scc_block *block = (scc_block *)(scratch->base + scratch->used);
  block->below = scratch->top;
  block->is_free = 0;
  scratch->top = scratch->used;
  scratch->used = end;
  return (unsigned char *)block + SCC_ALIGNMENT;
}

static void scc_scratch_free(scc_scratch *scratch, void *memory) {
  uintptr_t at = (uintptr_t)memory, base = (uintptr_t)scratch->base;
  if (at < base || at - base >= scratch->size) {
    free(memory);
    return;
  }
  ((scc_block *)((unsigned char *)memory - SCC_ALIGNMENT))->is_free = 1;
  while (scratch->top != SCC_NO_BLOCK && ((scc_block *)(scratch->base + scratch->top))->is_free) {
    scratch->used = scratch->top;
    scratch->top = ((scc_block *)(scratch->base + scratch->top))->below;
  }
}
