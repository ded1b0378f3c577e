/* See fa_loops.h. The loops over floats for x86-64 with AVX-512; those over codes are in fa_loops_vnni.c. */
#include "fa_loops_512.h"

#if !defined(FA_PORTABLE) && defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define ROWS FA_ROWS_A_BLOCK
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))

AVX512 static inline __m512 floats(const float *at)
{
    return _mm512_loadu_ps(at);
}

AVX512 static inline __m512 same(float x)
{
    return _mm512_set1_ps(x);
}

AVX512 static inline __m512 times(__m512 a, __m512 b)
{
    return _mm512_mul_ps(a, b);
}

AVX512 static inline __m512 plus(__m512 a, __m512 b)
{
    return _mm512_add_ps(a, b);
}

AVX512 static inline __m512 estimate(fa_part a, size_t i, float step)
{
    return times(_mm512_cvtepi32_ps(_mm512_loadu_si512(a.sums + i)), times(floats(a.scale + i), same(step)));
}

/* As fa_bound_body, written out: the compiler would check at every call whether arrays overlap. */
AVX512 float fa_bound_512(fa_part a, const float *weight, fa_line q, size_t n, float *best, float *likely)
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

AVX512 void fa_largest_512(const float *values, size_t blocks, float *out)
{
    for (size_t b = 0; b < blocks; b++) {
        out[b] = _mm512_reduce_max_ps(floats(values + b * ROWS));
    }
}

AVX512 void fa_bound2_512(fa_part a, fa_part b, const float *weight, fa_line first, fa_line q, size_t n,
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

AVX512 static inline __m512d doubles8(const float *at)
{
    return _mm512_cvtps_pd(_mm256_loadu_ps(at));
}

AVX512 static inline double finish(__m512d a, const float *x, const float *q, size_t n)
{
    double lanes[FA_LANES];
    _mm512_storeu_pd(lanes, a);
    for (size_t lane = 0; lane < n; lane++) {
        lanes[lane] += (double)x[lane] * (double)q[lane];
    }
    return fa_sum_lanes(lanes);
}

AVX512 double fa_dot_512(const float *x, const float *q, size_t n)
{
    __m512d a = _mm512_setzero_pd();
    size_t i = 0;
    for (; i + FA_LANES <= n; i += FA_LANES) {
        a = _mm512_fmadd_pd(doubles8(x + i), doubles8(q + i), a);
    }
    return finish(a, x + i, q + i, n - i);
}

AVX512 void fa_dot4_512(const float *x, const float *const q[4], size_t n, double out[4])
{
    __m512d a[4];
    for (size_t v = 0; v < 4; v++) {
        a[v] = _mm512_setzero_pd();
    }
    size_t i = 0;
    for (; i + FA_LANES <= n; i += FA_LANES) {
        const __m512d first = doubles8(x + i);
        for (size_t v = 0; v < 4; v++) {
            a[v] = _mm512_fmadd_pd(first, doubles8(q[v] + i), a[v]);
        }
    }
    for (size_t v = 0; v < 4; v++) {
        out[v] = finish(a[v], x + i, q[v] + i, n - i);
    }
}

AVX512 static inline __m512d nearest_code(__m512d x)
{
    const __m512d within =
        _mm512_min_pd(_mm512_max_pd(x, _mm512_set1_pd(-127.0)), _mm512_set1_pd(127.0));
    const __mmask8 negative = _mm512_cmp_pd_mask(within, _mm512_setzero_pd(), _CMP_LT_OQ);
    const __m512d half = _mm512_mask_blend_pd(negative, _mm512_set1_pd(0.5), _mm512_set1_pd(-0.5));
    return _mm512_cvtepi32_pd(_mm512_cvttpd_epi32(_mm512_add_pd(within, half)));
}

AVX512 void fa_encode_512(const float *values, size_t n, int8_t *high, int8_t *low, float *step,
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

/* The 64 float lanes of fa_rotate_body as four registers, four rows of the basis at a time. */
AVX512 static inline float finish_lanes(__m512 a, __m512 b, __m512 c, __m512 d)
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

AVX512 void fa_rotate_512(const float *basis, const float *q, size_t columns, float *out)
{
    for (size_t j = 0; j < FA_LEVEL; j += 4) {
        const float *v = basis + j * columns;
        __m512 sum[4][4];
        for (size_t row = 0; row < 4; row++) {
            for (size_t lane = 0; lane < 4; lane++) {
                sum[row][lane] = _mm512_setzero_ps();
            }
        }
        for (size_t i = 0; i < columns; i += FA_FLOAT_LANES) {
            for (size_t lane = 0; lane < 4; lane++) {
                const __m512 x = floats(q + i + 16 * lane);
                for (size_t row = 0; row < 4; row++) {
                    sum[row][lane] = plus(sum[row][lane], times(floats(v + row * columns + i + 16 * lane), x));
                }
            }
        }
        for (size_t row = 0; row < 4; row++) {
            out[j + row] = finish_lanes(sum[row][0], sum[row][1], sum[row][2], sum[row][3]);
        }
    }
}

#endif
