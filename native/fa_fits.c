/* See fa_fits.h. The scans only filter, with a margin above their rounding; every set that passes is
 * solved again by `solve`, always in the order of its ids, so that the answer depends on no scan. */
#include "fa_fits.h"

#include <math.h>
#include <string.h>

#define LANES 8
#define BLOCK 32
static const double DETERMINANT_MIN = 1e-6;
static const double MARGIN = 1e-8;   /* of a filter, relative; rounding / DETERMINANT_MIN is below 1e-9 */
static const double DEPENDENT = 1e-12;
enum { ROUNDS_MAX = 8 };

typedef struct {
    const double *gram;
    const int32_t *groups;
    size_t n;
    const double *scale; /* 1 / norm of each column; 0: in no set */
    const double *c;     /* along, of unit columns; NaN: in no set */
    const double *along;
} problem;

typedef struct {
    fa_subset *items;
    size_t keep;
    size_t count;
} best_list;

static double entry(const problem *p, size_t i, size_t j)
{
    return i < j ? p->gram[i * p->n + j] : p->gram[j * p->n + i];
}

static int same_group(const problem *p, size_t i, size_t j)
{
    return p->groups != NULL && p->groups[i] == p->groups[j];
}

/* ---- Gram matrix ------------------------------------------------------------------------------ */

FA_BODY double lane_total(const double *lanes)
{
    double total = 0.0;
    for (size_t l = 0; l < LANES; l++) {
        total += lanes[l];
    }
    return total;
}

/* Two rows against two rows: each value loaded serves two products. */
FA_BODY void products(const float *restrict a0, const float *restrict a1, const float *restrict b0,
                      const float *restrict b1, const double *restrict w, size_t n, double out[4])
{
    double s00[LANES] = {0.0};
    double s01[LANES] = {0.0};
    double s10[LANES] = {0.0};
    double s11[LANES] = {0.0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t l = 0; l < LANES; l++) {
            const double x0 = w == NULL ? (double)a0[i + l] : w[i + l] * (double)a0[i + l];
            const double x1 = w == NULL ? (double)a1[i + l] : w[i + l] * (double)a1[i + l];
            const double y0 = (double)b0[i + l];
            const double y1 = (double)b1[i + l];
            s00[l] += x0 * y0;
            s01[l] += x0 * y1;
            s10[l] += x1 * y0;
            s11[l] += x1 * y1;
        }
    }
    for (size_t l = 0; i < n; i++, l++) {
        const double x0 = w == NULL ? (double)a0[i] : w[i] * (double)a0[i];
        const double x1 = w == NULL ? (double)a1[i] : w[i] * (double)a1[i];
        s00[l] += x0 * (double)b0[i];
        s01[l] += x0 * (double)b1[i];
        s10[l] += x1 * (double)b0[i];
        s11[l] += x1 * (double)b1[i];
    }
    out[0] = lane_total(s00);
    out[1] = lane_total(s01);
    out[2] = lane_total(s10);
    out[3] = lane_total(s11);
}

/* The same with the compiler's vectors of four, which it holds in one register with AVX2. */
typedef double four __attribute__((vector_size(32), aligned(8), may_alias));
typedef float four_floats __attribute__((vector_size(16), aligned(4), may_alias));

