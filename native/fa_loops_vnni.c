/* See fa_loops.h. The loops for x86-64 with AVX-512 VNNI. */
#include "fa_loops.h"

#if !defined(FA_PORTABLE) && defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define ROWS FA_ROWS_A_BLOCK
#define VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")))

static int has_vnni(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}

static int32_t four_codes(const int8_t *at)
{
    int32_t word;
    __builtin_memcpy(&word, at, sizeof word);
    return word;
}

/* ---- AVX-512 VNNI multiplies unsigned by signed: the query's codes get 128 added, and the row's bias,
 * -128 times the sum of its codes, takes that back. */

VNNI static inline __m512i lift(__m512i q)
{
    return _mm512_xor_si512(q, _mm512_set1_epi8((char)0x80));
}

VNNI static inline __m512i load(const void *at)
{
    return _mm512_loadu_si512(at);
}

/* `some` blocks of 16 rows at once, a constant after inlining: a query's codes are broadcast once for all. */
VNNI __attribute__((always_inline)) static inline void prefix_some(
    const int8_t *rows, const int32_t *bias, const int8_t *q, int32_t *sums, const size_t some)
{
    __m512i sum[4];
    for (size_t b = 0; b < some; b++) {
        sum[b] = load(bias + b * ROWS);
    }
#pragma GCC unroll 16
    for (size_t j = 0; j < FA_LEVEL; j += 4) {
        const __m512i four = lift(_mm512_set1_epi32(four_codes(q + j)));
        for (size_t b = 0; b < some; b++) {
            sum[b] = _mm512_dpbusd_epi32(sum[b], four, load(rows + b * ROWS * FA_LEVEL + j * ROWS));
        }
    }
    for (size_t b = 0; b < some; b++) {
        _mm512_storeu_si512(sums + b * ROWS, sum[b]);
    }
}

VNNI static void prefix_vnni(const int8_t *rows, const int32_t *bias, size_t blocks, const int8_t *q,
                             int32_t *sums)
{
    size_t b = 0;
    for (; b + 4 <= blocks; b += 4) {
        prefix_some(rows + b * ROWS * FA_LEVEL, bias + b * ROWS, q, sums + b * ROWS, 4);
    }
    for (; b < blocks; b++) {
        prefix_some(rows + b * ROWS * FA_LEVEL, bias + b * ROWS, q, sums + b * ROWS, 1);
    }
}

/* The sums of four registers as four numbers. */
VNNI static inline __m128i sum_four(const __m512i *a)
{
    const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a[0], a[1]), _mm512_unpackhi_epi32(a[0], a[1]));
    const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(a[2], a[3]), _mm512_unpackhi_epi32(a[2], a[3]));
    const __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/* Up to four rows share the query's codes; `planes` is a constant after inlining. What comes AHEAD rows later
 * is on its way to the second cache meanwhile: that one can wait for more lines of memory than the first. */
enum { AHEAD = 8 };

VNNI __attribute__((always_inline)) static inline void rows_some(
    const int8_t *full, size_t columns, const int32_t *bias, const int32_t *which, size_t n, size_t left,
    fa_codes q, double *sums, const size_t some, const int planes)
{
    const int8_t *codes[4], *next[4];
    int32_t back[4];
    double out[4];
    __m512i high[4], low[4];
    for (size_t i = 0; i < 4; i++) {
        const int32_t row = which[i < n ? i : 0];
        codes[i] = full + (size_t)row * columns;
        next[i] = AHEAD + i < left ? full + (size_t)which[AHEAD + i] * columns : codes[i];
        back[i] = bias[row];
        high[i] = _mm512_setzero_si512();
        low[i] = _mm512_setzero_si512();
    }
    for (size_t c = 0; c < columns; c += 64) {
        const __m512i qh = lift(load(q.high + c));
        const __m512i ql = planes == 2 ? lift(load(q.low + c)) : qh;
        for (size_t i = 0; i < some; i++) {
            const __m512i a = load(codes[i] + c);
            high[i] = _mm512_dpbusd_epi32(high[i], qh, a);
            if (planes == 2) {
                low[i] = _mm512_dpbusd_epi32(low[i], ql, a);
            }
            _mm_prefetch((const char *)next[i] + c, _MM_HINT_T1);
        }
    }
    const __m128i taken = _mm_loadu_si128((const __m128i *)(const void *)back);
    __m256d sum = _mm256_cvtepi32_pd(_mm_add_epi32(sum_four(high), taken));
    if (planes == 2) {
        const __m256d l = _mm256_cvtepi32_pd(_mm_add_epi32(sum_four(low), taken));
        sum = _mm256_add_pd(_mm256_mul_pd(sum, _mm256_set1_pd(254.0)), l);
    }
    _mm256_storeu_pd(out, sum);
    for (size_t i = 0; i < n; i++) {
        sums[i] = out[i];
    }
}

