/* See fa_match.h. The scan is plain: one pass over each row per variant, the row staying in cache. */
#include "fa_match.h"

#include <math.h>

typedef struct {
    double dot;
    double row_energy;
    double query_energy;
} sums;

/* A product of two floats is exact in double, so fused multiply-add cannot change the result. */
static sums accumulate(const float *restrict row, const float *restrict query, size_t n)
{
    double dot[FA_LANES] = {0.0};
    double rr[FA_LANES] = {0.0};
    double qq[FA_LANES] = {0.0};
    size_t i = 0;
    for (; i + FA_LANES <= n; i += FA_LANES) {
        for (size_t lane = 0; lane < FA_LANES; lane++) {
            const double x = (double)row[i + lane];
            const double q = (double)query[i + lane];
            dot[lane] += x * q;
            rr[lane] += x * x;
            qq[lane] += q * q;
        }
    }
    for (size_t lane = 0; i < n; i++, lane++) {
        const double x = (double)row[i];
        const double q = (double)query[i];
        dot[lane] += x * q;
        rr[lane] += x * x;
        qq[lane] += q * q;
    }
    sums total = {0.0, 0.0, 0.0};
    for (size_t lane = 0; lane < FA_LANES; lane++) {
        total.dot += dot[lane];
        total.row_energy += rr[lane];
        total.query_energy += qq[lane];
    }
    return total;
}

/* True if rows of `columns` items, `stride` apart, lie inside `length`; cannot overflow. */
static int fits(size_t length, size_t rows, size_t columns, size_t stride)
{
    if (columns > stride) {
        return 0;
    }
    if (rows == 0) {
        return 1;
    }
    if (length < columns) {
        return 0;
    }
    return stride == 0 || (rows - 1) <= (length - columns) / stride;
}

/* Insert into the list sorted by falling ranking; an equal one stays behind what is there (lower rows
 * first). The ranking lives in hits[].score until fa_top_k adds the penalty back at the end. */
static size_t insert(fa_hit *hits, size_t count, size_t k, fa_hit hit)
{
    if (count == k && !(hit.score > hits[k - 1].score)) {
        return count;
    }
    size_t at = count < k ? count : k - 1;
    while (at > 0 && hit.score > hits[at - 1].score) {
        hits[at] = hits[at - 1];
        at--;
    }
    hits[at] = hit;
    return count < k ? count + 1 : count;
}

int fa_top_k(const float *matrix, size_t matrix_length, size_t rows, size_t columns, size_t stride,
             const int32_t *valid, size_t valid_length,
             const float *queries, size_t queries_length, size_t variants, size_t query_stride,
             const double *penalty, size_t penalty_length,
             size_t lo, size_t hi, size_t min_columns,
             size_t k, fa_hit *hits, size_t hits_capacity, size_t *count)
{
    if (count == NULL) {
        return FA_INVALID;
    }
    *count = 0;
    if (matrix == NULL || valid == NULL || queries == NULL || hits == NULL) {
        return FA_INVALID;
    }
    if (rows > INT32_MAX || columns > INT32_MAX || variants == 0 || variants > INT32_MAX) {
        return FA_INVALID;
    }
    if (lo >= hi || hi > columns || k == 0 || k > hits_capacity) {
        return FA_INVALID;
    }
    if (!fits(matrix_length, rows, columns, stride) ||
        !fits(queries_length, variants, columns, query_stride)) {
        return FA_INVALID;
    }
    if (valid_length / 2 < rows || (penalty != NULL && penalty_length < variants)) {
        return FA_INVALID;
    }

    size_t found = 0;
    for (size_t r = 0; r < rows; r++) {
        const int32_t first = valid[2 * r];
        const int32_t last = valid[2 * r + 1];
        if (first < 0 || last < first) {
            continue;
        }
        const size_t begin = (size_t)first > lo ? (size_t)first : lo;
        const size_t end = (size_t)last < hi ? (size_t)last : hi;
        if (end <= begin || end - begin < min_columns) {
            continue;
        }
        fa_hit best = {(int32_t)r, -1, 0.0};
        for (size_t v = 0; v < variants; v++) {
            const sums s = accumulate(matrix + r * stride + begin,
                                      queries + v * query_stride + begin, end - begin);
            const double energy = s.row_energy * s.query_energy;
            if (!isfinite(energy) || !(energy > 0.0)) {
                continue;
            }
            const double score = s.dot / sqrt(energy);
            const double ranking = penalty == NULL ? score : score - penalty[v];
            if (isfinite(ranking) && (best.variant < 0 || ranking > best.score)) {
                best.variant = (int32_t)v;
                best.score = ranking;
            }
        }
        if (best.variant >= 0) {
            found = insert(hits, found, k, best);
        }
    }
    if (penalty != NULL) {
        for (size_t i = 0; i < found; i++) {
            hits[i].score += penalty[hits[i].variant];
        }
    }
    *count = found;
    return FA_OK;
}
