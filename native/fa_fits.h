/* fa_fits: non-negative sums of a few references that explain a measurement, through the Gram matrix.
 *
 * With the references as columns x_i, gram[i][j] = x_i . x_j and along[i] = x_i . y, the least-squares
 * weights of a set S solve gram_S w = along_S, and w . along_S is the sum of squares of y that it
 * explains. Owns the Gram matrix, the exhaustive search for pairs and triples, the search for larger
 * sets and small non-negative least squares. Does not own: which references, windows or weights, and
 * what a sum means. No allocation (the caller gives the workspace), no global state, no I/O.
 *
 * A set counts only if all its weights are > 0 (otherwise a smaller one explains as much), if all its
 * groups differ, and if the determinant of its unit columns is at least 1e-6 (columns nearer to
 * dependent have weights made of noise). A column with a diagonal or an `along` that is not finite, or
 * a diagonal <= 0, is in no set. Only the upper triangle and the diagonal of `gram` are read.
 */
#ifndef FA_FITS_H
#define FA_FITS_H

#include <stddef.h>
#include <stdint.h>

#include "fa_match.h"
#include "fa_paths.h"

#define FA_SUBSET_MAX 5

/* A set of references: ids ascending, their weights, and the sum of squares they explain. */
typedef struct {
    double explained;
    double weights[FA_SUBSET_MAX];
    int32_t ids[FA_SUBSET_MAX];
    int32_t size;
} fa_subset;

/* gram[i * count + j] = sum over columns c in [lo, hi) of weight[c] * row_i[c] * row_j[c], in double.
 *
 * rows      row r, column c at rows[r * stride + c], c < columns <= stride; rows_length floats.
 * weight    one number for each of `columns`, or NULL for 1.
 * gram      count * count doubles, both triangles are written.
 * Values that are not finite make the entries of their rows so. Sums are over 8 fixed lanes.
 * Returns FA_OK or FA_INVALID (nothing was written).
 */
int fa_gram(const float *rows, size_t rows_length, size_t count, size_t columns, size_t stride,
            size_t lo, size_t hi, const double *weight, size_t weight_length,
            double *gram, size_t gram_length, int path);

/* along[i] = sum over c in [lo, hi) of weight[c] * row_i[c] * measured[c]; as fa_gram. */
int fa_along(const float *rows, size_t rows_length, size_t count, size_t columns, size_t stride,
             size_t lo, size_t hi, const double *weight, size_t weight_length,
             const double *measured, size_t measured_length, double *along, size_t along_length,
             int path);

/* The `keep` best sets of exactly `size` (1, 2 or 3) references: exhaustive, best first; sets that
 * explain the same are ordered by their ids. *found <= keep is how many there are.
 *
 * groups    one number a reference, or NULL if all differ.
 * work      fa_subsets_work(n) doubles.
 */
int fa_best_subsets(const double *gram, size_t gram_length, const double *along, size_t along_length,
                    const int32_t *groups, size_t groups_length, size_t n, size_t size,
                    size_t keep, fa_subset *subsets, size_t subsets_capacity, size_t *found,
                    double *work, size_t work_length, int path);

/* The best sets of every size up to max_components (<= FA_SUBSET_MAX): of size s in
 * subsets[(s - 1) * keep ...], counts[s - 1] of them. Up to three the search is exhaustive; above, each
 * kept set is extended by every reference, and each reference of a set is exchanged for every other
 * until nothing improves: good, not proved best.
 */
int fa_sparse(const double *gram, size_t gram_length, const double *along, size_t along_length,
              const int32_t *groups, size_t groups_length, size_t n, size_t max_components,
              size_t keep, fa_subset *subsets, size_t subsets_capacity,
              size_t *counts, size_t counts_capacity,
              double *work, size_t work_length, int path);

/* Non-negative least squares: weights[n] >= 0 that minimise |sum w_i x_i - y|^2 (Lawson and Hanson 1974,
 * chapter 23, on the Gram matrix). Exact up to rounding; a column that depends on those in use to
 * 1e-12 of its square gets no weight. Reads the whole of `gram`. work: fa_nonnegative_work(n).
 * Returns FA_OK, FA_INVALID, or FA_NOT_FINITE (an input is not finite; weights are NaN).
 */
int fa_nonnegative(const double *gram, size_t gram_length, const double *along, size_t along_length,
                   size_t n, double *weights, size_t weights_length,
                   double *work, size_t work_length);

#define FA_NOT_FINITE (-33)

size_t fa_subsets_work(size_t n);
size_t fa_nonnegative_work(size_t n);

#endif
