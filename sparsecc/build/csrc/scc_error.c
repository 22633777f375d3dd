/* The text of the last error, one per thread.
 *
 * pthread keys instead of thread-local variables: no limit on how many libraries a process may load one after the
 * other (static TLS has one), and no dependency on the dynamic loader's own symbols. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SCC_ERROR_BYTES 512

static pthread_key_t scc_error_key; /* char[SCC_ERROR_BYTES], made at a thread's first error */
static pthread_key_t scc_self_key;  /* scc_worker of the thread during a run, else NULL (scc_pool.c) */
static int scc_keys_made;

__attribute__((constructor)) static void scc_make_keys(void) {
  if (pthread_key_create(&scc_error_key, free)) return;
  if (pthread_key_create(&scc_self_key, NULL)) {
    pthread_key_delete(scc_error_key);
    return;
  }
  scc_keys_made = 1;
}

__attribute__((destructor)) static void scc_delete_keys(void) {
  if (!scc_keys_made) return;
  free(pthread_getspecific(scc_error_key));
  pthread_key_delete(scc_error_key);
  pthread_key_delete(scc_self_key);
}

static const char *scc_last_error(void) {
  const char *text = scc_keys_made ? pthread_getspecific(scc_error_key) : NULL;
  return text ? text : "";
}

__attribute__((format(printf, 2, 3))) static int scc_fail(int code, const char *format, ...) {
  if (!scc_keys_made) return code;
  char *text = pthread_getspecific(scc_error_key);
  if (!text) {
    text = malloc(SCC_ERROR_BYTES);
    if (!text || pthread_setspecific(scc_error_key, text)) {
      free(text);
      return code;
    }
  }
  va_list args;
  va_start(args, format);
  vsnprintf(text, SCC_ERROR_BYTES, format, args);
  va_end(args);
  return code;
}