FA_BODY void products_wide(const float *restrict a0, const float *restrict a1, const float *restrict b0,
                           const float *restrict b1, const double *restrict w, size_t n, double out[4])
{
    four sums[4][LANES / 4];
    memset(sums, 0, sizeof sums);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t v = 0; v < LANES / 4; v++) {
            const size_t at = i + 4 * v;
            four x0 = __builtin_convertvector(*(const four_floats *)(const void *)(a0 + at), four);
            four x1 = __builtin_convertvector(*(const four_floats *)(const void *)(a1 + at), four);
            const four y0 = __builtin_convertvector(*(const four_floats *)(const void *)(b0 + at), four);
            const four y1 = __builtin_convertvector(*(const four_floats *)(const void *)(b1 + at), four);
            if (w != NULL) {
                const four weight = *(const four *)(const void *)(w + at);
                x0 = weight * x0;
                x1 = weight * x1;
            }
            sums[0][v] += x0 * y0;
            sums[1][v] += x0 * y1;
            sums[2][v] += x1 * y0;
            sums[3][v] += x1 * y1;
        }
    }
    double lanes[4][LANES];
    memcpy(lanes, sums, sizeof lanes);
    for (size_t l = 0; i < n; i++, l++) {
        const double x0 = w == NULL ? (double)a0[i] : w[i] * (double)a0[i];
        const double x1 = w == NULL ? (double)a1[i] : w[i] * (double)a1[i];
        lanes[0][l] += x0 * (double)b0[i];
        lanes[1][l] += x0 * (double)b1[i];
        lanes[2][l] += x1 * (double)b0[i];
        lanes[3][l] += x1 * (double)b1[i];
    }
    for (size_t k = 0; k < 4; k++) {
        out[k] = lane_total(lanes[k]);
    }
}

FA_BODY void gram_body(const float *rows, size_t count, size_t stride, size_t lo, size_t hi,
                       const double *weight, double *gram, int wide)
{
    const double *w = weight == NULL ? NULL : weight + lo;
    for (size_t i = 0; i < count; i += 2) {
        const size_t i1 = i + 1 < count ? i + 1 : i;
        for (size_t j = i; j < count; j += 2) {
            const size_t j1 = j + 1 < count ? j + 1 : j;
            const float *a0 = rows + i * stride + lo;
            const float *a1 = rows + i1 * stride + lo;
            const float *b0 = rows + j * stride + lo;
            const float *b1 = rows + j1 * stride + lo;
            double out[4];
            if (wide && w == NULL) {
                products_wide(a0, a1, b0, b1, NULL, hi - lo, out);
            } else if (wide) {
                products_wide(a0, a1, b0, b1, w, hi - lo, out);
            } else if (w == NULL) {
                products(a0, a1, b0, b1, NULL, hi - lo, out);
            } else {
                products(a0, a1, b0, b1, w, hi - lo, out);
            }
            if (i == j) {
                out[2] = out[1]; /* with weights the two could differ in the last bit */
            }
            gram[i * count + j] = gram[j * count + i] = out[0];
            gram[i * count + j1] = gram[j1 * count + i] = out[1];
            gram[i1 * count + j] = gram[j * count + i1] = out[2];
            gram[i1 * count + j1] = gram[j1 * count + i1] = out[3];
        }
    }
}

FA_BODY void along_body(const float *rows, size_t count, size_t stride, size_t lo, size_t hi,
                        const double *weight, const double *measured, double *along)
{
    for (size_t r = 0; r < count; r++) {
        const float *restrict x = rows + r * stride;
        double s[LANES] = {0.0};
        size_t i = lo;
        if (weight == NULL) {
            for (; i + LANES <= hi; i += LANES) {
                for (size_t l = 0; l < LANES; l++) {
                    s[l] += (double)x[i + l] * measured[i + l];
                }
            }
        } else {
            for (; i + LANES <= hi; i += LANES) {
                for (size_t l = 0; l < LANES; l++) {
                    s[l] += weight[i + l] * (double)x[i + l] * measured[i + l];
                }
            }
        }
        for (size_t l = 0; i < hi; i++, l++) {
            const double v = weight == NULL ? (double)x[i] : weight[i] * (double)x[i];
            s[l] += v * measured[i];
        }
        along[r] = lane_total(s);
    }
}

/* ---- Lists and exact solutions ---------------------------------------------------------------- */

static int ids_order(const fa_subset *a, const fa_subset *b)
{
    for (int32_t i = 0; i < a->size; i++) {
        if (a->ids[i] != b->ids[i]) {
            return a->ids[i] < b->ids[i] ? -1 : 1;
        }
    }
    return 0;
}

