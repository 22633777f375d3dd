/* Are weights and description in memory what the compiler wrote? The digest of sparsecc/runtime/digest.py: sums of the
 * rows (4096 bytes) and columns (words of 64 bits) of a table, mixed with their numbers. It finds accidents: flipped
 * bits, pages that are zero or in each other's place. 64-bit additions are all it needs, vectors of them where the
 * baseline has any. */

#define SCC_ROW_BYTES 4096
#define SCC_ROW_WORDS (SCC_ROW_BYTES / 8)

/* A place for the digest of the whole file; build/seal.py writes it after linking. Volatile, for that the compiler must
 * not know; linkers drop what nothing refers to. */
__attribute__((section(SCC_SEAL_SECTION), used, aligned(8)))
static const volatile char scc_seal[SCC_SEAL_BYTES] = SCC_SEAL_MARK;

static uint64_t scc_mixed(uint64_t sum, uint64_t number, uint64_t step) {
  uint64_t x = sum ^ number * step;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  return x ^ x >> 31;
}

/* Adds a row's words to the columns; their sum. */
static uint64_t scc_row_sum(const unsigned char *row, uint64_t *columns) {
  uint64_t sums[8] = {0};
  for (size_t i = 0; i < SCC_ROW_WORDS; i += 8) {
    uint64_t words[8];
    memcpy(words, row + 8 * i, sizeof words);
    for (size_t j = 0; j < 8; ++j) sums[j] += words[j];
    for (size_t j = 0; j < 8; ++j) columns[i + j] += words[j];
  }
  return sums[0] + sums[1] + sums[2] + sums[3] + sums[4] + sums[5] + sums[6] + sums[7];
}

static void scc_digest(const unsigned char *data, size_t bytes, uint64_t out[2]) {
  uint64_t columns[SCC_ROW_WORDS] = {0};
  uint64_t row = 0;
  out[0] = bytes;
  for (size_t at = 0; at < bytes; at += SCC_ROW_BYTES) {
    unsigned char last[SCC_ROW_BYTES];
    const unsigned char *place = data + at;
    if (bytes - at < SCC_ROW_BYTES) {
      memset(last, 0, sizeof last);
      memcpy(last, place, bytes - at);
      place = last;
    }
    out[0] += scc_mixed(scc_row_sum(place, columns), ++row, 0x9E3779B97F4A7C15u);
  }
  out[1] = 0;
  for (size_t i = 0; i < SCC_ROW_WORDS; ++i) out[1] += scc_mixed(columns[i], i + 1, 0xD1B54A32D192ED03u);
}

static int scc_check_part(const scc_model *model, const char *what, const void *data, size_t bytes,
                          const uint64_t expected[2]) {
  uint64_t found[2];
  scc_digest(data, bytes, found);
  if (found[0] == expected[0] && found[1] == expected[1]) return SCC_OK;
  return scc_fail(SCC_DAMAGED, "%s: its %s are damaged: copy or compile the file again", model->name, what);
}

static int scc_check(const scc_model *model) {
  if (scc_seal[0] != SCC_SEAL_MARK[0])
    return scc_fail(SCC_DAMAGED, "%s: its seal is damaged: copy or compile the file again", model->name);
  int code = scc_check_part(model, "weights", model->weights, model->weight_bytes, model->weights_digest);
  if (code) return code;
  return scc_check_part(model, "facts", model->description, model->description_bytes, model->description_digest);
}
