/* fa_search: the k best references, exactly, by reading few bytes: a cascade of bounds over the planes of
 * a library (fa_planes.c), then the exact scores of what is left.
 *
 * Owns: planes, bounds and the search. Does not own: files, memory, preprocessing, axis hypotheses. No
 * allocation, no global state but the chosen path, no I/O; safe to call from several threads on the same
 * library with a scratch area each. The answer is that of the plain scan (fa_top_k), bit for bit: same
 * rows, order and scores. docs/explanation/exact-search.md has the proof.
 */
#ifndef FA_SEARCH_H
#define FA_SEARCH_H

#include "fa_match.h"

#define FA_LEVEL 64         /* rotated coordinates bounded at once */
#define FA_LEVELS 2
#define FA_PREFIX 128       /* FA_LEVELS * FA_LEVEL: the rotated prefix */
#define FA_GROUP 64         /* rows are padded to a multiple of this in the planes */
#define FA_ENERGY_STEP 16   /* columns between two sums of squares */
#define FA_BOUNDS 9         /* numbers a row: see fa_index.bounds */
#define FA_BIASES 3         /* the same: see fa_index.bias */
#define FA_NUMBERS 4        /* see fa_index.numbers */
#define FA_MAX_COLUMNS 65536 /* integer sums of more could overflow */

/* A library ready for search: its rows and their planes. Lengths are in items; padded rows P = rows up to
 * a multiple of FA_GROUP, padded columns C = columns up to a multiple of 64.
 *
 * matrix, valid as for fa_top_k; what lies outside a row's valid columns counts as 0
 * basis    FA_PREFIX x C: nearly orthonormal rows V, the strongest first
 * prefix   P x FA_PREFIX: the codes of V x, x the row divided by its norm, for each level of FA_LEVEL
 *          coordinates as [P/16][FA_LEVEL/4][16][4]
 * full     rows x C: the codes of x
 * bias     FA_BIASES x P: -128 times the sum of a row's codes, of each level, then full
 * bounds   FA_BOUNDS x P: scale, error and rest of each level (rest: what this and the levels before do
 *          not see); full scale and error; norm of the row, rounded up (minus infinity for rows without
 *          valid columns and padding: they never rank)
 * energy   (C / FA_ENERGY_STEP + 1) x P: share of the row's sum of squares before that column
 * numbers  FA_NUMBERS: defect of the basis ||V V' - 1||, error of projecting a row, 0, 0
 */
typedef struct {
    const float *matrix;
    size_t matrix_length;
    size_t rows;
    size_t columns;
    size_t stride;
    const int32_t *valid;
    size_t valid_length;
    float *basis;
    size_t basis_length;
    int8_t *prefix;
    size_t prefix_length;
    int8_t *full;
    size_t full_length;
    int32_t *bias;
    size_t bias_length;
    float *bounds;
    size_t bounds_length;
    float *energy;
    size_t energy_length;
    double *numbers;
    size_t numbers_length;
} fa_index;

/* What a search did: rows (and questions) bounded by all their codes, rows scored exactly. `plain` is 1 if the
 * planes could not serve the question and the plain scan answered. */
typedef struct {
    size_t int8_rows;
    size_t exact_rows;
    int32_t plain;
} fa_work;

/* Bytes of scratch fa_planes_build needs; 0 if the index is too large or its sizes are wrong. */
size_t fa_planes_scratch(size_t rows, size_t columns);

/* Fill the planes of `index` (their memory is the caller's) from matrix and valid. The same input gives
 * the same bytes on every machine: fixed order of sums, no fused arithmetic, no library function but
 * sqrt. A row with a NaN or an infinity, or without energy, gets bounds that never prune it.
 * Returns FA_OK or FA_INVALID (lengths do not fit; nothing was written). */
int fa_planes_build(const fa_index *index, void *scratch, size_t scratch_bytes);

/* Bytes of scratch fa_search over `variants` query rows needs; 1 serves fa_search_products for any number.
 * 0 if they are too many or the index does not fit together. */
size_t fa_search_scratch(const fa_index *index, size_t variants);

/* As fa_top_k (same arguments, same answer) over the planes of `index`. work may be NULL. */
int fa_search(const fa_index *index,
              const float *queries, size_t queries_length, size_t variants, size_t query_stride,
              const double *penalty, size_t penalty_length,
              size_t lo, size_t hi, size_t min_columns,
              size_t k, fa_hit *hits, size_t hits_capacity, size_t *count,
              void *scratch, size_t scratch_bytes, fa_work *work);

/* For each of `queries` query rows the k rows with the largest inner product over the row's valid columns
 * (sums as in fa_top_k; equal ones by row index), best first; hits[q * k + i], counts[q] of them. `variant`
 * is the query's number. A row whose product is a NaN or an infinity does not rank.
 * Returns FA_OK, or FA_INVALID with nothing written. */
int fa_search_products(const fa_index *index,
                       const float *queries, size_t queries_length, size_t count, size_t query_stride,
                       size_t k, fa_hit *hits, size_t hits_capacity, size_t *counts, size_t counts_length,
                       void *scratch, size_t scratch_bytes, fa_work *work);

/* Choose how sums are made: "portable", "avx2", "avx512vnni", "neon", "sdot", or "" for the best this
 * machine has. Results never depend on it. Returns FA_OK, or FA_INVALID if the machine lacks it. Not to be
 * called while searches run. */
int fa_use_path(const char *name);
const char *fa_path_name(void);

#endif
