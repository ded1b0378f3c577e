/* See fa_loops.h. The loops for aarch64: NEON, which every such processor has, and SDOT. */
#include "fa_loops.h"

#if !defined(FA_PORTABLE) && defined(__aarch64__) && defined(__GNUC__)

#include <arm_neon.h>

#define ROWS FA_ROWS_A_BLOCK

static int always(void)
{
    return 1;
}

/* ---- NEON: products of eight codes as 16-bit numbers, added in pairs to 32-bit sums. */

static inline int32x4_t add_products(int32x4_t sum, int8x16_t a, int8x16_t q)
{
    const int16x8_t first = vmull_s8(vget_low_s8(a), vget_low_s8(q));
    const int16x8_t second = vmull_high_s8(a, q);
    /* Each pair of pairs belongs to one group of four codes. */
    return vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(first), vpaddlq_s16(second)));
}

static inline int8x16_t four_codes(const int8_t *at)
{
    int32_t word;
    __builtin_memcpy(&word, at, sizeof word);
    return vreinterpretq_s8_s32(vdupq_n_s32(word));
}

static void prefix_neon(const int8_t *codes, const int32_t *bias, size_t blocks, const int8_t *q, int32_t *sums)
{
    (void)bias;
    for (size_t b = 0; b < blocks; b++) {
        int32x4_t sum[4];
        for (size_t i = 0; i < 4; i++) {
            sum[i] = vdupq_n_s32(0);
        }
        for (size_t j = 0; j < FA_LEVEL; j += 4) {
            const int8_t *four = codes + b * ROWS * FA_LEVEL + j * ROWS;
            const int8x16_t same = four_codes(q + j);
            for (size_t i = 0; i < 4; i++) {
                sum[i] = add_products(sum[i], vld1q_s8(four + 16 * i), same);
            }
        }
        for (size_t i = 0; i < 4; i++) {
            vst1q_s32(sums + b * ROWS + 4 * i, sum[i]);
        }
    }
}

static inline int32x4_t add_sixteen(int32x4_t sum, int8x16_t a, int8x16_t q)
{
    sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(a), vget_low_s8(q)));
    return vpadalq_s16(sum, vmull_high_s8(a, q));
}

static double sum_neon(const int8_t *a, const int8_t *q, size_t n)
{
    int32x4_t sum = vdupq_n_s32(0);
    for (size_t i = 0; i < n; i += 16) {
        sum = add_sixteen(sum, vld1q_s8(a + i), vld1q_s8(q + i));
    }
    return (double)vaddvq_s32(sum);
}

static void rows_neon(const int8_t *full, size_t columns, const int32_t *bias, const int32_t *which, size_t n,
                      fa_codes q, double *sums)
{
    (void)bias;
    for (size_t r = 0; r < n; r++) {
        const int8_t *codes = full + (size_t)which[r] * columns;
        sums[r] = sum_neon(codes, q.high, columns);
        if (q.low != NULL) {
            sums[r] = 254.0 * sums[r] + sum_neon(codes, q.low, columns);
        }
    }
}

static float bound_neon(fa_part a, const float *weight, fa_line q, size_t n, float *best, float *likely)
{
    return fa_bound_body(a, weight, q, n, best, likely);
}

static void largest_neon(const float *values, size_t blocks, float *out)
{
    for (size_t b = 0; b < blocks; b++) {
        out[b] = fa_largest_of_block(values + b * ROWS);
    }
}

static void bound2_neon(fa_part a, fa_part b, const float *weight, fa_line first, fa_line q, size_t n, float *out)
{
    fa_bound2_body(a, b, weight, first, q, n, out);
}

/* The FA_LANES sums are four registers of two doubles. */
static inline void add_doubles(float64x2_t sums[4], const float *x, const float *q)
{
    for (size_t half = 0; half < 2; half++) {
        const float32x4_t a = vld1q_f32(x + 4 * half);
        const float32x4_t b = vld1q_f32(q + 4 * half);
        sums[2 * half] = vfmaq_f64(sums[2 * half], vcvt_f64_f32(vget_low_f32(a)), vcvt_f64_f32(vget_low_f32(b)));
        sums[2 * half + 1] = vfmaq_f64(sums[2 * half + 1], vcvt_high_f64_f32(a), vcvt_high_f64_f32(b));
    }
}

