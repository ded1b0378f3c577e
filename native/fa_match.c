/* See fa_match.h. The scan is plain: one pass over each row per four variants, the row staying in cache. */
#include "fa_index.h"
#include "fa_loops.h"

enum { TOGETHER = 4, REMEMBERED = 64 }; /* variants a pass; variants whose energy is kept */

/* What the scan compares, and the energies of the first variants over the columns last compared. */
typedef struct {
    const fa_loops *loops;
    const float *queries;
    size_t stride;
    size_t variants;
    size_t begin, end;
    double energies[REMEMBERED];
} scan;

static double energy_of(const scan *s, size_t v)
{
    if (v < REMEMBERED) {
        return s->energies[v];
    }
    const float *q = s->queries + v * s->stride + s->begin;
    return s->loops->dot(q, q, s->end - s->begin);
}

static void compare_over(scan *s, size_t begin, size_t end)
{
    if (begin == s->begin && end == s->end) {
        return;
    }
    s->begin = begin;
    s->end = end;
    for (size_t v = 0; v < s->variants && v < REMEMBERED; v++) {
        const float *q = s->queries + v * s->stride + begin;
        s->energies[v] = s->loops->dot(q, q, end - begin);
    }
}

/* The best variant of a row, which starts at its first compared column; variant -1 if none ranks. */
static fa_hit best_variant(const scan *s, const float *row, int32_t number, const double *penalty)
{
    const size_t n = s->end - s->begin;
    const double row_energy = s->loops->dot(row, row, n);
    fa_hit best = {number, -1, 0.0};
    for (size_t v = 0; v < s->variants; v += TOGETHER) {
        const float *q = s->queries + v * s->stride + s->begin;
        const size_t some = s->variants - v < TOGETHER ? s->variants - v : TOGETHER;
        double dots[TOGETHER];
        if (some == TOGETHER) {
            const float *const four[4] = {q, q + s->stride, q + 2 * s->stride, q + 3 * s->stride};
            s->loops->dot4(row, four, n, dots);
        } else {
            for (size_t i = 0; i < some; i++) {
                dots[i] = s->loops->dot(row, q + i * s->stride, n);
            }
        }
        for (size_t i = 0; i < some; i++) {
            const double energy = row_energy * energy_of(s, v + i);
            if (!isfinite(energy) || !(energy > 0.0)) {
                continue;
            }
            const double score = dots[i] / sqrt(energy);
            const double ranking = penalty == NULL ? score : score - penalty[v + i];
            if (isfinite(ranking) && (best.variant < 0 || ranking > best.score)) {
                best.variant = (int32_t)(v + i);
                best.score = ranking;
            }
        }
    }
    return best;
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
    if (!fa_fits(matrix_length, rows, columns, stride) ||
        !fa_fits(queries_length, variants, columns, query_stride)) {
        return FA_INVALID;
    }
    if (valid_length / 2 < rows || (penalty != NULL && penalty_length < variants)) {
        return FA_INVALID;
    }

    size_t found = 0;
    scan s = {fa_current_loops(), queries, query_stride, variants, 0, 0, {0.0}};
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
        compare_over(&s, begin, end);
        const fa_hit best = best_variant(&s, matrix + r * stride + begin, (int32_t)r, penalty);
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
