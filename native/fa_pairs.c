/* See fa_subsets.h: the exhaustive search for pairs, and what a column can add at most to any set. */
#include "fa_subsets.h"

#include <math.h>

/* What a column can add at most to any set of `size`: c+^2 / (1 - (size - 1) rho), rho = its most
 * negative correlation with another. For w >= 0, w'Gw >= sum w_a^2 (1 - sum over b of rho_ab), and the
 * explained sum of squares is at most max over w of 2 c'w - w'Gw. */
FA_BODY void bounds_body(const fa_problem *p, size_t size, double *bound)
{
    for (size_t i = 0; i < p->n; i++) {
        bound[i] = 0.0;
    }
    for (size_t i = 0; i < p->n; i++) { /* lowest correlation so far in bound[], both triangles */
        if (!(p->scale[i] > 0.0)) {
            continue;
        }
        const double *restrict row = p->gram + i * p->n;
        const double si = p->scale[i];
        double low = bound[i];
        for (size_t j = i + 1; j < p->n; j++) {
            const double r = row[j] * si * p->scale[j];
            const double other = bound[j];
            low = r < low ? r : low;
            bound[j] = r < other ? r : other;
        }
        bound[i] = low;
    }
    for (size_t i = 0; i < p->n; i++) {
        const double rest = 1.0 + (double)(size - 1) * bound[i];
        const double c = p->c[i] > 0.0 ? p->c[i] : 0.0;
        bound[i] = rest > 1e-3 ? (1.0 + FA_MARGIN) * c * c / rest : INFINITY;
    }
}

FA_BODY void pairs_body(const fa_problem *p, const double *bound, fa_best *list)
{
    double highest = 0.0;
    for (size_t i = 0; i < p->n; i++) {
        highest = bound[i] > highest ? bound[i] : highest;
    }
    for (size_t i = 0; i + 1 < p->n; i++) {
        if (!(p->scale[i] > 0.0) || bound[i] + highest < fa_least_to_count(list)) {
            continue;
        }
        const double *restrict row = p->gram + i * p->n;
        const double *restrict scale = p->scale;
        const double *restrict c = p->c;
        const double si = scale[i];
        const double ci = c[i];
        const double square = (1.0 + FA_MARGIN) * (ci * ci);
        size_t j = i + 1;
        while (j < p->n) {
            const double t = fa_least_to_count(list);
            const size_t end = j + FA_SCAN <= p->n ? j + FA_SCAN : p->n;
            if (end - j == FA_SCAN) {
                int64_t any = 0; /* whole numbers: the compiler may add them up in any order */
                for (size_t k = j; k < j + FA_SCAN; k++) {
                    const double r = row[k] * si * scale[k];
                    const double gain = square + (1.0 + FA_MARGIN) * (c[k] * c[k]) - 2.0 * r * ci * c[k] -
                                        t * ((1.0 - 0.1 * FA_MARGIN) - r * r);
                    const double wi = ci - r * c[k];
                    const double wk = c[k] - r * ci;
                    double least = wi < wk ? wi : wk;
                    least = gain < least ? gain : least;
                    any |= least > 0.0 ? 1 : 0;
                }
                if (any == 0) {
                    j = end;
                    continue;
                }
            }
            for (; j < end; j++) {
                const double cj = c[j];
                const double r = row[j] * si * scale[j];
                const double gain = square + (1.0 + FA_MARGIN) * (cj * cj) - 2.0 * r * ci * cj -
                                    fa_least_to_count(list) * ((1.0 - 0.1 * FA_MARGIN) - r * r);
                if (gain > 0.0 && ci - r * cj > 0.0 && cj - r * ci > 0.0 && !fa_same_group(p, i, j)) {
                    const int32_t ids[2] = {(int32_t)i, (int32_t)j};
                    fa_offer(p, ids, 2, list);
                }
            }
        }
    }
}

#define DEFINE_PATHS(attribute, suffix)                                                                \
    attribute static void bounds_##suffix(const fa_problem *p, size_t size, double *bound)             \
    {                                                                                                  \
        bounds_body(p, size, bound);                                                                   \
    }                                                                                                  \
    attribute static void pairs_##suffix(const fa_problem *p, const double *bound, fa_best *list)      \
    {                                                                                                  \
        pairs_body(p, bound, list);                                                                    \
    }

DEFINE_PATHS(, plain)
#if FA_HAS_AVX2
DEFINE_PATHS(FA_USE_AVX2, avx2)
#define ON_PATH(path, function, ...) \
    ((path) == FA_PATH_AVX2 ? function##_avx2(__VA_ARGS__) : function##_plain(__VA_ARGS__))
#else
#define ON_PATH(path, function, ...) ((void)(path), function##_plain(__VA_ARGS__))
#endif

void fa_column_bounds(const fa_problem *p, size_t size, double *bound, int path)
{
    ON_PATH(path, bounds, p, size, bound);
}

void fa_find_pairs(const fa_problem *p, fa_best *list, double *work, int path)
{
    double *bound = work + FA_AT_BOUND * fa_padded(p->n);
    fa_column_bounds(p, 2, bound, path);
    ON_PATH(path, pairs, p, bound, list);
}
