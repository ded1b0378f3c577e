/* See fa_subsets.h: the exhaustive search for triples. */
#include "fa_subsets.h"

#include <math.h>

typedef struct {
    double *restrict u; /* correlation with i, over d */
    double *restrict v; /* 1 / length beside i */
    double *restrict a; /* correlation with y beside i */
    double *restrict a2;
} beside;

/* 1 if one of FA_SCAN columns k may make a better set with i and j. */
FA_BODY int block_passes(const double *restrict row, const double *restrict u, const double *restrict v,
                         const double *restrict a, const double *restrict a2, double uj, double vj,
                         double aj, double aj2, double t)
{
    int64_t any = 0;
    for (size_t k = 0; k < FA_SCAN; k++) {
        const double r = (row[k] * vj) * v[k] - uj * u[k];
        const double ra = r * a[k];
        const double gain = (aj2 + a2[k]) - (2.0 * aj) * ra - t * ((1.0 - 0.1 * FA_MARGIN) - r * r);
        const double wj = aj - ra;
        const double wk = a[k] - r * aj;
        double least = wj < wk ? wj : wk;
        least = gain < least ? gain : least;
        any |= least > 0.0 ? 1 : 0;
    }
    return any != 0;
}

/* All triples of m candidates in order of falling bound; `matrix` holds their correlations (NaN: not
 * together), rows `stride` apart, padded with NaN. */
FA_BODY void triples_body(const fa_problem *p, const int32_t *order, size_t m, const double *bound,
                          const double *matrix, size_t stride, beside s, fa_best *list)
{
    for (size_t i = 0; i + 2 < m; i++) {
        if (bound[i] + bound[i + 1] + bound[i + 2] < fa_least_to_count(list)) {
            break;
        }
        const double *row_i = matrix + i * stride;
        const double ci = p->c[order[i]];
        for (size_t k = i + 1; k < m; k++) {
            const double r = row_i[k];
            const double d = 1.0 - r * r;
            const double v = d >= FA_DETERMINANT_MIN ? 1.0 / sqrt(d) : NAN;
            s.v[k] = v;
            s.u[k] = r * v;
            s.a[k] = (p->c[order[k]] - r * ci) * v;
            s.a2[k] = (1.0 + FA_MARGIN) * (s.a[k] * s.a[k]);
        }
        for (size_t k = m; k < m + FA_SCAN; k++) {
            s.v[k] = s.u[k] = s.a[k] = s.a2[k] = NAN;
        }
        size_t reach = m;
        for (size_t j = i + 1; j + 1 < m; j++) {
            double t = fa_least_to_count(list);
            if (bound[i] + bound[j] + bound[j + 1] < t) {
                break;
            }
            while (reach > j + 1 && bound[i] + bound[j] + bound[reach - 1] < t) {
                reach--; /* the third needs less the stronger j is, so it only falls */
            }
            if (isnan(s.v[j])) {
                continue;
            }
            const double *row_j = matrix + j * stride;
            for (size_t k = j + 1; k < reach; k += FA_SCAN) {
                t = fa_least_to_count(list) - ci * ci;
                if (!block_passes(row_j + k, s.u + k, s.v + k, s.a + k, s.a2 + k, s.u[j], s.v[j],
                                  s.a[j], s.a2[j], t)) {
                    continue;
                }
                const size_t end = k + FA_SCAN < m ? k + FA_SCAN : m;
                for (size_t q = k; q < end; q++) {
                    const double r = (row_j[q] * s.v[j]) * s.v[q] - s.u[j] * s.u[q];
                    const double gain = s.a2[j] + s.a2[q] - 2.0 * r * s.a[j] * s.a[q] -
                                        (fa_least_to_count(list) - ci * ci) * ((1.0 - 0.1 * FA_MARGIN) - r * r);
                    if (gain > 0.0 && s.a[j] - r * s.a[q] > 0.0 && s.a[q] - r * s.a[j] > 0.0) {
                        const int32_t ids[3] = {order[i], order[j], order[q]};
                        fa_offer(p, ids, 3, list);
                    }
                }
            }
        }
    }
}

#define DEFINE_PATHS(attribute, suffix)                                                                \
    attribute static void triples_##suffix(const fa_problem *p, const int32_t *order, size_t m,        \
                                           const double *bound, const double *matrix, size_t stride,   \
                                           beside s, fa_best *list)                                    \
    {                                                                                                  \
        triples_body(p, order, m, bound, matrix, stride, s, list);                                     \
    }

DEFINE_PATHS(, plain)
#if FA_HAS_AVX2
DEFINE_PATHS(FA_USE_AVX2, avx2)
#define ON_PATH(path, function, ...) \
    ((path) == FA_PATH_AVX2 ? function##_avx2(__VA_ARGS__) : function##_plain(__VA_ARGS__))
#else
#define ON_PATH(path, function, ...) ((void)(path), function##_plain(__VA_ARGS__))
#endif

/* Sort by falling bound, then id: shell sort, which needs no memory. */
static void sort_by_bound(int32_t *order, size_t m, const double *bound)
{
    for (size_t gap = m / 2; gap > 0; gap /= 2) {
        for (size_t i = gap; i < m; i++) {
            const int32_t item = order[i];
            size_t at = i;
            while (at >= gap) {
                const int32_t other = order[at - gap];
                if (bound[other] > bound[item] ||
                    (!(bound[other] < bound[item]) && other < item)) {
                    break;
                }
                order[at] = other;
                at -= gap;
            }
            order[at] = item;
        }
    }
}

/* Extending the seed sets the level that the scan must reach. */
void fa_find_triples(const fa_problem *p, const fa_subset *seed, fa_best *list, double *work, int path)
{
    const size_t n = p->n;
    const size_t width = fa_padded(n);
    double *bound = work + FA_AT_BOUND * width;
    double *sorted = work + FA_AT_SORTED * width;
    double *at = work + FA_AT_BESIDE * width;
    const beside s = {at, at + width, at + 2 * width, at + 3 * width};
    double *extension = work + FA_AT_EXTENSION * width;
    int32_t *order = (int32_t *)(void *)(work + FA_AT_ORDER * width);
    double *matrix = work + FA_AT_MATRIX * width;
    if (seed != NULL) {
        fa_extend(p, seed->ids, (size_t)seed->size, list, extension, path);
    }
    fa_column_bounds(p, 3, bound, path);
    double first = 0.0;
    double second = 0.0;
    for (size_t i = 0; i < n; i++) {
        if (bound[i] > first) {
            second = first;
            first = bound[i];
        } else if (bound[i] > second) {
            second = bound[i];
        }
    }
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        if (p->scale[i] > 0.0 && bound[i] + first + second >= fa_least_to_count(list)) {
            order[m++] = (int32_t)i;
        }
    }
    sort_by_bound(order, m, bound);
    const size_t stride = fa_padded(m);
    for (size_t i = 0; i < m; i++) {
        const size_t oi = (size_t)order[i];
        double *row = matrix + i * stride;
        sorted[i] = bound[oi];
        for (size_t k = i + 1; k < m; k++) {
            const size_t ok = (size_t)order[k];
            row[k] = fa_same_group(p, oi, ok) ? NAN : fa_entry(p, oi, ok) * p->scale[oi] * p->scale[ok];
        }
        for (size_t k = m; k < stride; k++) {
            row[k] = NAN;
        }
    }
    ON_PATH(path, triples, p, order, m, sorted, matrix, stride, s, list);
}
