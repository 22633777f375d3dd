/* The text of the last error, one per thread.
 *
 * By a pthread key, made at the library's first error: a process has 1024 of them for everything it loads. When none is
 * left one text serves all threads, each of which sees its own errors only. No thread-local variables: they would need
 * a symbol of the dynamic loader. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SCC_ERROR_BYTES 512

enum { SCC_KEY_WANTED, SCC_KEY_MADE, SCC_KEY_NONE_LEFT };

static pthread_key_t scc_error_key; /* char[SCC_ERROR_BYTES], made at a thread's first error */
static _Atomic int scc_error_state = SCC_KEY_WANTED;
static _Atomic uint32_t scc_error_lock;
static char scc_error_shared[SCC_ERROR_BYTES];
static _Atomic uintptr_t scc_error_owner; /* whose error the shared text is */

__attribute__((destructor)) static void scc_error_end(void) {
  if (atomic_load(&scc_error_state) != SCC_KEY_MADE) return;
  free(pthread_getspecific(scc_error_key));
  pthread_key_delete(scc_error_key);
}

SCC_RARE static int scc_error_has_key(void) {
  if (atomic_load(&scc_error_state) == SCC_KEY_WANTED) {
    scc_lock(&scc_error_lock, scc_process());
    if (atomic_load(&scc_error_state) == SCC_KEY_WANTED)
      atomic_store(&scc_error_state, pthread_key_create(&scc_error_key, free) ? SCC_KEY_NONE_LEFT : SCC_KEY_MADE);
    scc_unlock(&scc_error_lock);
  }
  return atomic_load(&scc_error_state) == SCC_KEY_MADE;
}

static const char *scc_last_error(void) {
  const char *text = atomic_load(&scc_error_state) == SCC_KEY_MADE ? pthread_getspecific(scc_error_key) : NULL;
  if (text) return text;
  return atomic_load(&scc_error_owner) == (uintptr_t)pthread_self() ? scc_error_shared : "";
}

/* Room for this thread's text: its own, or the one for all. */
SCC_RARE static char *scc_error_room(void) {
  char *text = scc_error_has_key() ? pthread_getspecific(scc_error_key) : NULL;
  if (text || atomic_load(&scc_error_state) != SCC_KEY_MADE) return text ? text : scc_error_shared;
  text = malloc(SCC_ERROR_BYTES);
  if (text && !pthread_setspecific(scc_error_key, text)) return text;
  free(text);
  return scc_error_shared;
}

SCC_RARE __attribute__((format(printf, 2, 3))) static int scc_fail(int code, const char *format, ...) {
  char *text = scc_error_room();
  va_list args;
  va_start(args, format);
  if (text == scc_error_shared) {
    scc_lock(&scc_error_lock, scc_process());
    atomic_store(&scc_error_owner, 0);
  }
  vsnprintf(text, SCC_ERROR_BYTES, format, args);
  if (text == scc_error_shared) {
    atomic_store(&scc_error_owner, (uintptr_t)pthread_self());
    scc_unlock(&scc_error_lock);
  }
  va_end(args);
  return code;
}