static double dot_neon(const float *x, const float *q, size_t n)
{
    float64x2_t sums[4];
    double lanes[FA_LANES];
    size_t i = 0;
    for (size_t pair = 0; pair < 4; pair++) {
        sums[pair] = vdupq_n_f64(0.0);
    }
    for (; i + FA_LANES <= n; i += FA_LANES) {
        add_doubles(sums, x + i, q + i);
    }
    for (size_t pair = 0; pair < 4; pair++) {
        vst1q_f64(lanes + 2 * pair, sums[pair]);
    }
    for (size_t lane = 0; i < n; i++, lane++) {
        lanes[lane] += (double)x[i] * (double)q[i];
    }
    return fa_sum_lanes(lanes);
}

static void dot4_neon(const float *x, const float *const q[4], size_t n, double out[4])
{
    for (size_t v = 0; v < 4; v++) {
        out[v] = dot_neon(x, q[v], n);
    }
}

static void encode_neon(const float *values, size_t n, int8_t *high, int8_t *low, float *step, double missed[2])
{
    fa_encode_body(values, n, high, low, step, missed);
}

static void rotate_neon(const float *basis, const float *q, size_t columns, float *out)
{
    fa_rotate_body(basis, q, columns, out);
}

const fa_loops fa_loops_neon = {"neon",   always,    prefix_neon, rows_neon,  bound_neon, largest_neon, bound2_neon,
                                dot_neon, dot4_neon, encode_neon, rotate_neon};

#  if defined(__linux__)

/* ---- SDOT, from ARMv8.2 on: four products and their sum in one instruction. */

#include <sys/auxv.h>

#define SDOT __attribute__((target("arch=armv8.2-a+dotprod")))

static int has_sdot(void)
{
    return (getauxval(AT_HWCAP) & (1ul << 20)) != 0; /* HWCAP_ASIMDDP */
}

SDOT static void prefix_sdot(const int8_t *codes, const int32_t *bias, size_t blocks, const int8_t *q,
                             int32_t *sums)
{
    (void)bias;
    for (size_t b = 0; b < blocks; b++) {
        int32x4_t sum[4];
        for (size_t i = 0; i < 4; i++) {
            sum[i] = vdupq_n_s32(0);
        }
        for (size_t j = 0; j < FA_LEVEL; j += 4) {
            const int8_t *four = codes + b * ROWS * FA_LEVEL + j * ROWS;
            const int8x16_t same = four_codes(q + j);
            for (size_t i = 0; i < 4; i++) {
                sum[i] = vdotq_s32(sum[i], vld1q_s8(four + 16 * i), same);
            }
        }
        for (size_t i = 0; i < 4; i++) {
            vst1q_s32(sums + b * ROWS + 4 * i, sum[i]);
        }
    }
}

SDOT static double sum_sdot(const int8_t *a, const int8_t *q, size_t n)
{
    int32x4_t sum[2] = {vdupq_n_s32(0), vdupq_n_s32(0)};
    for (size_t i = 0; i < n; i += 32) {
        sum[0] = vdotq_s32(sum[0], vld1q_s8(a + i), vld1q_s8(q + i));
        sum[1] = vdotq_s32(sum[1], vld1q_s8(a + i + 16), vld1q_s8(q + i + 16));
    }
    return (double)vaddvq_s32(vaddq_s32(sum[0], sum[1]));
}

SDOT static void rows_sdot(const int8_t *full, size_t columns, const int32_t *bias, const int32_t *which,
                           size_t n, fa_codes q, double *sums)
{
    (void)bias;
    for (size_t r = 0; r < n; r++) {
        const int8_t *codes = full + (size_t)which[r] * columns;
        sums[r] = sum_sdot(codes, q.high, columns);
        if (q.low != NULL) {
            sums[r] = 254.0 * sums[r] + sum_sdot(codes, q.low, columns);
        }
    }
}

const fa_loops fa_loops_sdot = {"sdot",   has_sdot,  prefix_sdot, rows_sdot,  bound_neon, largest_neon, bound2_neon,
                                dot_neon, dot4_neon, encode_neon, rotate_neon};

#  endif

#endif
