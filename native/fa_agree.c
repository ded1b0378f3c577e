/* See fa_agree.h. Sums run in eight lanes whatever the path, so all of them give the same bits. */
#include "fa_agree.h"

#include <math.h>
#include <string.h>

#include "fa_signal.h"

#define LANES 8
#define SHIFTS (2 * (FA_AXIS_LAGS - 1) * FA_AXIS_FINE + 1)
#define PAIRS (SHIFTS * FA_AXIS_STRETCHES)
#define MOMENTS 5 /* 1, t, ... t^4 */

static const size_t COLUMNS_MAX = (size_t)1 << 28;
static const double SHIFT_MAX = 1e6;
static const double ERROR_COLUMNS = 25.0; /* errors hang together over a band */

#define ON_PATH(path, name, ...)                                                                     \
    do {                                                                                             \
        if ((path) == FA_PATH_AVX2) {                                                                \
            name##_avx2(__VA_ARGS__);                                                                \
        } else {                                                                                     \
            name##_plain(__VA_ARGS__);                                                               \
        }                                                                                            \
    } while (0)

/* ---- Loops, once a path ------------------------------------------------------------------------- */

/* y between its points, the first or last value beyond them. */
FA_BODY double between(const double *y, size_t n, double at)
{
    if (!(at > 0.0)) {
        return y[0];
    }
    const size_t below = (size_t)at;
    if (below + 1 >= n) {
        return y[n - 1];
    }
    return (y[below + 1] - y[below]) * (at - (double)below) + y[below];
}

FA_BODY void even_kernel(const double *restrict y, size_t n, const double *restrict taps, size_t half,
                         double *restrict out)
{
    for (size_t i = 0; i < n; i++) { /* y starts `half` before the first */
        out[i] = taps[0] * y[i + half];
    }
    for (size_t k = 1; k <= half; k++) {
        const double *before = y + (half - k), *after = y + (half + k);
        const double tap = taps[k];
        for (size_t i = 0; i < n; i++) {
            out[i] += tap * (before[i] + after[i]);
        }
    }
}

FA_BODY double lanes_sum(const double *lanes)
{
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

/* sums[j] of x[i] y[i] t^j for j < moments; t of column i is start + i * step. */
FA_BODY void moments(const double *restrict x, const double *restrict y, size_t n, double start, double step,
                     size_t count, double *restrict sums)
{
    double lanes[MOMENTS][LANES] = {{0.0}};
    const size_t whole = n - n % LANES;
    for (size_t i = 0; i < whole; i += LANES) {
        double term[LANES], t[LANES];
        for (size_t k = 0; k < LANES; k++) {
            term[k] = x[i + k] * y[i + k];
            t[k] = start + step * (double)(int32_t)(i + k);
        }
        for (size_t j = 0; j < count; j++) {
            for (size_t k = 0; k < LANES; k++) {
                lanes[j][k] += term[k];
                term[k] *= t[k];
            }
        }
    }
    for (size_t i = whole; i < n; i++) {
        double term = x[i] * y[i];
        const double t = start + step * (double)(int32_t)i;
        for (size_t j = 0; j < count; j++) {
            lanes[j][i - whole] += term;
            term *= t;
        }
    }
    for (size_t j = 0; j < count; j++) {
        sums[j] = lanes_sum(lanes[j]);
    }
}

/* Sums of b^2, b^4, a b and a^2. */
FA_BODY void compare(const double *restrict a, const double *restrict b, size_t n, double *restrict sums)
{
    double lanes[4][LANES] = {{0.0}};
    const size_t whole = n - n % LANES;
    for (size_t i = 0; i < whole; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            const double square = b[i + k] * b[i + k];
            lanes[0][k] += square;
            lanes[1][k] += square * square;
            lanes[2][k] += a[i + k] * b[i + k];
            lanes[3][k] += a[i + k] * a[i + k];
        }
    }
    for (size_t i = whole; i < n; i++) {
        const double square = b[i] * b[i];
        lanes[0][i - whole] += square;
        lanes[1][i - whole] += square * square;
        lanes[2][i - whole] += a[i] * b[i];
        lanes[3][i - whole] += a[i] * a[i];
    }
    for (size_t j = 0; j < 4; j++) {
        sums[j] = lanes_sum(lanes[j]);
    }
}

FA_BODY void widen(const float *restrict row, size_t n, double *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (double)row[i];
    }
}

FA_BODY void scale(double *restrict values, size_t n, double factor)
{
    for (size_t i = 0; i < n; i++) {
        values[i] *= factor;
    }
}

