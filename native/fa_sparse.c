/* See fa_fits.h: the best sets of every size. Up to three the search is exhaustive (fa_pairs.c,
 * fa_triples.c); larger sets are grown from smaller ones. */
#include "fa_subsets.h"

#include <math.h>
#include <string.h>

enum { ROUNDS_MAX = 8 };

/* Offer `ids` with each other reference. After projecting the set out, reference k has the squared
 * length d and the correlation a / sqrt(d); it adds a^2 / d. work: m * n doubles. */
FA_BODY void extend_body(const fa_problem *p, const int32_t *ids, size_t m, fa_best *list, double *work)
{
    double l[FA_SUBSET_MAX][FA_SUBSET_MAX];
    double z[FA_SUBSET_MAX];
    const size_t n = p->n;
    if (!fa_factor(p, ids, m, l, z)) {
        return;
    }
    double *restrict d = work;
    double *restrict a = work + n;
    double before = 0.0;
    for (size_t k = 0; k < n; k++) {
        d[k] = 1.0;
        a[k] = p->c[k];
    }
    for (size_t s = 0; s < m; s++) {
        const size_t is = (size_t)ids[s];
        double *restrict u = work + (2 + s) * n;
        const double scale = p->scale[is];
        for (size_t k = 0; k < is; k++) {
            u[k] = p->gram[k * n + is] * scale * p->scale[k];
        }
        for (size_t k = is; k < n; k++) {
            u[k] = p->gram[is * n + k] * scale * p->scale[k];
        }
        for (size_t b = 0; b < s; b++) {
            const double *restrict other = work + (2 + b) * n;
            const double factor_b = l[s][b];
            for (size_t k = 0; k < n; k++) {
                u[k] -= factor_b * other[k];
            }
        }
        const double length = l[s][s];
        for (size_t k = 0; k < n; k++) {
            u[k] /= length;
            d[k] -= u[k] * u[k];
            a[k] -= u[k] * z[s];
        }
        before += z[s] * z[s];
    }
    for (size_t k = 0; k < n; k++) {
        const double t = fa_least_to_count(list) - before;
        if (a[k] > 0.0 && d[k] > 0.5 * FA_DETERMINANT_MIN &&
            (1.0 + FA_MARGIN) * a[k] * a[k] + FA_MARGIN * (t > 0.0 ? t : 0.0) >= t * d[k]) {
            int32_t more[FA_SUBSET_MAX];
            memcpy(more, ids, m * sizeof *ids);
            more[m] = (int32_t)k;
            fa_offer(p, more, m + 1, list);
        }
    }
}

#define DEFINE_PATHS(attribute, suffix)                                                                \
    attribute static void extend_##suffix(const fa_problem *p, const int32_t *ids, size_t m,           \
                                          fa_best *list, double *work)                                 \
    {                                                                                                  \
        extend_body(p, ids, m, list, work);                                                            \
    }

