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

#include <math.h>

#define FA_FLOAT_LANES 64
#define FA_ROWS_A_BLOCK 16

/* A vector as two planes of codes: about step * (254 * high + low), codes within -127..127. Without `low`
 * (NULL) as one: about (254 * step) * high. */
typedef struct {
    const int8_t *high;
    const int8_t *low;
} fa_codes;

/* What the bound of a row needs of the query: see fa_bound_body. */
typedef struct {
    float step;    /* what a sum of products with its codes is multiplied by */
    float size;    /* norm of what the codes stand for */
    float rest;    /* norm of what the prefix does not see */
    float slack;   /* all else */
    float penalty; /* taken off, rounded down */
} fa_line;

/* What it needs of one level of the rows' prefixes. */
typedef struct {
    const int32_t *sums; /* of products with the query's codes */
    const float *scale;
    const float *error;
    const float *rest;
} fa_part;

typedef struct {
    const char *name;
    int (*available)(void);
    /* sums[i] = q.a for 16 * blocks rows of the interleaved codes of one level */
    void (*prefix)(const int8_t *rows, const int32_t *bias, size_t blocks, const int8_t *q, int32_t *sums);
    /* sums[i] = 254 * high.a + low.a (high.a without low) for the n rows which[i] of `columns` codes each (a
     * multiple of 64), as doubles */
    void (*rows)(const int8_t *full, size_t columns, const int32_t *bias, const int32_t *which, size_t n,
                 fa_codes q, double *sums);
    /* best[i] = max(best[i], weight[i] * max(bound, tiny) - penalty), and likely[i] the same for the estimate
     * that the bound stands on; returns the largest bound. n is a multiple of FA_ROWS_A_BLOCK. */
    float (*bound)(fa_part a, const float *weight, fa_line q, size_t n, float *best, float *likely);
    /* out[b] = the largest of 16 numbers, for each of `blocks` such */
    void (*largest)(const float *values, size_t blocks, float *out);
    /* out[i] = the bound by two levels; `first` has step and size of the first one, `q` all else */
    void (*bound2)(fa_part a, fa_part b, const float *weight, fa_line first, fa_line q, size_t n, float *out);
    /* FA_LANES sums of x[i] * q[i]; four of them share x */
    double (*dot)(const float *x, const float *q, size_t n);
    void (*dot4)(const float *x, const float *const q[4], size_t n, double out[4]);
    /* Two planes of codes for n numbers (a multiple of 8); missed: sums of squares of what both together miss,
     * and of what the high one misses with the step 254.0f * *step. */
    void (*encode)(const float *values, size_t n, int8_t *high, int8_t *low, float *step, double missed[2]);
    /* out[j] = sum of basis[j * columns + i] * q[i] in floats, j < FA_LEVEL; columns a multiple of 64 */
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

FA_INLINE float fa_largest_of_block(const float *values)
{
    float lanes[FA_ROWS_A_BLOCK / 2];
    for (size_t i = 0; i < FA_ROWS_A_BLOCK / 2; i++) {
        const float other = values[i + FA_ROWS_A_BLOCK / 2];
        lanes[i] = values[i] > other ? values[i] : other;
    }
    for (size_t half = FA_ROWS_A_BLOCK / 4; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++) {
            lanes[i] = lanes[i] > lanes[i + half] ? lanes[i] : lanes[i + half];
        }
    }
    return lanes[0];
}

#define FA_TINY 0x1p-60f /* weights times it stay normal numbers */

FA_INLINE float fa_bound_body(fa_part a, const float *weight, fa_line q, size_t n, float *best, float *likely)
{
    float top[FA_ROWS_A_BLOCK];
    for (size_t lane = 0; lane < FA_ROWS_A_BLOCK; lane++) {
        top[lane] = -INFINITY;
    }
    for (size_t first = 0; first < n; first += FA_ROWS_A_BLOCK) {
        for (size_t lane = 0; lane < FA_ROWS_A_BLOCK; lane++) {
            const size_t i = first + lane;
            const float estimate = (float)a.sums[i] * (a.scale[i] * q.step);
            float bound = estimate + a.error[i] * q.size + a.rest[i] * q.rest + q.slack;
            bound = bound > FA_TINY ? bound : FA_TINY;
            bound = weight[i] * bound - q.penalty;
            best[i] = bound > best[i] ? bound : best[i];
            top[lane] = bound > top[lane] ? bound : top[lane];
            const float guess = weight[i] * estimate - q.penalty;
            likely[i] = guess > likely[i] ? guess : likely[i];
        }
    }
    return fa_largest_of_block(top);
}

FA_INLINE void fa_bound2_body(fa_part a, fa_part b, const float *weight, fa_line first, fa_line q, size_t n,
                              float *out)
{
    for (size_t i = 0; i < n; i++) {
        const float estimate =
            (float)a.sums[i] * (a.scale[i] * first.step) + (float)b.sums[i] * (b.scale[i] * q.step);
        float bound = estimate + a.error[i] * first.size + b.error[i] * q.size + b.rest[i] * q.rest + q.slack;
        bound = bound > FA_TINY ? bound : FA_TINY;
        out[i] = weight[i] * bound - q.penalty;
    }
}

FA_INLINE void fa_rotate_body(const float *basis, const float *q, size_t columns, float *out)
{
    for (size_t j = 0; j < FA_LEVEL; j++) {
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

FA_INLINE void fa_encode_body(const float *values, size_t n, int8_t *high, int8_t *low, float *step,
                              double missed[2])
{
    const float s = fa_step_body(values, n);
    const double inverse = s > 0.0f ? 1.0 / (double)s : 0.0;
    const double coarse = (double)(254.0f * s);
    double lanes[FA_LANES] = {0.0};
    double coarse_lanes[FA_LANES] = {0.0};
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
            const double far = x - coarse * h;
            coarse_lanes[lane] += far * far;
        }
    }
    missed[0] = fa_sum_lanes(lanes);
    missed[1] = fa_sum_lanes(coarse_lanes);
}

#endif /* FA_CDEF_SKIP */

#endif