static double threshold(const best_list *list)
{
    return list->count < list->keep ? 0.0 : list->items[list->keep - 1].explained;
}

/* Returns 1 if it is new and among the best. */
static int insert(best_list *list, const fa_subset *set)
{
    if (list->count == list->keep && set->explained < threshold(list)) {
        return 0;
    }
    size_t at = list->count;
    while (at > 0) {
        const fa_subset *other = &list->items[at - 1];
        if (other->explained > set->explained) {
            break;
        }
        if (!(other->explained < set->explained)) {
            const int order = ids_order(other, set);
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
static int factor(const problem *p, const int32_t *ids, size_t m, double l[][FA_SUBSET_MAX], double *z)
{
    double determinant = 1.0;
    for (size_t a = 0; a < m; a++) {
        const size_t ia = (size_t)ids[a];
        for (size_t b = 0; b < a; b++) {
            const size_t ib = (size_t)ids[b];
            double s = entry(p, ib, ia) * p->scale[ib] * p->scale[ia];
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
        if (!(d > 0.0) || !(determinant >= DETERMINANT_MIN)) {
            return 0;
        }
        l[a][a] = sqrt(d);
        z[a] = s / l[a][a];
    }
    return 1;
}

/* Solve the set `ids` (any order, no two the same); 0 if it does not count. */
static int solve(const problem *p, const int32_t *ids, size_t m, fa_subset *out)
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
            if (same_group(p, (size_t)out->ids[a], (size_t)out->ids[b])) {
                return 0;
            }
        }
    }
    double l[FA_SUBSET_MAX][FA_SUBSET_MAX];
    double z[FA_SUBSET_MAX];
    if (!factor(p, out->ids, m, l, z)) {
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

static void offer(const problem *p, const int32_t *ids, size_t m, best_list *list)
{
    fa_subset set;
    if (solve(p, ids, m, &set)) {
        (void)insert(list, &set);
    }
}

/* ---- Singles, pairs, triples ------------------------------------------------------------------ */

/* What a column can add at most to any set of `size`: c+^2 / (1 - (size - 1) rho), rho = its most
 * negative correlation with another. For w >= 0, w'Gw >= sum w_a^2 (1 - sum over b of rho_ab), and the
 * explained sum of squares is at most max over w of 2 c'w - w'Gw. */
FA_BODY void bounds_body(const problem *p, size_t size, double *bound)
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
        bound[i] = rest > 1e-3 ? (1.0 + MARGIN) * c * c / rest : INFINITY;
    }
}

FA_BODY void pairs_body(const problem *p, const double *bound, best_list *list)
{
    double highest = 0.0;
    for (size_t i = 0; i < p->n; i++) {
        highest = bound[i] > highest ? bound[i] : highest;
    }
    for (size_t i = 0; i + 1 < p->n; i++) {
        if (!(p->scale[i] > 0.0) || bound[i] + highest < threshold(list)) {
            continue;
        }
        const double *restrict row = p->gram + i * p->n;
        const double *restrict scale = p->scale;
        const double *restrict c = p->c;
        const double si = scale[i];
        const double ci = c[i];
        const double square = (1.0 + MARGIN) * (ci * ci);
        size_t j = i + 1;
        while (j < p->n) {
            const double t = threshold(list);
            const size_t end = j + BLOCK <= p->n ? j + BLOCK : p->n;
            if (end - j == BLOCK) {
                int64_t any = 0; /* whole numbers: the compiler may add them up in any order */
                for (size_t k = j; k < j + BLOCK; k++) {
                    const double r = row[k] * si * scale[k];
                    const double gain = square + (1.0 + MARGIN) * (c[k] * c[k]) - 2.0 * r * ci * c[k] -
                                        t * ((1.0 - 0.1 * MARGIN) - r * r);
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
                const double gain = square + (1.0 + MARGIN) * (cj * cj) - 2.0 * r * ci * cj -
                                    threshold(list) * ((1.0 - 0.1 * MARGIN) - r * r);
                if (gain > 0.0 && ci - r * cj > 0.0 && cj - r * ci > 0.0 && !same_group(p, i, j)) {
                    const int32_t ids[2] = {(int32_t)i, (int32_t)j};
                    offer(p, ids, 2, list);
                }
            }
        }
    }
}

/* Offer `ids` with each other reference. After projecting the set out, reference k has the squared
 * length d and the correlation a / sqrt(d); it adds a^2 / d. work: m * n doubles. */
FA_BODY void extend_body(const problem *p, const int32_t *ids, size_t m, best_list *list, double *work)
{
    double l[FA_SUBSET_MAX][FA_SUBSET_MAX];
    double z[FA_SUBSET_MAX];
    const size_t n = p->n;
    if (!factor(p, ids, m, l, z)) {
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
        const double t = threshold(list) - before;
        if (a[k] > 0.0 && d[k] > 0.5 * DETERMINANT_MIN &&
            (1.0 + MARGIN) * a[k] * a[k] + MARGIN * (t > 0.0 ? t : 0.0) >= t * d[k]) {
            int32_t more[FA_SUBSET_MAX];
            memcpy(more, ids, m * sizeof *ids);
            more[m] = (int32_t)k;
            offer(p, more, m + 1, list);
        }
    }
}

typedef struct {
    double *restrict u; /* correlation with i, over d */
    double *restrict v; /* 1 / length beside i */
    double *restrict a; /* correlation with y beside i */
    double *restrict a2;
} beside;

/* 1 if one of BLOCK columns k may make a better set with i and j. */
FA_BODY int block_passes(const double *restrict row, const double *restrict u, const double *restrict v,
                         const double *restrict a, const double *restrict a2, double uj, double vj,
                         double aj, double aj2, double t)
{
    int64_t any = 0;
    for (size_t k = 0; k < BLOCK; k++) {
        const double r = (row[k] * vj) * v[k] - uj * u[k];
        const double ra = r * a[k];
        const double gain = (aj2 + a2[k]) - (2.0 * aj) * ra - t * ((1.0 - 0.1 * MARGIN) - r * r);
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
FA_BODY void triples_body(const problem *p, const int32_t *order, size_t m, const double *bound,
                          const double *matrix, size_t stride, beside s, best_list *list)
{
    for (size_t i = 0; i + 2 < m; i++) {
        if (bound[i] + bound[i + 1] + bound[i + 2] < threshold(list)) {
            break;
        }
        const double *row_i = matrix + i * stride;
        const double ci = p->c[order[i]];
        for (size_t k = i + 1; k < m; k++) {
            const double r = row_i[k];
            const double d = 1.0 - r * r;
            const double v = d >= DETERMINANT_MIN ? 1.0 / sqrt(d) : NAN;
            s.v[k] = v;
            s.u[k] = r * v;
            s.a[k] = (p->c[order[k]] - r * ci) * v;
            s.a2[k] = (1.0 + MARGIN) * (s.a[k] * s.a[k]);
        }
        for (size_t k = m; k < m + BLOCK; k++) {
            s.v[k] = s.u[k] = s.a[k] = s.a2[k] = NAN;
        }
        size_t reach = m;
        for (size_t j = i + 1; j + 1 < m; j++) {
            double t = threshold(list);
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
            for (size_t k = j + 1; k < reach; k += BLOCK) {
                t = threshold(list) - ci * ci;
                if (!block_passes(row_j + k, s.u + k, s.v + k, s.a + k, s.a2 + k, s.u[j], s.v[j],
                                  s.a[j], s.a2[j], t)) {
                    continue;
                }
                const size_t end = k + BLOCK < m ? k + BLOCK : m;
                for (size_t q = k; q < end; q++) {
                    const double r = (row_j[q] * s.v[j]) * s.v[q] - s.u[j] * s.u[q];
                    const double gain = s.a2[j] + s.a2[q] - 2.0 * r * s.a[j] * s.a[q] -
                                        (threshold(list) - ci * ci) * ((1.0 - 0.1 * MARGIN) - r * r);
                    if (gain > 0.0 && s.a[j] - r * s.a[q] > 0.0 && s.a[q] - r * s.a[j] > 0.0) {
                        const int32_t ids[3] = {order[i], order[j], order[q]};
                        offer(p, ids, 3, list);
                    }
                }
            }
        }
    }
}

#define DEFINE_PATHS(attribute, suffix, wide)                                                               \
    attribute static void gram_##suffix(const float *rows, size_t count, size_t stride, size_t lo,     \
                                        size_t hi, const double *weight, double *gram)                 \
    {                                                                                                  \
        gram_body(rows, count, stride, lo, hi, weight, gram, wide);                                    \
    }                                                                                                  \
    attribute static void along_##suffix(const float *rows, size_t count, size_t stride, size_t lo,    \
                                         size_t hi, const double *weight, const double *measured,      \
                                         double *along)                                                \
    {                                                                                                  \
        along_body(rows, count, stride, lo, hi, weight, measured, along);                              \
    }                                                                                                  \
    attribute static void bounds_##suffix(const problem *p, size_t size, double *bound)                \
    {                                                                                                  \
        bounds_body(p, size, bound);                                                                   \
    }                                                                                                  \
    attribute static void pairs_##suffix(const problem *p, const double *bound, best_list *list)       \
    {                                                                                                  \
        pairs_body(p, bound, list);                                                                    \
    }                                                                                                  \
    attribute static void extend_##suffix(const problem *p, const int32_t *ids, size_t m,              \
                                          best_list *list, double *work)                               \
    {                                                                                                  \
        extend_body(p, ids, m, list, work);                                                            \
    }                                                                                                  \
    attribute static void triples_##suffix(const problem *p, const int32_t *order, size_t m,           \
                                           const double *bound, const double *matrix, size_t stride,   \
                                           beside s, best_list *list)                                  \
    {                                                                                                  \
        triples_body(p, order, m, bound, matrix, stride, s, list);                                     \
    }

