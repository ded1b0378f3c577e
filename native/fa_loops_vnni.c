/* See fa_loops.h. The loops over codes for x86-64 with AVX-512 VNNI, and the table of its path. */
#include "fa_loops_512.h"

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

const fa_loops fa_loops_avx512vnni = {"avx512vnni", has_vnni,  prefix_vnni, rows_vnni,  fa_bound_512, fa_largest_512, fa_bound2_512,
                                      fa_dot_512,     fa_dot4_512, fa_encode_512, fa_rotate_512};

#endif