FA_BODY void bend(double *restrict values, size_t n, double start, double step, const double *change)
{
    for (size_t i = 0; i < n; i++) {
        const double t = start + step * (double)(int32_t)i;
        const double factor = 1.0 + (change[0] + t * (change[1] + t * change[2]));
        const double low = factor < 0.5 ? 0.5 : factor;
        values[i] *= low > 2.0 ? 2.0 : low;
    }
}

#define DEFINE_LOOPS(attribute, path)                                                                \
    attribute static void even_kernel_##path(const double *y, size_t n, const double *taps,          \
                                             size_t half, double *out)                               \
    {                                                                                                \
        even_kernel(y, n, taps, half, out);                                                          \
    }                                                                                                \
    attribute static void moments_##path(const double *x, const double *y, size_t n, double start,   \
                                         double step, double *sums)                                  \
    {                                                                                                \
        moments(x, y, n, start, step, MOMENTS, sums);                                                \
    }                                                                                                \
    attribute static void product_##path(const double *x, const double *y, size_t n, double *sum)    \
    {                                                                                                \
        moments(x, y, n, 0.0, 0.0, 1, sum);                                                          \
    }                                                                                                \
    attribute static void compare_##path(const double *a, const double *b, size_t n, double *sums)   \
    {                                                                                                \
        compare(a, b, n, sums);                                                                      \
    }                                                                                                \
    attribute static void widen_##path(const float *row, size_t n, double *out)                      \
    {                                                                                                \
        widen(row, n, out);                                                                          \
    }                                                                                                \
    attribute static void scale_##path(double *values, size_t n, double factor)                      \
    {                                                                                                \
        scale(values, n, factor);                                                                    \
    }                                                                                                \
    attribute static void bend_##path(double *values, size_t n, double start, double step,           \
                                      const double *change)                                          \
    {                                                                                                \
        bend(values, n, start, step, change);                                                        \
    }

DEFINE_LOOPS(, plain)
#if FA_HAS_AVX2
DEFINE_LOOPS(FA_USE_AVX2, avx2)
#else
#undef ON_PATH
#define ON_PATH(path, name, ...) name##_plain(__VA_ARGS__)
#endif

/* ---- Axis and line width ------------------------------------------------------------------------ */

int fa_moved(const double *values, size_t values_length, size_t n, double shift, double stretch,
             double *out, size_t out_length, int path)
{
    if (fa_path(path) == 0 || values == NULL || out == NULL || n == 0 || n > COLUMNS_MAX ||
        values_length < n || out_length < n || !(fabs(shift) <= SHIFT_MAX) ||
        !(fabs(stretch) * (double)n <= SHIFT_MAX)) {
        return FA_INVALID;
    }
    const double middle = 0.5 * (double)(n - 1);
    for (size_t i = 0; i < n; i++) {
        out[i] = between(values, n, ((double)i + shift) + stretch * ((double)i - middle));
    }
    return FA_OK;
}

static void even(const double *values, size_t n, const double *taps, size_t half, double *out, double *work,
                 int path)
{
    memset(work, 0, half * sizeof *work);
    memcpy(work + half, values, n * sizeof *work);
    memset(work + half + n, 0, half * sizeof *work);
    ON_PATH(path, even_kernel, work, n, taps, half, out);
    (void)path;
}

int fa_even_kernel(const double *values, size_t values_length, size_t n, const double *taps,
                   size_t taps_length, size_t half, double *out, size_t out_length, double *work,
                   size_t work_length, int path)
{
    path = fa_path(path);
    if (path == 0 || values == NULL || taps == NULL || out == NULL || work == NULL || n == 0 ||
        n > COLUMNS_MAX || half > FA_AGREE_TAPS_MAX || values_length < n || out_length < n ||
        taps_length < half + 1 || work_length < n + 2 * half) {
        return FA_INVALID;
    }
    even(values, n, taps, half, out, work, path);
    return FA_OK;
}

/* ---- Agreement ---------------------------------------------------------------------------------- */

size_t fa_agree_work(size_t columns, size_t half)
{
    return columns > COLUMNS_MAX || half > FA_AGREE_TAPS_MAX ? 0 : 3 * columns + 2 * half;
}

