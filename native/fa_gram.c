/* See fa_fits.h: the Gram matrix of rows of references, and their products with a measurement. Every
 * sum is over 8 fixed lanes, whatever the path. */
#include "fa_fits.h"

#include <string.h>

enum { LANES = 8 };

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

#define DEFINE_PATHS(attribute, suffix, wide)                                                          \
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
    }

DEFINE_PATHS(, plain, 0)
#if FA_HAS_AVX2
DEFINE_PATHS(FA_USE_AVX2, avx2, 1)
#define ON_PATH(path, function, ...) \
    ((path) == FA_PATH_AVX2 ? function##_avx2(__VA_ARGS__) : function##_plain(__VA_ARGS__))
#else
#define ON_PATH(path, function, ...) ((void)(path), function##_plain(__VA_ARGS__))
#endif

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