DEFINE_PATHS(, plain, 0)
#if FA_HAS_AVX2
DEFINE_PATHS(FA_USE_AVX2, avx2, 1)
#define ON_PATH(path, function, ...) \
    ((path) == FA_PATH_AVX2 ? function##_avx2(__VA_ARGS__) : function##_plain(__VA_ARGS__))
#else
#define ON_PATH(path, function, ...) ((void)(path), function##_plain(__VA_ARGS__))
#endif

/* ---- Workspace -------------------------------------------------------------------------------- */

static size_t padded(size_t n)
{
    return (n + LANES - 1) / LANES * LANES + BLOCK;
}

size_t fa_subsets_work(size_t n)
{
    /* scale, c, bound, sorted bound, four `beside`, (2 + FA_SUBSET_MAX) of extend, order, matrix */
    const size_t width = padded(n);
    return (9 + 2 + FA_SUBSET_MAX) * width + (n + 1) * width;
}

static int usable(const double *gram, size_t gram_length, const double *along, size_t along_length,
                  const int32_t *groups, size_t groups_length, size_t n)
{
    if (gram == NULL || along == NULL || n > 0x7fff || gram_length < n * n || along_length < n) {
        return 0;
    }
    return groups == NULL || groups_length >= n;
}

static problem set_up(const double *gram, const double *along, const int32_t *groups, size_t n,
                      double *work)
{
    double *scale = work;
    double *c = work + padded(n);
    for (size_t i = 0; i < n; i++) {
        const double square = gram[i * n + i];
        const double s = square > 0.0 && isfinite(square) ? 1.0 / sqrt(square) : 0.0;
        const int usable_column = s > 0.0 && isfinite(s) && isfinite(along[i] * s);
        scale[i] = usable_column ? s : 0.0;
        c[i] = usable_column ? along[i] * s : NAN;
    }
    const problem p = {gram, groups, n, scale, c, along};
    return p;
}

static void find_pairs(const problem *p, best_list *list, double *work, int path)
{
    double *bound = work + 2 * padded(p->n);
    ON_PATH(path, bounds, p, 2, bound);
    ON_PATH(path, pairs, p, bound, list);
}

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

/* `seed`: a pair to start from, or NULL. Extending it sets the level that the scan must reach. */
static void find_triples(const problem *p, const fa_subset *seed, best_list *list, double *work, int path)
{
    const size_t n = p->n;
    const size_t width = padded(n);
    double *bound = work + 2 * width;
    double *sorted = work + 3 * width;
    const beside s = {work + 4 * width, work + 5 * width, work + 6 * width, work + 7 * width};
    double *extension = work + 8 * width;
    int32_t *order = (int32_t *)(void *)(work + (10 + FA_SUBSET_MAX) * width);
    double *matrix = work + (11 + FA_SUBSET_MAX) * width;
    if (seed != NULL) {
        ON_PATH(path, extend, p, seed->ids, (size_t)seed->size, list, extension);
    }
    ON_PATH(path, bounds, p, 3, bound);
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
        if (p->scale[i] > 0.0 && bound[i] + first + second >= threshold(list)) {
            order[m++] = (int32_t)i;
        }
    }
    sort_by_bound(order, m, bound);
    const size_t stride = padded(m);
    for (size_t i = 0; i < m; i++) {
        const size_t oi = (size_t)order[i];
        double *row = matrix + i * stride;
        sorted[i] = bound[oi];
        for (size_t k = i + 1; k < m; k++) {
            const size_t ok = (size_t)order[k];
            row[k] = same_group(p, oi, ok) ? NAN : entry(p, oi, ok) * p->scale[oi] * p->scale[ok];
        }
        for (size_t k = m; k < stride; k++) {
            row[k] = NAN;
        }
    }
    ON_PATH(path, triples, p, order, m, sorted, matrix, stride, s, list);
}

