/* fa_loops: the inner loops, in one version for each kind of processor, chosen at run time.
 *
 * Every version of a loop returns the same value bit for bit: integer sums are exact, sums of products of
 * two floats run over FA_LANES doubles in a fixed order (such a product is exact in double, so a fused
 * multiply-add cannot change it), sums of floats over FA_FLOAT_LANES floats without fusing.
 */
#ifndef FA_LOOPS_H
#define FA_LOOPS_H

#include "fa_search.h"

#ifndef FA_CDEF_SKIP

#define FA_FLOAT_LANES 64
#define FA_ROWS_A_BLOCK 16

/* A vector as two planes of codes: about step * (254 * high + low), codes within -127..127. */
typedef struct {
    const int8_t *high;
    const int8_t *low;
} fa_codes;

/* What the bound of a row needs of the query: see bound() in fa_search.c. */
typedef struct {
    float step;    /* of the codes */
    float size;    /* norm of what the codes stand for */
    float rest;    /* norm of what the prefix does not see */
    float slack;   /* all else */
    float penalty; /* taken off, rounded down */
} fa_line;

typedef struct {
    const char *name;
    int (*available)(void);
    /* sums[i] = 254 * high.a + low.a for 16 * blocks rows of interleaved prefix codes */
    void (*prefix)(const int8_t *rows, const int32_t *bias, size_t blocks, fa_codes q, int32_t *sums);
    /* the same for the n rows which[i] of `columns` codes each (a multiple of 64), as doubles */
    void (*rows)(const int8_t *full, size_t columns, const int32_t *bias, const int32_t *which, size_t n,
                 fa_codes q, double *sums);
    /* best[i] = max(best[i], weight[i] * max(bound, tiny) - penalty), and likely[i] the same for the estimate
     * that the bound stands on */
    void (*bound)(const int32_t *sums, const float *scale, const float *error, const float *rest,
                  const float *weight, fa_line q, size_t n, float *best, float *likely);
    /* FA_LANES sums of x[i] * q[i]; four of them share x, the q being `stride` apart */
    double (*dot)(const float *x, const float *q, size_t n);
    void (*dot4)(const float *x, const float *q, size_t stride, size_t n, double out[4]);
    /* Two planes of codes for n numbers (a multiple of 8); returns the sum of squares of what they miss. */
    double (*encode)(const float *values, size_t n, int8_t *high, int8_t *low, float *step);
    /* out[j] = sum of basis[j * columns + i] * q[i] in floats; columns a multiple of 64 */
    void (*rotate)(const float *basis, const float *q, size_t columns, float *out);
} fa_loops;

const fa_loops *fa_current_loops(void);
extern const fa_loops fa_loops_portable, fa_loops_avx2, fa_loops_avx512vnni, fa_loops_neon, fa_loops_sdot;

/* The bodies every version shares; compiled once for each instruction set. */
#  if defined(__GNUC__)
#    define FA_INLINE static inline __attribute__((always_inline))
#  else
#    define FA_INLINE static inline
#  endif

FA_INLINE double fa_sum_lanes(const double *lanes)
{
    double total = 0.0;
    for (size_t lane = 0; lane < FA_LANES; lane++) {
        total += lanes[lane];
    }
    return total;
}

FA_INLINE double fa_dot_body(const float *x, const float *q, size_t n)
{
    double lanes[FA_LANES] = {0.0};
    size_t i = 0;
    for (; i + FA_LANES <= n; i += FA_LANES) {
        for (size_t lane = 0; lane < FA_LANES; lane++) {
            lanes[lane] += (double)x[i + lane] * (double)q[i + lane];
        }
    }
    for (size_t lane = 0; i < n; i++, lane++) {
        lanes[lane] += (double)x[i] * (double)q[i];
    }
    return fa_sum_lanes(lanes);
}

FA_INLINE void fa_bound_body(const int32_t *sums, const float *scale, const float *error,
                             const float *rest, const float *weight, fa_line q, size_t n, float *best,
                             float *likely)
{
    const float tiny = 8.67361737988403547e-19f; /* 2^-60: weights times it stay normal numbers */
    for (size_t i = 0; i < n; i++) {
        const float estimate = (float)sums[i] * (scale[i] * q.step);
        float bound = estimate + error[i] * q.size + rest[i] * q.rest + q.slack;
        bound = bound > tiny ? bound : tiny;
        bound = weight[i] * bound - q.penalty;
        best[i] = bound > best[i] ? bound : best[i];
        const float guess = weight[i] * estimate - q.penalty;
        likely[i] = guess > likely[i] ? guess : likely[i];
    }
}

FA_INLINE void fa_rotate_body(const float *basis, const float *q, size_t columns, float *out)
{
    for (size_t j = 0; j < FA_PREFIX; j++) {
        const float *v = basis + j * columns;
        float lanes[FA_FLOAT_LANES] = {0.0f};
        for (size_t i = 0; i < columns; i += FA_FLOAT_LANES) {
            for (size_t lane = 0; lane < FA_FLOAT_LANES; lane++) {
                lanes[lane] += v[i + lane] * q[i + lane];
            }
        }
        for (size_t half = FA_FLOAT_LANES / 2; half > 0; half /= 2) {
            for (size_t lane = 0; lane < half; lane++) {
                lanes[lane] += lanes[lane + half];
            }
        }
        out[j] = lanes[0];
    }
}

FA_INLINE float fa_step_body(const float *values, size_t n)
{
    float lanes[FA_LANES] = {0.0f};
    for (size_t i = 0; i < n; i += FA_LANES) {
        for (size_t lane = 0; lane < FA_LANES; lane++) {
            const float x = values[i + lane];
            const float size = x < 0.0f ? -x : x;
            lanes[lane] = size > lanes[lane] ? size : lanes[lane];
        }
    }
    float largest = 0.0f;
    for (size_t lane = 0; lane < FA_LANES; lane++) {
        largest = lanes[lane] > largest ? lanes[lane] : largest;
    }
    return largest / (127.0f * 254.0f);
}

/* NaN becomes -127, half goes away from 0: whatever is chosen, the sum measures what it misses. */
FA_INLINE double fa_nearest_code(double x)
{
    double within = x > -127.0 ? x : -127.0;
    within = within < 127.0 ? within : 127.0;
    return (double)(int32_t)(within + (within < 0.0 ? -0.5 : 0.5));
}

FA_INLINE double fa_encode_body(const float *values, size_t n, int8_t *high, int8_t *low, float *step)
{
    const float s = fa_step_body(values, n);
    const double inverse = s > 0.0f ? 1.0 / (double)s : 0.0;
    double lanes[FA_LANES] = {0.0};
    *step = s;
    for (size_t i = 0; i < n; i += FA_LANES) {
        for (size_t lane = 0; lane < FA_LANES; lane++) {
            const double x = (double)values[i + lane];
            const double exactly = x * inverse;
            const double h = fa_nearest_code(exactly * (1.0 / 254.0));
            const double l = fa_nearest_code(exactly - 254.0 * h);
            const double off = x - (double)s * (254.0 * h + l);
            high[i + lane] = (int8_t)h;
            low[i + lane] = (int8_t)l;
            lanes[lane] += off * off;
        }
    }
    return fa_sum_lanes(lanes);
}

#endif /* FA_CDEF_SKIP */

#endif
