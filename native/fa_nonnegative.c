/* See fa_fits.h: non-negative least squares on a Gram matrix, by active columns. */
#include "fa_subsets.h"

#include <math.h>

static const double DEPENDENT = 1e-12; /* of the square of a column: what is left of it beside the others */

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
    if (!fa_usable(gram, gram_length, along, along_length, NULL, 0, n) || weights == NULL ||
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