VNNI static void rows_vnni(const int8_t *full, size_t columns, const int32_t *bias, const int32_t *which,
                           size_t n, fa_codes q, double *sums)
{
    for (size_t r = 0; r < n; r += 4) {
        const size_t left = n - r;
        if (left == 1 && q.low != NULL) {
            rows_some(full, columns, bias, which + r, 1, left, q, sums + r, 1, 2);
        } else if (left == 1) {
            rows_some(full, columns, bias, which + r, 1, left, q, sums + r, 1, 1);
        } else if (q.low != NULL) {
            rows_some(full, columns, bias, which + r, left < 4 ? left : 4, left, q, sums + r, 4, 2);
        } else {
            rows_some(full, columns, bias, which + r, left < 4 ? left : 4, left, q, sums + r, 4, 1);
        }
    }
}

VNNI static inline __m512 floats(const float *at)
{
    return _mm512_loadu_ps(at);
}

VNNI static inline __m512 same(float x)
{
    return _mm512_set1_ps(x);
}

VNNI static inline __m512 times(__m512 a, __m512 b)
{
    return _mm512_mul_ps(a, b);
}

VNNI static inline __m512 plus(__m512 a, __m512 b)
{
    return _mm512_add_ps(a, b);
}

VNNI static inline __m512 estimate(fa_part a, size_t i, float step)
{
    return times(_mm512_cvtepi32_ps(load(a.sums + i)), times(floats(a.scale + i), same(step)));
}

/* As fa_bound_body, written out: the compiler would check at every call whether arrays overlap. */
VNNI static float bound_vnni(fa_part a, const float *weight, fa_line q, size_t n, float *best, float *likely)
{
    __m512 top = same(-INFINITY);
    for (size_t i = 0; i < n; i += ROWS) {
        const __m512 w = floats(weight + i);
        const __m512 about = estimate(a, i, q.step);
        __m512 bound = plus(about, times(floats(a.error + i), same(q.size)));
        bound = plus(plus(bound, times(floats(a.rest + i), same(q.rest))), same(q.slack));
        bound = _mm512_sub_ps(times(w, _mm512_max_ps(bound, same(FA_TINY))), same(q.penalty));
        _mm512_storeu_ps(best + i, _mm512_max_ps(bound, floats(best + i)));
        top = _mm512_max_ps(bound, top);
        const __m512 guess = _mm512_sub_ps(times(w, about), same(q.penalty));
        _mm512_storeu_ps(likely + i, _mm512_max_ps(guess, floats(likely + i)));
    }
    return _mm512_reduce_max_ps(top);
}

VNNI static void largest_vnni(const float *values, size_t blocks, float *out)
{
    for (size_t b = 0; b < blocks; b++) {
        out[b] = _mm512_reduce_max_ps(floats(values + b * ROWS));
    }
}

VNNI static void bound2_vnni(fa_part a, fa_part b, const float *weight, fa_line first, fa_line q, size_t n,
                             float *out)
{
    for (size_t i = 0; i < n; i += ROWS) {
        __m512 bound = plus(estimate(a, i, first.step), estimate(b, i, q.step));
        bound = plus(bound, times(floats(a.error + i), same(first.size)));
        bound = plus(bound, times(floats(b.error + i), same(q.size)));
        bound = plus(plus(bound, times(floats(b.rest + i), same(q.rest))), same(q.slack));
        bound = times(floats(weight + i), _mm512_max_ps(bound, same(FA_TINY)));
        _mm512_storeu_ps(out + i, _mm512_sub_ps(bound, same(q.penalty)));
    }
}

VNNI static inline __m512d doubles8(const float *at)
{
    return _mm512_cvtps_pd(_mm256_loadu_ps(at));
}

VNNI static inline double finish_vnni(__m512d a, const float *x, const float *q, size_t n)
{
    double lanes[FA_LANES];
    _mm512_storeu_pd(lanes, a);
    for (size_t lane = 0; lane < n; lane++) {
        lanes[lane] += (double)x[lane] * (double)q[lane];
    }
    return fa_sum_lanes(lanes);
}

VNNI static double dot_vnni(const float *x, const float *q, size_t n)
{
    __m512d a = _mm512_setzero_pd();
    size_t i = 0;
    for (; i + FA_LANES <= n; i += FA_LANES) {
        a = _mm512_fmadd_pd(doubles8(x + i), doubles8(q + i), a);
    }
    return finish_vnni(a, x + i, q + i, n - i);
}

VNNI static void dot4_vnni(const float *x, const float *q, size_t stride, size_t n, double out[4])
{
    __m512d a[4];
    for (size_t v = 0; v < 4; v++) {
        a[v] = _mm512_setzero_pd();
    }
    size_t i = 0;
    for (; i + FA_LANES <= n; i += FA_LANES) {
        const __m512d first = doubles8(x + i);
        for (size_t v = 0; v < 4; v++) {
            a[v] = _mm512_fmadd_pd(first, doubles8(q + v * stride + i), a[v]);
        }
    }
    for (size_t v = 0; v < 4; v++) {
        out[v] = finish_vnni(a[v], x + i, q + v * stride + i, n - i);
    }
}