/* Coefficients of the response less 1; 0 where the model is nothing or goes the other way. */
static void response(const double *a, const double *b, size_t n, double start, double step, double sd,
                     double *change, int path)
{
    double m[MOMENTS], along[MOMENTS], aa;
    change[0] = change[1] = change[2] = 0.0;
    ON_PATH(path, moments, b, b, n, start, step, m);
    ON_PATH(path, moments, a, b, n, start, step, along);
    ON_PATH(path, product, a, a, n, &aa);
    (void)path;
    if (!(m[0] > 0.0) || !(along[0] > 0.0)) {
        return;
    }
    const double height = along[0] / m[0];
    const double left = aa - height * along[0];
    const double variance = (left > 0.0 ? left : 0.0) / (double)n * ERROR_COLUMNS;
    const double ridge = variance / ((sd * height) * (sd * height)) + 1e-12 * m[0];
    const double r0 = along[0] - height * m[0];
    const double r1 = along[1] - height * m[1];
    const double r2 = along[2] - height * m[2];
    const double d0 = m[0] + 1e-12 * m[0]; /* L D L' */
    const double l10 = m[1] / d0, l20 = m[2] / d0;
    const double d1 = (m[2] + ridge) - l10 * m[1];
    const double l21 = (m[3] - l20 * m[1]) / d1;
    const double d2 = ((m[4] + ridge) - l20 * m[2]) - l21 * (m[3] - l20 * m[1]);
    const double z1 = r1 - l10 * r0;
    const double z2 = (r2 - l20 * r0) - l21 * z1;
    const double x2 = z2 / d2;
    const double x1 = z1 / d1 - l21 * x2;
    const double x0 = (r0 / d0 - l10 * x1) - l20 * x2;
    if (isfinite(x0) && isfinite(x1) && isfinite(x2)) {
        change[0] = x0 / height;
        change[1] = x1 / height;
        change[2] = x2 / height;
    }
}

int fa_agree(const float *rows, size_t rows_length, size_t count, size_t columns, size_t stride,
             const int32_t *valid, size_t valid_length, const double *linear, const double *threshold,
             const double *compressed, size_t measured_length, size_t lo, size_t hi, double power, double sd,
             const double *taps, size_t taps_length, size_t half, const int32_t *chosen,
             const int32_t *shifts, size_t tried, fa_agreement *out, size_t out_length, double *work,
             size_t work_length, int path)
{
    path = fa_path(path);
    if (path == 0 || rows == NULL || valid == NULL || linear == NULL || threshold == NULL ||
        compressed == NULL || chosen == NULL || shifts == NULL || out == NULL || work == NULL ||
        columns == 0 || columns > COLUMNS_MAX || stride < columns || count == 0 ||
        rows_length < columns || (rows_length - columns) / stride < count - 1 || valid_length / 2 < count ||
        measured_length < columns || lo > hi || hi > columns || !(power > 0.0) || isinf(power) ||
        half > FA_AGREE_TAPS_MAX || (half > 0 && (taps == NULL || taps_length < half + 1)) ||
        out_length < tried || work_length < fa_agree_work(columns, half)) {
        return FA_INVALID;
    }
    for (size_t h = 0; h < tried; h++) {
        if (chosen[h] < 0 || (size_t)chosen[h] >= count ||
            (lo < hi && ((int64_t)lo + shifts[h] < 0 || (int64_t)hi + shifts[h] > (int64_t)columns))) {
            return FA_INVALID;
        }
    }
    double *base = work, *model = work + columns, *room = work + 2 * columns;
    const double step = 2.0 / (double)columns;
    for (size_t h = 0; h < tried; h++) {
        const size_t row = (size_t)chosen[h];
        const int64_t first = valid[2 * row], last = valid[2 * row + 1];
        const size_t from = first > (int64_t)lo ? (first < (int64_t)hi ? (size_t)first : hi) : lo;
        const size_t to = last < (int64_t)hi ? (last > (int64_t)from ? (size_t)last : from) : hi;
        const size_t n = to > from ? to - from : 0;
        fa_agreement found = {0.0, 0.0, 0.0, 0.0};
        if (n > 0) {
            const size_t at = (size_t)((int64_t)from + shifts[h]);
            const double start = (2.0 * (double)from - (double)columns + 1.0) / (double)columns;
            double square, along, sums[4];
            if (half > 0) {
                ON_PATH(path, widen, rows + row * stride, columns, model);
                even(model, columns, taps, half, base, room, path);
                memmove(base, base + from, n * sizeof *base);
            } else {
                ON_PATH(path, widen, rows + row * stride + from, n, base);
            }
            ON_PATH(path, product, base, base, n, &square);
            ON_PATH(path, product, base, linear + at, n, &along);
            found.weight = square > 0.0 && along > 0.0 ? along / square : 0.0;
            ON_PATH(path, scale, base, n, found.weight);
            const int status = fa_compress(base, n, threshold + at, n, n, power, model, n, path);
            if (status != FA_OK) {
                return status; /* not reached: the arguments were checked */
            }
            if (sd > 0.0) {
                double change[3];
                response(compressed + at, model, n, start, step, sd, change, path);
                ON_PATH(path, bend, model, n, start, step, change);
            }
            ON_PATH(path, compare, compressed + at, model, n, sums);
            const double norm = sqrt(sums[3] * sums[0]);
            found.agreement = norm > 0.0 ? sums[2] / norm : 0.0;
            found.power = sums[0];
            found.fourth = sums[1];
        }
        out[h] = found;
    }
    return FA_OK;
}

