/* See fa_loops.h. The loops for x86-64 with AVX2, and with AVX-512 VNNI. */
#include "fa_loops.h"

#if !defined(FA_PORTABLE) && defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define ROWS FA_ROWS_A_BLOCK
#define AVX2 __attribute__((target("avx2,fma")))
#define VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")))

static int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static int has_vnni(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}

static int32_t four_codes(const int8_t *at)
{
    int32_t word;
    __builtin_memcpy(&word, at, sizeof word);
    return word;
}

/* ---- AVX2: |a| times q with a's sign fits the unsigned-by-signed multiply and cannot saturate:
 * 2 * 128 * 127 < 2^15. */

AVX2 static inline __m256i products(__m256i size, __m256i signs, __m256i q)
{
    const __m256i pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(q, signs));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

AVX2 static void prefix_avx2(const int8_t *rows, const int32_t *bias, size_t blocks, fa_codes q,
                             int32_t *sums)
{
    (void)bias;
    const __m256i step = _mm256_set1_epi32(254);
    for (size_t b = 0; b < blocks; b++) {
        __m256i high[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
        __m256i low[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
        for (size_t j = 0; j < FA_PREFIX; j += 4) {
            const int8_t *four = rows + b * ROWS * FA_PREFIX + j * ROWS;
            const __m256i qh = _mm256_set1_epi32(four_codes(q.high + j));
            const __m256i ql = _mm256_set1_epi32(four_codes(q.low + j));
            for (size_t half = 0; half < 2; half++) {
                const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(four + 32 * half));
                const __m256i size = _mm256_abs_epi8(a);
                high[half] = _mm256_add_epi32(high[half], products(size, a, qh));
                low[half] = _mm256_add_epi32(low[half], products(size, a, ql));
            }
        }
        for (size_t half = 0; half < 2; half++) {
            const __m256i sum = _mm256_add_epi32(_mm256_mullo_epi32(high[half], step), low[half]);
            _mm256_storeu_si256((__m256i *)(void *)(sums + b * ROWS + 8 * half), sum);
        }
    }
}

AVX2 static int32_t sum_avx2(__m256i v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    return _mm_cvtsi128_si32(s);
}

AVX2 static void rows_avx2(const int8_t *full, size_t columns, const int32_t *bias, const int32_t *which,
                           size_t n, fa_codes q, double *sums)
{
    (void)bias;
    for (size_t r = 0; r < n; r++) {
        const int8_t *codes = full + (size_t)which[r] * columns;
        __m256i high = _mm256_setzero_si256();
        __m256i low = _mm256_setzero_si256();
        for (size_t i = 0; i < columns; i += 32) {
            const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(codes + i));
            const __m256i size = _mm256_abs_epi8(a);
            const __m256i qh = _mm256_loadu_si256((const __m256i *)(const void *)(q.high + i));
            const __m256i ql = _mm256_loadu_si256((const __m256i *)(const void *)(q.low + i));
            high = _mm256_add_epi32(high, products(size, a, qh));
            low = _mm256_add_epi32(low, products(size, a, ql));
        }
        sums[r] = 254.0 * (double)sum_avx2(high) + (double)sum_avx2(low);
    }
}

AVX2 static void bound_avx2(const int32_t *sums, const float *scale, const float *error,
                            const float *rest, const float *weight, fa_line q, size_t n, float *best,
                            float *likely)
{
    fa_bound_body(sums, scale, error, rest, weight, q, n, best, likely);
}

AVX2 static inline __m256d doubles(const float *at)
{
    return _mm256_cvtps_pd(_mm_loadu_ps(at));
}

AVX2 static inline double finish_avx2(__m256d a, __m256d b, const float *x, const float *q, size_t n)
{
    double lanes[FA_LANES];
    _mm256_storeu_pd(lanes, a);
    _mm256_storeu_pd(lanes + 4, b);
    for (size_t lane = 0; lane < n; lane++) {
        lanes[lane] += (double)x[lane] * (double)q[lane];
    }
    return fa_sum_lanes(lanes);
}