VNNI static inline __m512d nearest_code(__m512d x)
{
    const __m512d within =
        _mm512_min_pd(_mm512_max_pd(x, _mm512_set1_pd(-127.0)), _mm512_set1_pd(127.0));
    const __mmask8 negative = _mm512_cmp_pd_mask(within, _mm512_setzero_pd(), _CMP_LT_OQ);
    const __m512d half = _mm512_mask_blend_pd(negative, _mm512_set1_pd(0.5), _mm512_set1_pd(-0.5));
    return _mm512_cvtepi32_pd(_mm512_cvttpd_epi32(_mm512_add_pd(within, half)));
}

VNNI static void encode_vnni(const float *values, size_t n, int8_t *high, int8_t *low, float *step,
                             double missed[2])
{
    const float s = fa_step_body(values, n);
    const __m512d inverse = _mm512_set1_pd(s > 0.0f ? 1.0 / (double)s : 0.0);
    const __m512d size = _mm512_set1_pd((double)s);
    const __m512d coarse_size = _mm512_set1_pd((double)(254.0f * s));
    const __m512d ratio = _mm512_set1_pd(254.0);
    __m512d sum = _mm512_setzero_pd();
    __m512d coarse_sum = _mm512_setzero_pd();
    *step = s;
    for (size_t i = 0; i < n; i += FA_LANES) {
        const __m512d x = doubles8(values + i);
        const __m512d exactly = _mm512_mul_pd(x, inverse);
        const __m512d h = nearest_code(_mm512_mul_pd(exactly, _mm512_set1_pd(1.0 / 254.0)));
        const __m512d coarse = _mm512_mul_pd(ratio, h);
        const __m512d l = nearest_code(_mm512_sub_pd(exactly, coarse));
        const __m512d off = _mm512_sub_pd(x, _mm512_mul_pd(size, _mm512_add_pd(coarse, l)));
        sum = _mm512_add_pd(sum, _mm512_mul_pd(off, off));
        const __m512d far = _mm512_sub_pd(x, _mm512_mul_pd(coarse_size, h));
        coarse_sum = _mm512_add_pd(coarse_sum, _mm512_mul_pd(far, far));
        _mm_storel_epi64((__m128i *)(void *)(high + i), _mm256_cvtepi32_epi8(_mm512_cvttpd_epi32(h)));
        _mm_storel_epi64((__m128i *)(void *)(low + i), _mm256_cvtepi32_epi8(_mm512_cvttpd_epi32(l)));
    }
    double lanes[FA_LANES];
    _mm512_storeu_pd(lanes, sum);
    missed[0] = fa_sum_lanes(lanes);
    _mm512_storeu_pd(lanes, coarse_sum);
    missed[1] = fa_sum_lanes(lanes);
}

/* The 64 float lanes of fa_rotate_body as four registers, two rows of the basis at a time. */
VNNI static inline float finish_lanes(__m512 a, __m512 b, __m512 c, __m512 d)
{
    float lanes[16];
    _mm512_storeu_ps(lanes, _mm512_add_ps(_mm512_add_ps(a, c), _mm512_add_ps(b, d)));
    for (size_t half = 8; half > 0; half /= 2) {
        for (size_t lane = 0; lane < half; lane++) {
            lanes[lane] += lanes[lane + half];
        }
    }
    return lanes[0];
}

VNNI static void rotate_vnni(const float *basis, const float *q, size_t columns, float *out)
{
    for (size_t j = 0; j < FA_LEVEL; j += 2) {
        const float *v = basis + j * columns;
        const float *w = v + columns;
        __m512 a[4], b[4];
        for (size_t lane = 0; lane < 4; lane++) {
            a[lane] = _mm512_setzero_ps();
            b[lane] = _mm512_setzero_ps();
        }
        for (size_t i = 0; i < columns; i += FA_FLOAT_LANES) {
            for (size_t lane = 0; lane < 4; lane++) {
                const __m512 x = _mm512_loadu_ps(q + i + 16 * lane);
                a[lane] = _mm512_add_ps(a[lane], _mm512_mul_ps(_mm512_loadu_ps(v + i + 16 * lane), x));
                b[lane] = _mm512_add_ps(b[lane], _mm512_mul_ps(_mm512_loadu_ps(w + i + 16 * lane), x));
            }
        }
        out[j] = finish_lanes(a[0], a[1], a[2], a[3]);
        out[j + 1] = finish_lanes(b[0], b[1], b[2], b[3]);
    }
}

const fa_loops fa_loops_avx512vnni = {"avx512vnni", has_vnni,  prefix_vnni, rows_vnni,  bound_vnni, largest_vnni, bound2_vnni,
                                      dot_vnni,     dot4_vnni, encode_vnni, rotate_vnni};

#endif
