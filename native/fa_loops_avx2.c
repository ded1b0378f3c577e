/* See fa_loops.h. The loops for x86-64 with AVX2. */
#include "fa_loops.h"

#if !defined(FA_PORTABLE) && defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define ROWS FA_ROWS_A_BLOCK
#define AVX2 __attribute__((target("avx2,fma")))

static int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
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

AVX2 static void prefix_avx2(const int8_t *rows, const int32_t *bias, size_t blocks, const int8_t *q,
                             int32_t *sums)
{
    (void)bias;
    for (size_t b = 0; b < blocks; b++) {
        __m256i sum[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
        for (size_t j = 0; j < FA_LEVEL; j += 4) {
            const int8_t *four = rows + b * ROWS * FA_LEVEL + j * ROWS;
            const __m256i same = _mm256_set1_epi32(four_codes(q + j));
            for (size_t half = 0; half < 2; half++) {
                const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(four + 32 * half));
                sum[half] = _mm256_add_epi32(sum[half], products(_mm256_abs_epi8(a), a, same));
            }
        }
        for (size_t half = 0; half < 2; half++) {
            _mm256_storeu_si256((__m256i *)(void *)(sums + b * ROWS + 8 * half), sum[half]);
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

AVX2 static double sum_codes(const int8_t *codes, const int8_t *q, size_t n)
{
    __m256i sum = _mm256_setzero_si256();
    for (size_t i = 0; i < n; i += 32) {
        const __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(codes + i));
        const __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(q + i));
        sum = _mm256_add_epi32(sum, products(_mm256_abs_epi8(a), a, b));
    }
    return (double)sum_avx2(sum);
}

AVX2 static void rows_avx2(const int8_t *full, size_t columns, const int32_t *bias, const int32_t *which,
                           size_t n, fa_codes q, double *sums)
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

AVX2 static float bound_avx2(fa_part a, const float *weight, fa_line q, size_t n, float *best, float *likely)
{
    return fa_bound_body(a, weight, q, n, best, likely);
}

AVX2 static void largest_avx2(const float *values, size_t blocks, float *out)
{
    for (size_t b = 0; b < blocks; b++) {
        out[b] = fa_largest_of_block(values + b * ROWS);
    }
}

AVX2 static void bound2_avx2(fa_part a, fa_part b, const float *weight, fa_line first, fa_line q, size_t n,
                             float *out)
{
    fa_bound2_body(a, b, weight, first, q, n, out);
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

AVX2 static void dot4_avx2(const float *x, const float *const q[4], size_t n, double out[4])
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
            a[v] = _mm256_fmadd_pd(first, doubles(q[v] + i), a[v]);
            b[v] = _mm256_fmadd_pd(second, doubles(q[v] + i + 4), b[v]);
        }
    }
    for (size_t v = 0; v < 4; v++) {
        out[v] = finish_avx2(a[v], b[v], x + i, q[v] + i, n - i);
    }
}

AVX2 static void rotate_avx2(const float *basis, const float *q, size_t columns, float *out)
{
    fa_rotate_body(basis, q, columns, out);
}

AVX2 static void encode_avx2(const float *values, size_t n, int8_t *high, int8_t *low, float *step,
                             double missed[2])
{
    fa_encode_body(values, n, high, low, step, missed);
}

const fa_loops fa_loops_avx2 = {"avx2",    has_avx2,  prefix_avx2, rows_avx2,  bound_avx2, largest_avx2, bound2_avx2,
                                dot_avx2, dot4_avx2, encode_avx2, rotate_avx2};

#endif
