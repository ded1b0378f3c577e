/* fa_match: the best references for one measured spectrum, by masked cosine over a window of columns.
 *
 * Owns: the scan over the library matrix and the list of the best hits. Does not own: preprocessing,
 * axis hypotheses (the caller gives one query row per hypothesis), files or memory. No allocation, no
 * global state, no locale, no I/O; safe to call from several threads on the same library.
 */
#ifndef FA_MATCH_H
#define FA_MATCH_H

#include <stddef.h>
#include <stdint.h>

#define FA_OK 0
#define FA_INVALID (-22) /* an argument is out of its range; nothing was written */

/* One reference that ranks: `variant` is the query row (axis hypothesis) that fits it best. `score` is
 * the cosine, -1..1; the ranking used `score - penalty[variant]`. */
typedef struct {
    int32_t row;
    int32_t variant;
    double score;
} fa_hit;

/* Up to `k` best rows of `matrix`, best first; equal ranking values are ordered by row index.
 *
 * matrix    row r, column c at matrix[r * stride + c], c < columns <= stride; matrix_length floats.
 * valid     2 * rows numbers: row r holds data in columns [valid[2r], valid[2r+1]).
 * queries   variant v, column c at queries[v * query_stride + c]; queries_length floats.
 * penalty   one number per variant, taken off the cosine for the ranking, or NULL.
 * lo, hi    window of columns; row r is compared over the part of [lo, hi) where it holds data.
 * min_columns  a row with fewer common columns does not rank.
 * hits      room for hits_capacity >= k results; *count gets the number written.
 *
 * A row (or row and variant) with a NaN, an infinity or no energy in the window does not rank, so
 * *count may be < k. Sums are kept in double over FA_LANES fixed lanes: the result does not depend on
 * compiler, vector width or machine.
 * Returns FA_OK, or FA_INVALID with *count = 0 (count itself NULL: nothing is written).
 */
int fa_top_k(const float *matrix, size_t matrix_length, size_t rows, size_t columns, size_t stride,
             const int32_t *valid, size_t valid_length,
             const float *queries, size_t queries_length, size_t variants, size_t query_stride,
             const double *penalty, size_t penalty_length,
             size_t lo, size_t hi, size_t min_columns,
             size_t k, fa_hit *hits, size_t hits_capacity, size_t *count);

#define FA_LANES 8

#endif
