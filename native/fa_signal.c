/* See fa_signal.h. Vectors are the compiler's: of two doubles, or of four with AVX2; each element goes
 * through the same operations in every path, alone or beside others. */
#include "fa_signal.h"

#include <math.h>
#include <string.h>

/* Aligned like a double, so that any array of doubles can be read as vectors. */
typedef double two __attribute__((vector_size(16), aligned(8), may_alias));
typedef double four __attribute__((vector_size(32), aligned(8), may_alias));
#define BATCH 8 /* spectra side by side */
#define ROW 16  /* neighbouring results at once */

static const double SMOOTHNESS_MAX = 1e12;
static const size_t LENGTH_MAX = (size_t)1 << 28;

/* ---- Asymmetric least squares ------------------------------------------------------------------ */

/* Solves (W + c D'D) x = W y for K vectors side by side, by elimination from both ends at once: two chains
 * of divisions instead of one twice as long. Rows p and p + 1 meet in the middle. n >= 5.
 * D'D has 1 5 6 6 ... on the diagonal, -2 -4 -4 ... and 1 1 ... beside it, and is its own mirror image. */
#define ELIMINATE(T, K, side, row, next, diagonal)                                                   \
    for (size_t k = 0; k < (K); k++) {                                                               \
        const T inverse = 1.0 / d[side][k];                                                          \
        const T f1 = e[side][k] * inverse;                                                           \
        const T f2 = c * inverse;                                                                    \
        const T wn = w[(next) * (K) + k];                                                            \
        l1[(row) * (K) + k] = f1;                                                                    \
        l2[(row) * (K) + k] = f2;                                                                    \
        zi[(row) * (K) + k] = z[side][k] * inverse;                                                  \
        d[side][k] = ((c * (diagonal) + wn) - after_d[side][k]) - f1 * e[side][k];                   \
        const T zn = (wn * y[(next) * (K) + k] - after_z[side][k]) - f1 * z[side][k];                \
        e[side][k] = -4.0 * c - f1 * c;                                                              \
        after_d[side][k] = f2 * c;                                                                   \
        after_z[side][k] = f2 * z[side][k];                                                          \
        z[side][k] = zn;                                                                             \
    }

#define SUBSTITUTE(T, K, row, near, far)                                                             \
    for (size_t k = 0; k < (K); k++) {                                                               \
        x[(row) * (K) + k] = (zi[(row) * (K) + k] - l2[(row) * (K) + k] * x[(far) * (K) + k]) -      \
                             l1[(row) * (K) + k] * x[(near) * (K) + k];                              \
    }

#define DEFINE_SOLVE(attribute, name, T, K)                                                          \
    attribute static void name(const T *restrict y, const T *restrict w, size_t n, double c,         \
                               T *restrict l1, T *restrict l2, T *restrict zi, T *restrict x)        \
    {                                                                                                \
        const size_t p = n / 2 - 1;                                                                  \
        const size_t last = n - 1;                                                                   \
        T d[2][K], e[2][K], z[2][K], after_d[2][K], after_z[2][K];                                   \
        for (size_t side = 0; side < 2; side++) {                                                    \
            const size_t row = side == 0 ? 0 : last;                                                 \
            for (size_t k = 0; k < (K); k++) {                                                       \
                const T zero = w[k] - w[k];                                                          \
                d[side][k] = c + w[row * (K) + k];                                                   \
                e[side][k] = zero - 2.0 * c;                                                         \
                z[side][k] = w[row * (K) + k] * y[row * (K) + k];                                    \
                after_d[side][k] = zero;                                                             \
                after_z[side][k] = zero;                                                             \
            }                                                                                        \
        }                                                                                            \
        ELIMINATE(T, K, 0, 0, 1, 5.0)                                                                \
        ELIMINATE(T, K, 1, last, last - 1, 5.0)                                                      \
        for (size_t i = 1; i < p; i++) {                                                             \
            ELIMINATE(T, K, 0, i, i + 1, 6.0)                                                        \
            ELIMINATE(T, K, 1, last - i, last - i - 1, 6.0)                                          \
        }                                                                                            \
        if (n % 2 == 1) {                                                                            \
            ELIMINATE(T, K, 1, p + 2, p + 1, 6.0)                                                    \
        }                                                                                            \
        for (size_t k = 0; k < (K); k++) {                                                           \
            const T m0 = d[0][k] - after_d[1][k];                                                    \
            const T m1 = d[1][k] - after_d[0][k];                                                    \
            const T off = (e[0][k] + e[1][k]) + 4.0 * c;                                             \
            const T r0 = z[0][k] - after_z[1][k];                                                    \
            const T r1 = z[1][k] - after_z[0][k];                                                    \
            const T g = off / m0;                                                                    \
            const T x1 = (r1 - g * r0) / (m1 - g * off);                                             \
            x[(p + 1) * (K) + k] = x1;                                                               \
            x[p * (K) + k] = (r0 - off * x1) / m0;                                                   \
        }                                                                                            \
        for (size_t i = 1; i <= p; i++) {                                                            \
            SUBSTITUTE(T, K, p - i, p - i + 1, p - i + 2)                                            \
            SUBSTITUTE(T, K, p + 1 + i, p + i, p - 1 + i)                                            \
        }                                                                                            \
        if (n % 2 == 1) {                                                                            \
            SUBSTITUTE(T, K, last, last - 1, last - 2)                                               \
        }                                                                                            \
    }