/* ---- Shift and stretch -------------------------------------------------------------------------- */

static size_t segments(size_t n)
{
    return (n + FA_AXIS_SEGMENT - 1) / FA_AXIS_SEGMENT;
}

size_t fa_axis_work(size_t n)
{
    return n == 0 || n > COLUMNS_MAX ? 0 : segments(n) * (2 * FA_AXIS_LAGS + 6) + PAIRS;
}

int fa_axis(const double *measured, size_t measured_length, const double *reference,
            size_t reference_length, size_t n, double guess, const fa_axis_prior *prior,
            fa_axis_found *found, double *work, size_t work_length)
{
    if (measured == NULL || reference == NULL || prior == NULL || found == NULL || work == NULL || n == 0 ||
        n > COLUMNS_MAX || measured_length < n || reference_length < n || work_length < fa_axis_work(n) ||
        !(prior->stretch_sd > 0.0) || isinf(prior->stretch_sd)) {
        return FA_INVALID;
    }
    const fa_axis_found nothing = {guess, 0.0, INFINITY, INFINITY, 0.0};
    size_t first = 0, last = n, used = 0;
    while (first < n && reference[first] == 0.0) {
        first++;
    }
    while (last > first && reference[last - 1] == 0.0) {
        last--;
    }
    double own = 0.0, theirs = 0.0;
    for (size_t i = first; i < last; i++) {
        used += reference[i] != 0.0;
        own += reference[i] * reference[i];
        theirs += measured[i] * measured[i];
    }
    const double norm = sqrt(own) * sqrt(theirs);
    if (used < 3 || !(norm > 0.0)) {
        *found = nothing;
        return FA_OK;
    }
    const size_t count = segments(last - first);
    double *table = work;                                     /* one row a lag */
    double *energy = table + (2 * FA_AXIS_LAGS + 1) * count;  /* of each segment */
    double *said = energy + count;                            /* by each, of one pair of shift and stretch */
    double *top = said + count;                               /* the most that all but one say, */
    double *at_shift = top + count, *at_stretch = at_shift + count; /* and where */
    double *total = at_stretch + count;
    for (size_t s = 0; s < count; s++) {
        const size_t from = first + s * FA_AXIS_SEGMENT;
        const size_t to = from + FA_AXIS_SEGMENT < last ? from + FA_AXIS_SEGMENT : last;
        double sums[2 * FA_AXIS_LAGS + 1] = {0.0}, square = 0.0;
        const int inside = from >= FA_AXIS_LAGS && to + FA_AXIS_LAGS <= n;
        for (size_t i = from; i < to; i++) {
            square += reference[i] * reference[i];
        }
        for (size_t i = from; i < to && inside; i++) {
            for (size_t lag = 0; lag <= 2 * FA_AXIS_LAGS; lag++) {
                sums[lag] += measured[i + lag - FA_AXIS_LAGS] * reference[i];
            }
        }
        for (size_t i = from; i < to && !inside; i++) {
            for (size_t lag = 0; lag <= 2 * FA_AXIS_LAGS; lag++) {
                const size_t at = i + lag; /* FA_AXIS_LAGS too high */
                const double y = at < FA_AXIS_LAGS || at - FA_AXIS_LAGS >= n ? 0.0 : measured[at - FA_AXIS_LAGS];
                sums[lag] += y * reference[i];
            }
        }
        energy[s] = square;
        for (size_t lag = 0; lag <= 2 * FA_AXIS_LAGS; lag++) {
            table[lag * count + s] = sums[lag] / norm;
        }
    }
    double shifts[SHIFTS], stretches[FA_AXIS_STRETCHES];
    for (size_t i = 0; i < SHIFTS; i++) {
        shifts[i] = ((double)i - (SHIFTS - 1) / 2) / FA_AXIS_FINE;
    }
    for (size_t j = 0; j < FA_AXIS_STRETCHES; j++) {
        const double half = (FA_AXIS_STRETCHES - 1) / 2;
        stretches[j] = 3.0 * prior->stretch_sd * (((double)j - half) / half);
    }
    const double middle = 0.5 * (double)(n - 1);
    for (size_t s = 0; s < count; s++) {
        top[s] = -INFINITY;
        at_shift[s] = shifts[0];
        at_stretch[s] = stretches[0];
    }
    size_t best = 0;
    for (size_t i = 0; i < SHIFTS; i++) {
        const double shift = guess + shifts[i];
        for (size_t j = 0; j < FA_AXIS_STRETCHES; j++) {
            const size_t p = i * FA_AXIS_STRETCHES + j;
            const double relative = stretches[j] / prior->stretch_sd;
            double sum = 0.0;
            for (size_t s = 0; s < count; s++) {
                size_t centre = s * FA_AXIS_SEGMENT + FA_AXIS_SEGMENT / 2;
                centre = first + (centre < last - first ? centre : last - first - 1);
                const double wanted = shifts[i] + stretches[j] * ((double)centre - middle);
                const double low = wanted < -FA_AXIS_LAGS ? -FA_AXIS_LAGS : wanted;
                const double local = low > FA_AXIS_LAGS ? FA_AXIS_LAGS : low;
                double near = (local + 0x1.8p52) - 0x1.8p52; /* the nearest whole number */
                near = near >= 1 - FA_AXIS_LAGS ? near : 1 - FA_AXIS_LAGS; /* NaN too */
                near = near > FA_AXIS_LAGS - 1 ? FA_AXIS_LAGS - 1 : near;
                const double rest = local - near;
                const double *row = table + (size_t)(near + FA_AXIS_LAGS) * count + s;
                const double left = row[-(ptrdiff_t)count], mid = row[0], right = row[count];
                const double value = (mid + 0.5 * rest * (right - left)) +
                                     0.5 * rest * rest * ((right - 2.0 * mid) + left);
                said[s] = value;
                sum += value;
            }
            total[p] = sum - ((prior->shift_penalty * (shift * shift) +
                               prior->stretch_penalty * (relative * relative)) +
                              (fabs(shift) > prior->max_shift + 1e-9 ? 1e3 : 0.0));
            best = total[p] > total[best] ? p : best;
            for (size_t s = 0; s < count; s++) { /* jackknife: what the others say without it */
                const double value = total[p] - said[s];
                const int more = value > top[s];
                top[s] = more ? value : top[s];
                at_shift[s] = more ? shifts[i] : at_shift[s];
                at_stretch[s] = more ? stretches[j] : at_stretch[s];
            }
        }
    }
    const size_t i = best / FA_AXIS_STRETCHES;
    double shift = guess + shifts[i];
    if (i > 0 && i + 1 < SHIFTS) {
        const double low = total[best - FA_AXIS_STRETCHES], high = total[best + FA_AXIS_STRETCHES];
        const double bent = (low - 2.0 * total[best]) + high;
        if (bent < 0.0) {
            double step = 0.5 * (low - high) / bent;
            step = step < -0.5 ? -0.5 : step;
            shift += (step > 0.5 ? 0.5 : step) / FA_AXIS_FINE;
        }
    }
    found->shift = shift;
    found->stretch = stretches[best % FA_AXIS_STRETCHES];
    double weights = 0.0, mean_shift = 0.0, mean_stretch = 0.0, of_shift = 0.0, of_stretch = 0.0;
    for (size_t s = 0; s < count; s++) {
        const double part = energy[s] / own;
        weights += part * part;
        mean_shift += at_shift[s];
        mean_stretch += at_stretch[s];
    }
    mean_shift /= (double)count;
    mean_stretch /= (double)count;
    for (size_t s = 0; s < count; s++) {
        of_shift += (at_shift[s] - mean_shift) * (at_shift[s] - mean_shift);
        of_stretch += (at_stretch[s] - mean_stretch) * (at_stretch[s] - mean_stretch);
    }
    const double spread = (double)(count - 1) / (double)count;
    found->shift_error = sqrt(spread * of_shift);
    found->stretch_error = sqrt(spread * of_stretch);
    found->witnesses = 1.0 / weights;
    return FA_OK;
}