AVX2 static double dot_avx2(const float *x, const float *q, size_t n)
{
    __m256d a = _mm256_setzero_pd();
    __m256d b = _mm256_setzero_pd();
    size_t i = 0;
    for (; i + FA_LANES <= n; i += FA_LANES) {
        a = _mm256_fmadd_pd(doubles(x + i), doubles(q + i), a);
        b = _mm256_fmadd_pd(doubles(x + i + 4), doubles(q + i + 4), b);
    }
    return finish_avx2(a, b, x + i, q + i, n - i);
}

AVX2 static void dot4_avx2(const float *x, const float *q, size_t stride, size_t n, double out[4])
{
    __m256d a[4], b[4];
    for (size_t v = 0; v < 4; v++) {
        a[v] = _mm256_setzero_pd();
        b[v] = _mm256_setzero_pd();
    }
    size_t i = 0;
    for (; i + FA_LANES <= n; i += FA_LANES) {
        const __m256d first = doubles(x + i);
        const __m256d second = doubles(x + i + 4);
        for (size_t v = 0; v < 4; v++) {
            a[v] = _mm256_fmadd_pd(first, doubles(q + v * stride + i), a[v]);
            b[v] = _mm256_fmadd_pd(second, doubles(q + v * stride + i + 4), b[v]);
        }
    }
    for (size_t v = 0; v < 4; v++) {
        out[v] = finish_avx2(a[v], b[v], x + i, q + v * stride + i, n - i);
    }
}

AVX2 static void rotate_avx2(const float *basis, const float *q, size_t columns, float *out)
{
    fa_rotate_body(basis, q, columns, out);
}

AVX2 static double encode_avx2(const float *values, size_t n, int8_t *high, int8_t *low, float *step)
{
    return fa_encode_body(values, n, high, low, step);
}

const fa_loops fa_loops_avx2 = {"avx2",    has_avx2,  prefix_avx2, rows_avx2,  bound_avx2,
                                dot_avx2, dot4_avx2, encode_avx2, rotate_avx2};

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
    const int8_t *rows, const int32_t *bias, fa_codes q, int32_t *sums, const size_t some)
{
    __m512i high[4], low[4];
    for (size_t b = 0; b < some; b++) {
        high[b] = load(bias + b * ROWS);
        low[b] = high[b];
    }
#pragma GCC unroll 16
    for (size_t j = 0; j < FA_PREFIX; j += 4) {
        const __m512i qh = lift(_mm512_set1_epi32(four_codes(q.high + j)));
        const __m512i ql = lift(_mm512_set1_epi32(four_codes(q.low + j)));
        for (size_t b = 0; b < some; b++) {
            const __m512i a = load(rows + b * ROWS * FA_PREFIX + j * ROWS);
            high[b] = _mm512_dpbusd_epi32(high[b], qh, a);
            low[b] = _mm512_dpbusd_epi32(low[b], ql, a);
        }
    }
    for (size_t b = 0; b < some; b++) {
        const __m512i sum =
            _mm512_add_epi32(_mm512_mullo_epi32(high[b], _mm512_set1_epi32(254)), low[b]);
        _mm512_storeu_si512(sums + b * ROWS, sum);
    }
}

