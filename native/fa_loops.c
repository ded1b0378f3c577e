/* See fa_loops.h. The portable loops and the choice of a path. */
#include "fa_loops.h"

#include <string.h>

#define ROWS FA_ROWS_A_BLOCK

static void prefix(const int8_t *codes, const int32_t *bias, size_t blocks, const int8_t *q, int32_t *sums)
{
    (void)bias; /* only instructions that multiply unsigned by signed need it */
    for (size_t b = 0; b < blocks; b++) {
        int32_t sum[ROWS] = {0};
        for (size_t j = 0; j < FA_LEVEL; j += 4) {
            const int8_t *four = codes + b * ROWS * FA_LEVEL + j * ROWS;
            for (size_t r = 0; r < ROWS; r++) {
                for (size_t c = 0; c < 4; c++) {
                    sum[r] += four[4 * r + c] * q[j + c];
                }
            }
        }
        memcpy(sums + b * ROWS, sum, sizeof sum);
    }
}

static double sum_codes(const int8_t *a, const int8_t *q, size_t n)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += a[i] * q[i];
    }
    return (double)sum;
}

static void rows(const int8_t *full, size_t columns, const int32_t *bias, const int32_t *which, size_t n,
                 fa_codes q, double *sums)
{
    (void)bias;
    for (size_t r = 0; r < n; r++) {
        const int8_t *codes = full + (size_t)which[r] * columns;
        sums[r] = sum_codes(codes, q.high, columns);
        if (q.low != NULL) {
            sums[r] = 254.0 * sums[r] + sum_codes(codes, q.low, columns);
        }
    }
}

static float bound(fa_part a, const float *weight, fa_line q, size_t n, float *best, float *likely)
{
    return fa_bound_body(a, weight, q, n, best, likely);
}

static void largest(const float *values, size_t blocks, float *out)
{
    for (size_t b = 0; b < blocks; b++) {
        out[b] = fa_largest_of_block(values + b * ROWS);
    }
}

static void bound2(fa_part a, fa_part b, const float *weight, fa_line first, fa_line q, size_t n, float *out)
{
    fa_bound2_body(a, b, weight, first, q, n, out);
}

static double dot(const float *x, const float *q, size_t n)
{
    return fa_dot_body(x, q, n);
}

static void dot4(const float *x, const float *const q[4], size_t n, double out[4])
{
    for (size_t v = 0; v < 4; v++) {
        out[v] = fa_dot_body(x, q[v], n);
    }
}

static void rotate(const float *basis, const float *q, size_t columns, float *out)
{
    fa_rotate_body(basis, q, columns, out);
}

static void encode(const float *values, size_t n, int8_t *high, int8_t *low, float *step, double missed[2])
{
    fa_encode_body(values, n, high, low, step, missed);
}

static int always(void)
{
    return 1;
}

const fa_loops fa_loops_portable = {"portable", always, prefix, rows, bound, largest, bound2, dot, dot4,
                                    encode, rotate};

/* Best first. */
static const fa_loops *const paths[] = {
#ifndef FA_PORTABLE
#if defined(__x86_64__) && defined(__GNUC__)
    &fa_loops_avx512vnni,
    &fa_loops_avx2,
#endif
#if defined(__aarch64__) && defined(__GNUC__) && defined(__linux__)
    &fa_loops_sdot,
#endif
#if defined(__aarch64__) && defined(__GNUC__)
    &fa_loops_neon,
#endif
#endif
    &fa_loops_portable,
};

static const fa_loops *forced = NULL;

/* Asked for at every call, so that no two threads race to fill in the answer: it costs nanoseconds. */
const fa_loops *fa_current_loops(void)
{
    if (forced != NULL) {
        return forced;
    }
    size_t i = 0;
    while (!paths[i]->available()) {
        i++;
    }
    return paths[i];
}

int fa_use_path(const char *name)
{
    if (name == NULL) {
        return FA_INVALID;
    }
    if (name[0] == '\0') {
        forced = NULL;
        return FA_OK;
    }
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (strcmp(paths[i]->name, name) == 0 && paths[i]->available()) {
            forced = paths[i];
            return FA_OK;
        }
    }
    return FA_INVALID;
}

const char *fa_path_name(void)
{
    return fa_current_loops()->name;
}