static void find_singles(const problem *p, best_list *list)
{
    for (size_t i = 0; i < p->n; i++) {
        const int32_t id = (int32_t)i;
        if (p->c[i] > 0.0 && p->c[i] * p->c[i] >= threshold(list)) {
            offer(p, &id, 1, list);
        }
    }
}

/* ---- Larger sets ------------------------------------------------------------------------------ */

/* Sets one larger than those of `smaller`, then exchange of one reference until nothing improves. */
static void find_larger(const problem *p, const best_list *smaller, best_list *list, double *work,
                        int path)
{
    double *extension = work + 8 * padded(p->n);
    for (size_t i = 0; i < smaller->count; i++) {
        const fa_subset *set = &smaller->items[i];
        ON_PATH(path, extend, p, set->ids, (size_t)set->size, list, extension);
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
            ON_PATH(path, extend, p, rest, m, list, extension);
        }
        if (ids_order(&start, &list->items[0]) == 0) {
            break;
        }
    }
}

/* ---- Entry points ----------------------------------------------------------------------------- */

static int rows_fit(const float *rows, size_t rows_length, size_t count, size_t columns, size_t stride,
                    size_t lo, size_t hi, const double *weight, size_t weight_length)
{
    if (rows == NULL || count == 0 || count > 0x7fff || columns > INT32_MAX || columns > stride ||
        stride > INT32_MAX || lo > hi || hi > columns) {
        return 0;
    }
    if (rows_length < columns || (stride > 0 && count - 1 > (rows_length - columns) / stride)) {
        return 0;
    }
    return weight == NULL || weight_length >= columns;
}