DEFINE_PATHS(, plain)
#if FA_HAS_AVX2
DEFINE_PATHS(FA_USE_AVX2, avx2)
#define ON_PATH(path, function, ...) \
    ((path) == FA_PATH_AVX2 ? function##_avx2(__VA_ARGS__) : function##_plain(__VA_ARGS__))
#else
#define ON_PATH(path, function, ...) ((void)(path), function##_plain(__VA_ARGS__))
#endif

void fa_extend(const fa_problem *p, const int32_t *ids, size_t m, fa_best *list, double *work, int path)
{
    ON_PATH(path, extend, p, ids, m, list, work);
}

static void find_singles(const fa_problem *p, fa_best *list)
{
    for (size_t i = 0; i < p->n; i++) {
        const int32_t id = (int32_t)i;
        if (p->c[i] > 0.0 && p->c[i] * p->c[i] >= fa_least_to_count(list)) {
            fa_offer(p, &id, 1, list);
        }
    }
}

/* Sets one larger than those of `smaller`, then exchange of one reference until nothing improves. */
static void find_larger(const fa_problem *p, const fa_best *smaller, fa_best *list, double *work,
                        int path)
{
    double *extension = work + FA_AT_EXTENSION * fa_padded(p->n);
    for (size_t i = 0; i < smaller->count; i++) {
        const fa_subset *set = &smaller->items[i];
        fa_extend(p, set->ids, (size_t)set->size, list, extension, path);
    }
    for (int round = 0; round < ROUNDS_MAX && list->count > 0; round++) {
        const fa_subset start = list->items[0];
        for (int32_t out = 0; out < start.size; out++) {
            int32_t rest[FA_SUBSET_MAX];
            size_t m = 0;
            for (int32_t i = 0; i < start.size; i++) {
                if (i != out) {
                    rest[m++] = start.ids[i];
                }
            }
            fa_extend(p, rest, m, list, extension, path);
        }
        if (fa_ids_order(&start, &list->items[0]) == 0) {
            break;
        }
    }
}

size_t fa_subsets_work(size_t n)
{
    const size_t width = fa_padded(n);
    return (FA_AT_MATRIX + n + 1) * width;
}

int fa_best_subsets(const double *gram, size_t gram_length, const double *along, size_t along_length,
                    const int32_t *groups, size_t groups_length, size_t n, size_t size,
                    size_t keep, fa_subset *subsets, size_t subsets_capacity, size_t *found,
                    double *work, size_t work_length, int path)
{
    if (found == NULL) {
        return FA_INVALID;
    }
    *found = 0;
    path = fa_path(path);
    if (path == 0 || !fa_usable(gram, gram_length, along, along_length, groups, groups_length, n) ||
        size < 1 || size > 3 || keep == 0 || subsets == NULL || subsets_capacity < keep ||
        work == NULL || work_length < fa_subsets_work(n)) {
        return FA_INVALID;
    }
    const fa_problem p = fa_set_up(gram, along, groups, n, work);
    fa_best list = {subsets, keep, 0};
    if (size == 1) {
        find_singles(&p, &list);
    } else if (size == 2) {
        fa_find_pairs(&p, &list, work, path);
    } else {
        fa_subset pair;
        fa_best seed = {&pair, 1, 0};
        fa_find_pairs(&p, &seed, work, path);
        fa_find_triples(&p, seed.count > 0 ? &pair : NULL, &list, work, path);
    }
    *found = list.count;
    return FA_OK;
}

int fa_sparse(const double *gram, size_t gram_length, const double *along, size_t along_length,
              const int32_t *groups, size_t groups_length, size_t n, size_t max_components,
              size_t keep, fa_subset *subsets, size_t subsets_capacity,
              size_t *counts, size_t counts_capacity, double *work, size_t work_length, int path)
{
    path = fa_path(path);
    if (path == 0 || !fa_usable(gram, gram_length, along, along_length, groups, groups_length, n) ||
        max_components < 1 || max_components > FA_SUBSET_MAX || keep == 0 || subsets == NULL ||
        subsets_capacity / max_components < keep || counts == NULL ||
        counts_capacity < max_components || work == NULL || work_length < fa_subsets_work(n)) {
        return FA_INVALID;
    }
    const fa_problem p = fa_set_up(gram, along, groups, n, work);
    fa_best smaller = {subsets, keep, 0};
    for (size_t size = 1; size <= max_components; size++) {
        fa_best list = {subsets + (size - 1) * keep, keep, 0};
        if (size == 1) {
            find_singles(&p, &list);
        } else if (size == 2) {
            fa_find_pairs(&p, &list, work, path);
        } else if (size == 3) {
            fa_find_triples(&p, smaller.count > 0 ? smaller.items : NULL, &list, work, path);
        } else {
            find_larger(&p, &smaller, &list, work, path);
        }
        counts[size - 1] = list.count;
        smaller = list;
    }
    return FA_OK;
}