/* Weights for the baseline z; how many differ from those before. */
#define DEFINE_WEIGH(attribute, name)                                                                \
    attribute static int64_t name(const double *restrict y, const double *restrict z, size_t n,      \
                                  double above, double below, double *restrict w)                    \
    {                                                                                                \
        int64_t changed = 0;                                                                         \
        for (size_t i = 0; i < n; i++) {                                                             \
            const double now = y[i] > z[i] ? above : below;                                          \
            changed += now == w[i] ? 0 : 1;                                                          \
            w[i] = now;                                                                              \
        }                                                                                            \
        return changed;                                                                              \
    }

/* What is still wrong with the baseline z, so that solving for it gives the correction: y - z - c D'Dz / w.
 * Rounding in W + c D'D alone, which has to add 6 c to a small weight, costs z some 1e-16 c / w of its
 * size; the second differences t, taken first, do not suffer from it. `lanes` spectra side by side. */
#define DEFINE_REMAINDER(attribute, name)                                                            \
    attribute static void name(const double *restrict y, const double *restrict z,                   \
                               const double *restrict w, size_t n, size_t lanes, double c,           \
                               double *restrict t, double *restrict out)                             \
    {                                                                                                \
        const size_t end = n * lanes;                                                                \
        for (size_t i = 0; i < lanes; i++) {                                                         \
            t[i] = 0.0;                                                                              \
            t[end - 1 - i] = 0.0;                                                                    \
        }                                                                                            \
        for (size_t i = lanes; i < end - lanes; i++) {                                               \
            t[i] = (z[i - lanes] - 2.0 * z[i]) + z[i + lanes];                                       \
        }                                                                                            \
        for (size_t i = 0; i < lanes; i++) {                                                         \
            const size_t j = end - 1 - i;                                                            \
            out[i] = (y[i] - z[i]) - c * (t[i + lanes] - 2.0 * t[i]) / w[i];                         \
            out[j] = (y[j] - z[j]) - c * (t[j - lanes] - 2.0 * t[j]) / w[j];                         \
        }                                                                                            \
        for (size_t i = lanes; i < end - lanes; i++) {                                               \
            out[i] = (y[i] - z[i]) - c * ((t[i - lanes] - 2.0 * t[i]) + t[i + lanes]) / w[i];        \
        }                                                                                            \
    }