int fa_gram(const float *rows, size_t rows_length, size_t count, size_t columns, size_t stride,
            size_t lo, size_t hi, const double *weight, size_t weight_length,
            double *gram, size_t gram_length, int path)
{
    path = fa_path(path);
    if (path == 0 || gram == NULL ||
        !rows_fit(rows, rows_length, count, columns, stride, lo, hi, weight, weight_length) ||
        gram_length < count * count) {
        return FA_INVALID;
    }
    ON_PATH(path, gram, rows, count, stride, lo, hi, weight, gram);
    return FA_OK;
}

int fa_along(const float *rows, size_t rows_length, size_t count, size_t columns, size_t stride,
             size_t lo, size_t hi, const double *weight, size_t weight_length,
             const double *measured, size_t measured_length, double *along, size_t along_length, int path)
{
    path = fa_path(path);
    if (path == 0 || along == NULL || measured == NULL ||
        !rows_fit(rows, rows_length, count, columns, stride, lo, hi, weight, weight_length) ||
        measured_length < columns || along_length < count) {
        return FA_INVALID;
    }
    ON_PATH(path, along, rows, count, stride, lo, hi, weight, measured, along);
    return FA_OK;
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
    if (path == 0 || !usable(gram, gram_length, along, along_length, groups, groups_length, n) ||
        size < 1 || size > 3 || keep == 0 || subsets == NULL || subsets_capacity < keep ||
        work == NULL || work_length < fa_subsets_work(n)) {
        return FA_INVALID;
    }
    const problem p = set_up(gram, along, groups, n, work);
    best_list list = {subsets, keep, 0};
    if (size == 1) {
        find_singles(&p, &list);
    } else if (size == 2) {
        find_pairs(&p, &list, work, path);
    } else {
        fa_subset pair;
        best_list seed = {&pair, 1, 0};
        find_pairs(&p, &seed, work, path);
        find_triples(&p, seed.count > 0 ? &pair : NULL, &list, work, path);
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
    if (path == 0 || !usable(gram, gram_length, along, along_length, groups, groups_length, n) ||
        max_components < 1 || max_components > FA_SUBSET_MAX || keep == 0 || subsets == NULL ||
        subsets_capacity / max_components < keep || counts == NULL ||
        counts_capacity < max_components || work == NULL || work_length < fa_subsets_work(n)) {
        return FA_INVALID;
    }
    const problem p = set_up(gram, along, groups, n, work);
    best_list smaller = {subsets, keep, 0};
    for (size_t size = 1; size <= max_components; size++) {
        best_list list = {subsets + (size - 1) * keep, keep, 0};
        if (size == 1) {
            find_singles(&p, &list);
        } else if (size == 2) {
            find_pairs(&p, &list, work, path);
        } else if (size == 3) {
            find_triples(&p, smaller.count > 0 ? smaller.items : NULL, &list, work, path);
        } else {
            find_larger(&p, &smaller, &list, work, path);
        }
        counts[size - 1] = list.count;
        smaller = list;
    }
    return FA_OK;
}

/* ---- Non-negative least squares ---------------------------------------------------------------- */

size_t fa_nonnegative_work(size_t n)
{
    return n * n + 4 * n;
}

/* Solve on the columns order[0..m): factor in l (row-major n), solution in s. The last column is left
 * out (returns 0) if it depends on the others. Rows before `from` of the factor are still right. */
static int solve_active(const double *gram, const double *along, size_t n, const size_t *order, size_t m,
                        size_t from, double *l, double *z, double *s)
{
    for (size_t a = from; a < m; a++) {
        const double *row = gram + order[a] * n;
        double *la = l + a * n;
        double d = row[order[a]];
        double sum = along[order[a]];
        for (size_t b = 0; b < a; b++) {
            double value = row[order[b]];
            const double *lb = l + b * n;
            for (size_t k = 0; k < b; k++) {
                value -= la[k] * lb[k];
            }
            la[b] = value / lb[b];
            d -= la[b] * la[b];
            sum -= la[b] * z[b];
        }
        if (!(d > DEPENDENT * row[order[a]])) {
            return 0;
        }
        la[a] = sqrt(d);
        z[a] = sum / la[a];
    }
    for (size_t a = m; a-- > 0;) {
        double sum = z[a];
        for (size_t b = a + 1; b < m; b++) {
            sum -= l[b * n + a] * s[b];
        }
        s[a] = sum / l[a * n + a];
    }
    return 1;
}

int fa_nonnegative(const double *gram, size_t gram_length, const double *along, size_t along_length,
                   size_t n, double *weights, size_t weights_length, double *work, size_t work_length)
{
    if (!usable(gram, gram_length, along, along_length, NULL, 0, n) || weights == NULL ||
        weights_length < n || work == NULL || work_length < fa_nonnegative_work(n)) {
        return FA_INVALID;
    }
    double *l = work;
    double *z = l + n * n;
    double *s = z + n;
    size_t *order = (size_t *)(void *)(s + n); /* the active columns, then the rest */
    double *barred = s + 2 * n;                /* dependent on those in use now */
    int finite = 1;
    for (size_t i = 0; i < n * n; i++) {
        finite &= isfinite(gram[i]) != 0;
    }
    for (size_t i = 0; i < n; i++) {
        finite &= isfinite(along[i]) != 0;
        weights[i] = 0.0;
        order[i] = i;
        barred[i] = 0.0;
    }
    if (!finite) {
        for (size_t i = 0; i < n; i++) {
            weights[i] = NAN;
        }
        return FA_NOT_FINITE;
    }
    size_t active = 0;
    for (size_t step = 0; step < 10 * n + 10; step++) {
        size_t best = n;
        double best_gain = 0.0;
        for (size_t q = active; q < n; q++) { /* the column whose entry gains most, to first order */
            const size_t i = order[q];
            const double *row = gram + i * n;
            double gradient = along[i];
            double size = fabs(along[i]);
            for (size_t k = 0; k < active; k++) {
                const double part = row[order[k]] * weights[order[k]];
                gradient -= part;
                size += fabs(part);
            }
            if (barred[i] > 0.0 || !(row[i] > 0.0) || !(gradient > 1e-14 * size)) {
                continue;
            }
            const double gain = gradient / sqrt(row[i]);
            if (gain > best_gain) {
                best = q;
                best_gain = gain;
            }
        }
        if (best == n) {
            break;
        }
        const size_t entering = order[best];
        order[best] = order[active];
        order[active] = entering;
        size_t from = active;
        active++;
        if (!solve_active(gram, along, n, order, active, from, l, z, s) || !(s[active - 1] > 0.0)) {
            barred[entering] = 1.0;
            active--;
            continue;
        }
        for (;;) {
            double alpha = 1.0;
            size_t leaving = active;
            for (size_t a = 0; a < active; a++) {
                if (!(s[a] > 0.0)) {
                    const double w = weights[order[a]];
                    const double ratio = w / (w - s[a]);
                    if (leaving == active || ratio < alpha) {
                        alpha = ratio;
                        leaving = a;
                    }
                }
            }
            if (leaving == active) {
                break;
            }
            for (size_t a = 0; a < active; a++) {
                weights[order[a]] += alpha * (s[a] - weights[order[a]]);
            }
            const size_t gone = order[leaving];
            weights[gone] = 0.0;
            for (size_t a = leaving; a + 1 < active; a++) {
                order[a] = order[a + 1];
            }
            active--;
            order[active] = gone;
            (void)solve_active(gram, along, n, order, active, leaving, l, z, s);
        }
        for (size_t a = 0; a < active; a++) {
            weights[order[a]] = s[a];
        }
        for (size_t i = 0; i < n; i++) {
            barred[i] = 0.0;
        }
    }
    return FA_OK;
}
