/* See fa_subsets.h: one set of references, solved exactly, and the lists of the best. */
#include "fa_subsets.h"

#include <math.h>
#include <string.h>

enum { LANES = 8 };

size_t fa_padded(size_t n)
{
    return (n + LANES - 1) / LANES * LANES + FA_SCAN;
}

int fa_usable(const double *gram, size_t gram_length, const double *along, size_t along_length,
                  const int32_t *groups, size_t groups_length, size_t n)
{
    if (gram == NULL || along == NULL || n > 0x7fff || gram_length < n * n || along_length < n) {
        return 0;
    }
    return groups == NULL || groups_length >= n;
}

fa_problem fa_set_up(const double *gram, const double *along, const int32_t *groups, size_t n,
                      double *work)
{
    double *scale = work;
    double *c = work + fa_padded(n);
    for (size_t i = 0; i < n; i++) {
        const double square = gram[i * n + i];
        const double s = square > 0.0 && isfinite(square) ? 1.0 / sqrt(square) : 0.0;
        const int usable_column = s > 0.0 && isfinite(s) && isfinite(along[i] * s);
        scale[i] = usable_column ? s : 0.0;
        c[i] = usable_column ? along[i] * s : NAN;
    }
    const fa_problem p = {gram, groups, n, scale, c, along};
    return p;
}

int fa_ids_order(const fa_subset *a, const fa_subset *b)
{
    for (int32_t i = 0; i < a->size; i++) {
        if (a->ids[i] != b->ids[i]) {
            return a->ids[i] < b->ids[i] ? -1 : 1;
        }
    }
    return 0;
}

/* Returns 1 if it is new and among the best. */
static int insert(fa_best *list, const fa_subset *set)
{
    if (list->count == list->keep && set->explained < fa_least_to_count(list)) {
        return 0;
    }
    size_t at = list->count;
    while (at > 0) {
        const fa_subset *other = &list->items[at - 1];
        if (other->explained > set->explained) {
            break;
        }
        if (!(other->explained < set->explained)) {
            const int order = fa_ids_order(other, set);
            if (order == 0) {
                return 0;
            }
            if (order < 0) {
                break;
            }
        }
        at--;
    }
    if (at == list->keep) {
        return 0;
    }
    const size_t last = list->count < list->keep ? list->count : list->keep - 1;
    memmove(&list->items[at + 1], &list->items[at], (last - at) * sizeof *set);
    list->items[at] = *set;
    list->count = last + 1;
    return 1;
}

/* Cholesky factor of the unit Gram matrix of `ids`, forward solution z; 0 if nearly dependent. */
int fa_factor(const fa_problem *p, const int32_t *ids, size_t m, double l[][FA_SUBSET_MAX], double *z)
{
    double determinant = 1.0;
    for (size_t a = 0; a < m; a++) {
        const size_t ia = (size_t)ids[a];
        for (size_t b = 0; b < a; b++) {
            const size_t ib = (size_t)ids[b];
            double s = fa_entry(p, ib, ia) * p->scale[ib] * p->scale[ia];
            for (size_t k = 0; k < b; k++) {
                s -= l[a][k] * l[b][k];
            }
            l[a][b] = s / l[b][b];
        }
        double d = 1.0;
        double s = p->c[ia];
        for (size_t k = 0; k < a; k++) {
            d -= l[a][k] * l[a][k];
            s -= l[a][k] * z[k];
        }
        determinant *= d;
        if (!(d > 0.0) || !(determinant >= FA_DETERMINANT_MIN)) {
            return 0;
        }
        l[a][a] = sqrt(d);
        z[a] = s / l[a][a];
    }
    return 1;
}

/* Solve the set `ids` (any order, no two the same); 0 if it does not count. */
static int solve(const fa_problem *p, const int32_t *ids, size_t m, fa_subset *out)
{
    memset(out, 0, sizeof *out);
    out->size = (int32_t)m;
    for (size_t a = 0; a < m; a++) {
        size_t at = a;
        for (; at > 0 && out->ids[at - 1] > ids[a]; at--) {
            out->ids[at] = out->ids[at - 1];
        }
        out->ids[at] = ids[a];
    }
    for (size_t a = 0; a < m; a++) {
        if (!(p->scale[out->ids[a]] > 0.0)) {
            return 0;
        }
        for (size_t b = 0; b < a; b++) {
            if (fa_same_group(p, (size_t)out->ids[a], (size_t)out->ids[b])) {
                return 0;
            }
        }
    }
    double l[FA_SUBSET_MAX][FA_SUBSET_MAX];
    double z[FA_SUBSET_MAX];
    if (!fa_factor(p, out->ids, m, l, z)) {
        return 0;
    }
    for (size_t a = m; a-- > 0;) {
        double s = z[a];
        for (size_t b = a + 1; b < m; b++) {
            s -= l[b][a] * z[b];
        }
        z[a] = s / l[a][a];
        if (!(z[a] > 0.0)) {
            return 0;
        }
    }
    for (size_t a = 0; a < m; a++) {
        out->explained += z[a] * p->c[out->ids[a]];
        out->weights[a] = z[a] * p->scale[out->ids[a]];
        if (!(out->weights[a] > 0.0) || !isfinite(out->weights[a])) {
            return 0;
        }
    }
    return isfinite(out->explained) ? 1 : 0;
}

void fa_offer(const fa_problem *p, const int32_t *ids, size_t m, fa_best *list)
{
    fa_subset set;
    if (solve(p, ids, m, &set)) {
        (void)insert(list, &set);
    }
}