DEFINE_SOLVE(, solve_one, double, 1)
DEFINE_REMAINDER(, remainder_plain)
DEFINE_SOLVE(, solve_batch_plain, two, BATCH / 2)
DEFINE_WEIGH(, weigh_plain)
#if FA_HAS_AVX2
DEFINE_SOLVE(FA_USE_AVX2, solve_batch_avx2, four, BATCH / 4)
DEFINE_WEIGH(FA_USE_AVX2, weigh_avx2)
DEFINE_REMAINDER(FA_USE_AVX2, remainder_avx2)
#define ON_PATH(path, function, ...) \
    ((path) == FA_PATH_AVX2 ? function##_avx2(__VA_ARGS__) : function##_plain(__VA_ARGS__))
#else
#define ON_PATH(path, function, ...) ((void)(path), function##_plain(__VA_ARGS__))
#endif

/* Diagonal of (W + c D'D)^-1 from its LDL' factors, backwards (Hutchinson and de Hoog 1985). */
static void diagonal_of_inverse(const double *w, size_t n, double c, double *l1, double *l2, double *di,
                                double *out)
{
    double e = 0.0;
    for (size_t i = 0; i < n; i++) {
        const size_t from_end = i < n - 1 - i ? i : n - 1 - i;
        double d = c * (from_end == 0 ? 1.0 : from_end == 1 ? 5.0 : 6.0) + w[i];
        double off = i + 1 == n ? 0.0 : (i == 0 || i + 2 == n) ? -2.0 * c : -4.0 * c;
        if (i > 0) {
            d -= l1[i - 1] * e;
            off -= l1[i - 1] * (i + 1 < n ? c : 0.0);
        }
        if (i > 1) {
            d -= l2[i - 2] * c;
        }
        di[i] = 1.0 / d;
        l1[i] = off * di[i];
        l2[i] = i + 2 < n ? c * di[i] : 0.0;
        e = off;
    }
    double here = 0.0; /* entries (i+1, i+1), (i+1, i+2), (i+2, i+2) */
    double beside = 0.0;
    double next = 0.0;
    for (size_t i = n; i-- > 0;) {
        const double first = -(l1[i] * here) - l2[i] * beside;
        const double second = -(l1[i] * beside) - l2[i] * next;
        const double diagonal = di[i] - l1[i] * first - l2[i] * second;
        out[i] = diagonal;
        next = here;
        beside = first;
        here = diagonal;
    }
}

size_t fa_asls_work(size_t count, size_t n)
{
    return (count == 0 ? 0 : count == 1 ? 6 : 8 * BATCH) * n;
}

static void asls_one(const double *y, size_t n, double c, double asymmetry, size_t iterations, double *x,
                     double *inverse, double *work, int path)
{
    double *w = work;
    for (size_t i = 0; i < n; i++) {
        w[i] = 1.0;
    }
    memcpy(x, y, n * sizeof *x);
    for (size_t round = 0; round < iterations; round++) {
        solve_one(y, w, n, c, work + n, work + 2 * n, work + 3 * n, x);
        if (round + 1 == iterations ||
            ON_PATH(path, weigh, y, x, n, asymmetry, 1.0 - asymmetry, w) == 0) {
            break;
        }
    }
    if (iterations > 0) { /* w are the weights of the last solution: once more for what it lacks */
        double *rest = work + 4 * n;
        double *more = work + 5 * n;
        ON_PATH(path, remainder, y, x, w, n, 1, c, work + n, rest);
        solve_one(rest, w, n, c, work + n, work + 2 * n, work + 3 * n, more);
        for (size_t i = 0; i < n; i++) {
            x[i] += more[i];
        }
    }
    if (inverse != NULL) {
        diagonal_of_inverse(w, n, c, work + n, work + 2 * n, work + 3 * n, inverse);
    }
}

/* `used` <= BATCH spectra in the lanes of two vectors; the other lanes repeat the last one. */
static void asls_batch(const double *values, size_t used, size_t n, double c, double asymmetry,
                       size_t iterations, double *baseline, double *inverse, double *work, int path)
{
    const size_t size = BATCH * n;
    double *y = work;
    double *w = work + size;
    double *x = work + 5 * size;
    for (size_t l = 0; l < BATCH; l++) {
        const double *from = values + (l < used ? l : used - 1) * n;
        for (size_t i = 0; i < n; i++) {
            y[i * BATCH + l] = from[i];
        }
    }
    for (size_t i = 0; i < size; i++) {
        w[i] = 1.0;
    }
    memcpy(x, y, size * sizeof *x);
    for (size_t round = 0; round < iterations; round++) {
        ON_PATH(path, solve_batch, (const void *)y, (const void *)w, n, c, (void *)(work + 2 * size),
                (void *)(work + 3 * size), (void *)(work + 4 * size), (void *)x);
        if (round + 1 == iterations ||
            ON_PATH(path, weigh, y, x, size, asymmetry, 1.0 - asymmetry, w) == 0) {
            break;
        }
    }
    if (iterations > 0) {
        double *rest = work + 6 * size;
        double *more = work + 7 * size;
        ON_PATH(path, remainder, y, x, w, n, BATCH, c, work + 2 * size, rest);
        ON_PATH(path, solve_batch, (const void *)rest, (const void *)w, n, c, (void *)(work + 2 * size),
                (void *)(work + 3 * size), (void *)(work + 4 * size), (void *)more);
        for (size_t i = 0; i < size; i++) {
            x[i] += more[i];
        }
    }
    for (size_t l = 0; l < used; l++) {
        for (size_t i = 0; i < n; i++) {
            baseline[l * n + i] = x[i * BATCH + l];
        }
    }
    if (inverse != NULL) {
        double *own = work + 2 * size;
        for (size_t l = 0; l < used; l++) {
            for (size_t i = 0; i < n; i++) {
                own[i] = w[i * BATCH + l];
            }
            diagonal_of_inverse(own, n, c, own + n, own + 2 * n, own + 3 * n, inverse + l * n);
        }
    }
}

int fa_asls(const double *values, size_t values_length, size_t count, size_t n, double smoothness,
            double asymmetry, size_t iterations, double *baseline, size_t baseline_length,
            double *inverse, size_t inverse_length, double *work, size_t work_length, int path)
{
    path = fa_path(path);
    if (path == 0 || values == NULL || baseline == NULL || work == NULL || n == 0 || n > LENGTH_MAX ||
        count > LENGTH_MAX || values_length / n < count || baseline_length / n < count ||
        (inverse != NULL && inverse_length / n < count) || work_length < fa_asls_work(count, n) ||
        !(smoothness >= 0.0 && smoothness <= SMOOTHNESS_MAX) || !(asymmetry > 0.0 && asymmetry < 1.0)) {
        return FA_INVALID;
    }
    if (n < 5) {
        for (size_t s = 0; s < count; s++) {
            double least = values[s * n];
            for (size_t i = 1; i < n; i++) {
                const double v = values[s * n + i];
                least = v < least || isnan(v) ? v : least;
            }
            for (size_t i = 0; i < n; i++) {
                baseline[s * n + i] = least;
                if (inverse != NULL) {
                    inverse[s * n + i] = 0.0;
                }
            }
        }
        return FA_OK;
    }
    size_t s = 0;
    while (s < count) {
        double *inv = inverse == NULL ? NULL : inverse + s * n;
        if (count - s == 1) {
            asls_one(values + s * n, n, smoothness, asymmetry, iterations, baseline + s * n, inv, work,
                     path);
            s++;
        } else {
            const size_t used = count - s < BATCH ? count - s : BATCH;
            asls_batch(values + s * n, used, n, smoothness, asymmetry, iterations, baseline + s * n, inv,
                       work, path);
            s += used;
        }
    }
    return FA_OK;
}

/* ---- Spline ------------------------------------------------------------------------------------- */

int fa_spline(const double *x, size_t x_length, const double *y, size_t y_length, size_t n,
              const double *at, size_t at_length, size_t m, double *out, size_t out_length,
              double *work, size_t work_length)
{
    if (x == NULL || y == NULL || at == NULL || out == NULL || work == NULL || n < 2 || n > LENGTH_MAX ||
        x_length < n || y_length < n || at_length < m || out_length < m || work_length < 4 * n) {
        return FA_INVALID;
    }
    for (size_t i = 0; i + 1 < n; i++) {
        if (!(x[i + 1] > x[i])) {
            return FA_INVALID;
        }
    }
    double *slope = work;
    double *upper = work + n; /* then: square and cubic coefficients of each piece */
    double *step = work + 2 * n;
    double *rise = work + 3 * n;
    for (size_t i = 0; i + 1 < n; i++) {
        step[i] = x[i + 1] - x[i];
        rise[i] = (y[i + 1] - y[i]) / step[i];
    }
    if (n == 2) {
        slope[0] = slope[1] = rise[0];
    } else if (n == 3) {
        const double bend = (rise[1] - rise[0]) / (x[2] - x[0]);
        slope[0] = rise[0] - bend * step[0];
        slope[1] = rise[0] + bend * step[0];
        slope[2] = rise[1] + bend * step[1];
    } else {
        const size_t e = n - 1;
        double two = x[2] - x[0];
        upper[0] = two / step[1];
        slope[0] = ((step[0] + 2.0 * two) * step[1] * rise[0] + step[0] * step[0] * rise[1]) / two / step[1];
        for (size_t i = 1; i < e; i++) {
            const double inverse = 1.0 / (2.0 * (step[i - 1] + step[i]) - step[i] * upper[i - 1]);
            const double right = 3.0 * (step[i] * rise[i - 1] + step[i - 1] * rise[i]);
            upper[i] = step[i - 1] * inverse;
            slope[i] = (right - step[i] * slope[i - 1]) * inverse;
        }
        two = x[e] - x[e - 2];
        const double right =
            (step[e - 1] * step[e - 1] * rise[e - 2] + (2.0 * two + step[e - 1]) * step[e - 2] * rise[e - 1]) /
            two;
        slope[e] = (right - two * slope[e - 1]) / (step[e - 2] - two * upper[e - 1]);
        for (size_t i = e; i-- > 0;) {
            slope[i] -= upper[i] * slope[i + 1];
        }
    }
    double *square = upper;
    double *cube = rise;
    for (size_t i = 0; i + 1 < n; i++) {
        const double bend = (slope[i] + slope[i + 1] - 2.0 * rise[i]) / step[i];
        square[i] = (rise[i] - slope[i]) / step[i] - bend;
        cube[i] = bend / step[i];
    }
    size_t i = 0;
    for (size_t k = 0; k < m; k++) {
        if (!(at[k] >= x[i])) { /* back: halve; a NaN ends at the first piece and stays NaN */
            size_t low = 0;
            size_t high = i;
            while (high > low + 1) {
                const size_t middle = low + (high - low) / 2;
                if (at[k] >= x[middle]) {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            i = low;
        }
        while (i + 2 < n && at[k] >= x[i + 1]) {
            i++;
        }
        const double u = at[k] - x[i];
        out[k] = y[i] + slope[i] * u + square[i] * (u * u) + cube[i] * (u * u * u);
    }
    return FA_OK;
}

/* ---- Kernels on an even grid -------------------------------------------------------------------- */

/* out[i] = sum over k of taps[k - 1] * (middle[i + k] - middle[i - k]); vectors T of `lanes`. */
#define DEFINE_ODD(attribute, name, T, lanes)                                                        \
    attribute static void name(const double *restrict padded, size_t n, const double *restrict taps, \
                               size_t half, double *restrict out)                                    \
    {                                                                                                \
        const double *middle = padded + half;                                                        \
        size_t i = 0;                                                                                \
        for (; i + ROW <= n; i += ROW) {                                                             \
            T s[ROW / (lanes)];                                                                      \
            memset(s, 0, sizeof s);                                                                  \
            for (size_t k = 1; k <= half; k++) {                                                     \
                const T *right = (const T *)(middle + i + k);                                        \
                const T *left = (const T *)(middle + i - k);                                         \
                const double t = taps[k - 1];                                                        \
                for (size_t v = 0; v < ROW / (lanes); v++) {                                         \
                    s[v] += t * (right[v] - left[v]);                                                \
                }                                                                                    \
            }                                                                                        \
            memcpy(out + i, s, sizeof s);                                                            \
        }                                                                                            \
        for (; i < n; i++) {                                                                         \
            double s = 0.0;                                                                          \
            for (size_t k = 1; k <= half; k++) {                                                     \
                s += taps[k - 1] * (middle[i + k] - *(middle + i - k));                                 \
            }                                                                                        \
            out[i] = s;                                                                              \
        }                                                                                            \
    }

/* out[i] = sum over k of taps[k] * values[i + k], i < n; vectors T of `lanes`. */
#define DEFINE_CORRELATE(attribute, name, T, lanes)                                                  \
    attribute static void name(const double *restrict values, size_t n, const double *restrict taps, \
                               size_t size, double *restrict out)                                    \
    {                                                                                                \
        size_t i = 0;                                                                                \
        for (; i + ROW <= n; i += ROW) {                                                             \
            T s[ROW / (lanes)];                                                                      \
            memset(s, 0, sizeof s);                                                                  \
            for (size_t k = 0; k < size; k++) {                                                      \
                const T *from = (const T *)(values + i + k);                                         \
                const double t = taps[k];                                                            \
                for (size_t v = 0; v < ROW / (lanes); v++) {                                         \
                    s[v] += t * from[v];                                                             \
                }                                                                                    \
            }                                                                                        \
            memcpy(out + i, s, sizeof s);                                                            \
        }                                                                                            \
        for (; i < n; i++) {                                                                         \
            double s = 0.0;                                                                          \
            for (size_t k = 0; k < size; k++) {                                                      \
                s += taps[k] * values[i + k];                                                        \
            }                                                                                        \
            out[i] = s;                                                                              \
        }                                                                                            \
    }

DEFINE_ODD(, odd_plain, two, 2)
DEFINE_CORRELATE(, correlate_plain, two, 2)
#if FA_HAS_AVX2
DEFINE_ODD(FA_USE_AVX2, odd_avx2, four, 4)
DEFINE_CORRELATE(FA_USE_AVX2, correlate_avx2, four, 4)
#endif

int fa_odd_kernel(const double *values, size_t values_length, size_t n, const double *taps,
                  size_t taps_length, size_t half, double *out, size_t out_length,
                  double *work, size_t work_length, int path)
{
    path = fa_path(path);
    if (path == 0 || values == NULL || taps == NULL || out == NULL || work == NULL || n == 0 ||
        n > LENGTH_MAX || half > LENGTH_MAX || values_length < n || taps_length < half || out_length < n ||
        work_length < n + 2 * half) {
        return FA_INVALID;
    }
    double *middle = work + half;
    memcpy(middle, values, n * sizeof *values);
    if (n == 1) {
        for (size_t k = 0; k < half; k++) {
            work[k] = middle[1 + k] = values[0];
        }
    } else { /* each step reflects at an end of the data; further out, what is there already */
        const double first = values[0];
        const double last = values[n - 1];
        const double period = 2.0 * (last - first);
        for (size_t k = 1; k <= half; k++) {
            if (k < n) {
                middle[-(ptrdiff_t)k] = 2.0 * first - middle[k];
                middle[n - 1 + k] = 2.0 * last - middle[n - 1 - k];
            } else {
                middle[-(ptrdiff_t)k] = middle[(ptrdiff_t)(2 * (n - 1)) - (ptrdiff_t)k] - period;
                middle[n - 1 + k] = middle[(ptrdiff_t)(n - 1 + k) - (ptrdiff_t)(2 * (n - 1))] + period;
            }
        }
    }
    ON_PATH(path, odd, work, n, taps, half, out);
    return FA_OK;
}

int fa_savgol(const double *values, size_t values_length, size_t n, const double *matrix,
              size_t matrix_length, size_t window, double *out, size_t out_length, int path)
{
    path = fa_path(path);
    if (path == 0 || values == NULL || matrix == NULL || out == NULL || n > LENGTH_MAX || window % 2 == 0 ||
        window > n || window > 65535 || matrix_length < window * window || values_length < n ||
        out_length < n) {
        return FA_INVALID;
    }
    const size_t half = window / 2;
    ON_PATH(path, correlate, values, n - window + 1, matrix + half * window, window, out + half);
    for (size_t r = 0; r < half; r++) {
        const size_t mirrored = window - 1 - r;
        ON_PATH(path, correlate, values, 1, matrix + r * window, window, out + r);
        ON_PATH(path, correlate, values + n - window, 1, matrix + mirrored * window, window,
                out + n - 1 - r);
    }
    return FA_OK;
}

/* ---- Spikes ------------------------------------------------------------------------------------- */

enum { AROUND = 7, LOW = 5 }; /* the floor is the lower quartile of 15 points: between the 4th and 5th */

static double at_edge(const double *values, size_t n, ptrdiff_t i)
{
    return values[i < 0 ? 0 : (size_t)i >= n ? n - 1 : (size_t)i];
}

/* Lower quartile of the 15 points around i, as numpy.percentile interpolates; NaN if one is NaN. */
static double floor_around(const double *values, size_t n, size_t i)
{
    double low[LOW];
    size_t held = 0;
    for (ptrdiff_t k = -AROUND; k <= AROUND; k++) {
        const double v = at_edge(values, n, (ptrdiff_t)i + k);
        if (isnan(v)) {
            return v;
        }
        if (held == LOW && !(v < low[LOW - 1])) {
            continue;
        }
        size_t at = held < LOW ? held++ : LOW - 1;
        for (; at > 0 && v < low[at - 1]; at--) {
            low[at] = low[at - 1];
        }
        low[at] = v;
    }
    return low[LOW - 1] - (low[LOW - 1] - low[LOW - 2]) * 0.5;
}

/* Height above the local floor; floors found before are kept, -INFINITY: not yet. */
static double above_floor(const double *values, size_t n, size_t i, double *floors)
{
    if (floors[i] == -INFINITY) {
        floors[i] = floor_around(values, n, i);
    }
    return values[i] - floors[i];
}

int fa_despike(const double *values, size_t values_length, const double *noise, size_t noise_length,
               size_t n, double height_sigma, double sharpness, double *out, size_t out_length,
               size_t *spikes, double *work, size_t work_length)
{
    if (values == NULL || noise == NULL || out == NULL || spikes == NULL || work == NULL ||
        n > LENGTH_MAX || values_length < n || noise_length < n || out_length < n || work_length < n) {
        return FA_INVALID;
    }
    *spikes = 0;
    memcpy(out, values, n * sizeof *out);
    if (n < 15) {
        return FA_OK;
    }
    double *floors = work;
    for (size_t i = 0; i < n; i++) {
        floors[i] = -INFINITY;
    }
    for (size_t i = 3; i + 4 <= n; i++) {
        const double v = values[i];
        if (v < values[i - 1] || v < values[i + 1]) {
            continue;
        }
        const double least = height_sigma * (noise[i] > 1e-12 ? noise[i] : isnan(noise[i]) ? noise[i] : 1e-12);
        /* The floor is at least the fourth lowest point, so few points far enough below mean no spike. */
        const double level = v - least + 1e-9 * (fabs(v) + fabs(least));
        int below = 0;
        for (ptrdiff_t k = -AROUND; k <= AROUND; k++) {
            below += at_edge(values, n, (ptrdiff_t)i + k) <= level ? 1 : 0;
        }
        if (below < LOW - 1 && level > -INFINITY) {
            continue;
        }
        const double height = above_floor(values, n, i, floors);
        if (!(height > least)) {
            continue;
        }
        double shoulder = above_floor(values, n, i - 2, floors);
        const size_t beside[] = {i + 2, i - 3, i + 3};
        for (size_t k = 0; k < 3; k++) {
            const double other = above_floor(values, n, beside[k], floors);
            shoulder = other > shoulder ? other : shoulder;
        }
        shoulder = 0.0 > shoulder ? 0.0 : shoulder;
        if (height - shoulder > height_sigma * noise[i] && height > sharpness * shoulder) {
            const double left = out[i - 2];
            const double slope = (values[i + 2] - left) / 4.0;
            out[i - 1] = slope + left;
            out[i] = slope * 2.0 + left;
            out[i + 1] = slope * 3.0 + left;
            (*spikes)++;
        }
    }
    return FA_OK;
}

/* ---- Compression and axis hypotheses ------------------------------------------------------------- */

typedef int64_t two_bits __attribute__((vector_size(16), aligned(8), may_alias));
typedef int64_t four_bits __attribute__((vector_size(32), aligned(8), may_alias));
#define PICK(T, M, mask, a, b) ((T)(((M)(a) & (mask)) | ((M)(b) & ~(mask))))

/* sign(y) max(|y| - threshold, 0)^(1/3), K at once, the root to two ulp. A third of the exponent, from the
 * number's own bits, starts three steps of Halley's method. Plain arithmetic: the same bits on every
 * machine. Written as vectors with masks, as compilers leave a loop with such choices alone. */
#define DEFINE_COMPRESS(attribute, name, T, M, K)                                                    \
    attribute static inline void name##_some(const double *values, const double *threshold,          \
                                             double *out)                                            \
    {                                                                                                \
        const T zero = {0.0};                                                                        \
        const T one = zero + 1.0;                                                                    \
        const T y = *(const T *)values;                                                              \
        const T above = (T)((M)y & INT64_MAX) - *(const T *)threshold;                               \
        const T x = PICK(T, M, (M)(above < 0.0), zero, above);                                       \
        const M tiny = (M)(x < 1e-280);                                                              \
        const M huge = (M)(x > 1e280);                                                               \
        const M root = (M)(x > 0.0) & ~(M)(x > 0x1.fffffffffffffp1023); /* 0, infinity, NaN stay */  \
        const T scaled = x * PICK(T, M, huge, one * 0x1p-300, PICK(T, M, tiny, one * 0x1p300, one)); \
        const T s = PICK(T, M, root, scaled, one); /* denormals on the way are slow */               \
        const M upper = (((M)s >> 32) & 0xffffffff) | 0x4330000000000000; /* as a number over 2^52 */ \
        const T third = ((T)upper - 0x1p52) * (1.0 / 3.0) + (715094163.0 + 0x1p52);                  \
        T t = (T)((M)third << 32);                                                                   \
        for (int step = 0; step < 3; step++) {                                                       \
            const T cube = t * t * t;                                                                \
            t += t * ((s - cube) / (2.0 * cube + s));                                                \
        }                                                                                            \
        t *= PICK(T, M, huge, one * 0x1p100, PICK(T, M, tiny, one * 0x1p-100, one));                 \
        t = PICK(T, M, root, t, x);                                                                  \
        t = (T)((M)t ^ ((M)(y < 0.0) & INT64_MIN));                                                  \
        *(T *)out = PICK(T, M, (M)(y == 0.0), y, t);                                                 \
    }                                                                                                \
    attribute static void name(const double *restrict values, const double *restrict threshold,      \
                               size_t n, double *restrict out)                                       \
    {                                                                                                \
        const size_t whole = n - n % (K);                                                            \
        for (size_t i = 0; i < whole; i += (K)) {                                                    \
            name##_some(values + i, threshold + i, out + i);                                         \
        }                                                                                            \
        if (whole < n) {                                                                             \
            double y[K] = {0.0}, nothing[K] = {0.0}, last[K];                                        \
            memcpy(y, values + whole, (n - whole) * sizeof *y);                                      \
            memcpy(nothing, threshold + whole, (n - whole) * sizeof *y);                             \
            name##_some(y, nothing, last);                                                           \
            memcpy(out + whole, last, (n - whole) * sizeof *y);                                      \
        }                                                                                            \
    }

#define DEFINE_SHIFT(attribute, name)                                                                \
    attribute static void name(const double *restrict values, size_t n, double shift,                \
                               float *restrict out)                                                  \
    {                                                                                                \
        const double whole = floor(shift);                                                           \
        const ptrdiff_t w = (ptrdiff_t)whole;                                                        \
        const ptrdiff_t end = (ptrdiff_t)n;                                                          \
        ptrdiff_t first = w < 0 ? -w : 0; /* from here on i + shift >= 0 */                          \
        ptrdiff_t last = end - 1 - w;     /* up to here i + shift < n - 1 */                         \
        first = first < end ? first : end;                                                           \
        last = last > end ? end : last;                                                              \
        last = last < first ? first : last;                                                          \
        for (ptrdiff_t i = 0; i < first; i++) {                                                      \
            out[i] = (float)values[0];                                                               \
        }                                                                                            \
        for (ptrdiff_t i = first; i < last; i++) {                                                   \
            const double at = (double)(int32_t)i + shift;                                            \
            const double part = at - ((double)(int32_t)i + whole);                                   \
            out[i] = (float)((values[i + w + 1] - values[i + w]) * part + values[i + w]);            \
        }                                                                                            \
        for (ptrdiff_t i = last; i < end; i++) {                                                     \
            out[i] = (float)values[n - 1];                                                           \
        }                                                                                            \
    }

DEFINE_COMPRESS(, compress_plain, two, two_bits, 2)
DEFINE_SHIFT(, shift_plain)
#if FA_HAS_AVX2
DEFINE_COMPRESS(FA_USE_AVX2, compress_avx2, four, four_bits, 4)
DEFINE_SHIFT(FA_USE_AVX2, shift_avx2)
#endif

int fa_compress(const double *values, size_t values_length, const double *threshold,
                size_t threshold_length, size_t n, double power, double *out, size_t out_length, int path)
{
    path = fa_path(path);
    if (path == 0 || values == NULL || threshold == NULL || out == NULL || values_length < n ||
        threshold_length < n || out_length < n || !(power > 0.0)) {
        return FA_INVALID;
    }
    if (power == 1.0 / 3.0) {
        ON_PATH(path, compress, values, threshold, n, out);
        return FA_OK;
    }
    for (size_t i = 0; i < n; i++) {
        const double above = fabs(values[i]) - threshold[i];
        const double root = pow(above < 0.0 ? 0.0 : above, power);
        out[i] = values[i] < 0.0 ? -root : values[i] == 0.0 ? values[i] : root;
    }
    return FA_OK;
}

int fa_shifted(const double *values, size_t values_length, size_t n, const double *shifts,
               size_t shifts_length, size_t count, float *out, size_t out_length, size_t stride, int path)
{
    path = fa_path(path);
    if (path == 0 || values == NULL || shifts == NULL || out == NULL || n == 0 || n > LENGTH_MAX ||
        values_length < n || count > LENGTH_MAX || shifts_length < count || stride < n ||
        stride > LENGTH_MAX || (count > 0 && (out_length < n || (out_length - n) / stride < count - 1))) {
        return FA_INVALID;
    }
    for (size_t v = 0; v < count; v++) {
        if (!(fabs(shifts[v]) <= 1e6)) {
            return FA_INVALID;
        }
    }
    for (size_t v = 0; v < count; v++) {
        ON_PATH(path, shift, values, n, shifts[v], out + v * stride);
    }
    return FA_OK;
}