VNNI static void prefix_vnni(const int8_t *rows, const int32_t *bias, size_t blocks, fa_codes q,
                             int32_t *sums)
{
    size_t b = 0;
    for (; b + 4 <= blocks; b += 4) {
        prefix_some(rows + b * ROWS * FA_PREFIX, bias + b * ROWS, q, sums + b * ROWS, 4);
    }
    for (; b < blocks; b++) {
        prefix_some(rows + b * ROWS * FA_PREFIX, bias + b * ROWS, q, sums + b * ROWS, 1);
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

/* Four rows at a time share the query's codes; the next four are on their way meanwhile. */
VNNI static void rows_vnni(const int8_t *full, size_t columns, const int32_t *bias, const int32_t *which,
                           size_t n, fa_codes q, double *sums)
{
    for (size_t r = 0; r < n; r += 4) {
        const int8_t *codes[4], *next[4];
        int32_t back[4];
        double out[4];
        __m512i high[4], low[4];
        for (size_t i = 0; i < 4; i++) {
            const int32_t row = which[r + i < n ? r + i : r];
            codes[i] = full + (size_t)row * columns;
            next[i] = full + (size_t)which[r + 4 + i < n ? r + 4 + i : r] * columns;
            back[i] = bias[row];
            high[i] = _mm512_setzero_si512();
            low[i] = _mm512_setzero_si512();
        }
        for (size_t c = 0; c < columns; c += 64) {
            const __m512i qh = lift(load(q.high + c));
            const __m512i ql = lift(load(q.low + c));
            for (size_t i = 0; i < 4; i++) {
                const __m512i a = load(codes[i] + c);
                high[i] = _mm512_dpbusd_epi32(high[i], qh, a);
                low[i] = _mm512_dpbusd_epi32(low[i], ql, a);
                _mm_prefetch((const char *)next[i] + c, _MM_HINT_T0);
            }
        }
        const __m128i taken = _mm_loadu_si128((const __m128i *)(const void *)back);
        const __m256d h = _mm256_cvtepi32_pd(_mm_add_epi32(sum_four(high), taken));
        const __m256d l = _mm256_cvtepi32_pd(_mm_add_epi32(sum_four(low), taken));
        _mm256_storeu_pd(out, _mm256_add_pd(_mm256_mul_pd(h, _mm256_set1_pd(254.0)), l));
        for (size_t i = 0; i < 4 && r + i < n; i++) {
            sums[r + i] = out[i];
        }
    }
}

VNNI static void bound_vnni(const int32_t *sums, const float *scale, const float *error,
                            const float *rest, const float *weight, fa_line q, size_t n, float *best,
                            float *likely)
{
    fa_bound_body(sums, scale, error, rest, weight, q, n, best, likely);
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

VNNI static double encode_vnni(const float *values, size_t n, int8_t *high, int8_t *low, float *step)
{
    const float s = fa_step_body(values, n);
    const __m512d inverse = _mm512_set1_pd(s > 0.0f ? 1.0 / (double)s : 0.0);
    const __m512d size = _mm512_set1_pd((double)s);
    const __m512d ratio = _mm512_set1_pd(254.0);
    __m512d sum = _mm512_setzero_pd();
    *step = s;
    for (size_t i = 0; i < n; i += FA_LANES) {
        const __m512d x = doubles8(values + i);
        const __m512d exactly = _mm512_mul_pd(x, inverse);
        const __m512d h = nearest_code(_mm512_mul_pd(exactly, _mm512_set1_pd(1.0 / 254.0)));
        const __m512d coarse = _mm512_mul_pd(ratio, h);
        const __m512d l = nearest_code(_mm512_sub_pd(exactly, coarse));
        const __m512d off = _mm512_sub_pd(x, _mm512_mul_pd(size, _mm512_add_pd(coarse, l)));
        sum = _mm512_add_pd(sum, _mm512_mul_pd(off, off));
        _mm_storel_epi64((__m128i *)(void *)(high + i), _mm256_cvtepi32_epi8(_mm512_cvttpd_epi32(h)));
        _mm_storel_epi64((__m128i *)(void *)(low + i), _mm256_cvtepi32_epi8(_mm512_cvttpd_epi32(l)));
    }
    double lanes[FA_LANES];
    _mm512_storeu_pd(lanes, sum);
    return fa_sum_lanes(lanes);
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
    for (size_t j = 0; j < FA_PREFIX; j += 2) {
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

const fa_loops fa_loops_avx512vnni = {"avx512vnni", has_vnni,  prefix_vnni, rows_vnni,  bound_vnni,
                                      dot_vnni,     dot4_vnni, encode_vnni, rotate_vnni};

#endif
