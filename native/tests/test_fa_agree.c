/* Runs the comparison of references over exact-size heap blocks, so that AddressSanitizer sees any step
 * outside, on both paths: they agree to the last bit. */
#include "fa_agree.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;

#define CHECK(condition)                                              \
    do {                                                              \
        if (!(condition)) {                                           \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
            failures++;                                               \
        }                                                             \
    } while (0)

static uint32_t seed = 7u;

static double noise(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (double)(seed >> 8) / 8388608.0 - 1.0;
}

static void *block(size_t count, size_t size)
{
    void *p = malloc(count * size > 0 ? count * size : 1);
    if (p == NULL) {
        abort();
    }
    return p;
}

static double *numbers(size_t count)
{
    double *p = block(count, sizeof *p);
    for (size_t i = 0; i < count; i++) {
        p[i] = noise();
    }
    return p;
}

static void agreements(size_t count, size_t n, size_t stride, size_t half)
{
    const size_t length = (count - 1) * stride + n, room = fa_agree_work(n, half), reach = n / 8;
    float *rows = block(length, sizeof *rows);
    int32_t *valid = block(2 * count, sizeof *valid), *chosen = block(count, sizeof *chosen);
    int32_t *shifts = block(count, sizeof *shifts);
    double *linear = numbers(n), *threshold = numbers(n), *compressed = numbers(n), *taps = numbers(half + 1);
    double *work = block(room, sizeof *work);
    fa_agreement *a = block(count, sizeof *a), *b = block(count, sizeof *b);
    for (size_t i = 0; i < length; i++) {
        rows[i] = (float)noise();
    }
    for (size_t i = 0; i < n; i++) {
        threshold[i] = 0.1 * fabs(threshold[i]);
    }
    for (size_t r = 0; r < count; r++) {
        valid[2 * r] = (int32_t)(r % 3);
        valid[2 * r + 1] = (int32_t)n - (int32_t)(r % 5);
        chosen[r] = (int32_t)(count - 1 - r);
        shifts[r] = (int32_t)(r % (2 * reach + 1)) - (int32_t)reach;
    }
    for (int bent = 0; bent < 2; bent++) {
        CHECK(fa_agree(rows, length, count, n, stride, valid, 2 * count, linear, threshold, compressed, n,
                       reach, n - reach, 1.0 / 3.0, 0.15 * bent, taps, half + 1, half, chosen, shifts, count, a,
                       count, work, room, FA_PATH_PLAIN) == FA_OK);
        CHECK(fa_agree(rows, length, count, n, stride, valid, 2 * count, linear, threshold, compressed, n,
                       reach, n - reach, 1.0 / 3.0, 0.15 * bent, taps, half + 1, half, chosen, shifts, count, b,
                       count, work, room, FA_PATH_BEST) == FA_OK);
        CHECK(memcmp(a, b, count * sizeof *a) == 0);
        for (size_t r = 0; r < count; r++) {
            CHECK(a[r].weight >= 0.0 && fabs(a[r].agreement) <= 1.0 + 1e-12);
        }
    }
    /* a measurement with itself */
    for (size_t i = 0; i < n; i++) {
        linear[i] = (double)rows[i];
        threshold[i] = 0.0;
        compressed[i] = cbrt(linear[i]);
    }
    chosen[0] = shifts[0] = 0;
    if (half == 0 && n > 20) {
        CHECK(fa_agree(rows, length, count, n, stride, valid, 2 * count, linear, threshold, compressed, n, 0,
                       n, 1.0 / 3.0, 0.0, NULL, 0, 0, chosen, shifts, 1, a, 1, work, room, FA_PATH_BEST) == FA_OK);
        CHECK(fabs(a[0].agreement - 1.0) < 1e-12 && fabs(a[0].weight - 1.0) < 1e-12);
    }
    shifts[0] = 1; /* out of the measurement */
    CHECK(fa_agree(rows, length, count, n, stride, valid, 2 * count, linear, threshold, compressed, n, 0, n,
                   1.0 / 3.0, 0.0, taps, half + 1, half, chosen, shifts, 1, a, 1, work, room, FA_PATH_BEST) ==
          FA_INVALID);
    shifts[0] = 0;
    chosen[0] = (int32_t)count;
    CHECK(fa_agree(rows, length, count, n, stride, valid, 2 * count, linear, threshold, compressed, n, 0, n,
                   1.0 / 3.0, 0.0, taps, half + 1, half, chosen, shifts, 1, a, 1, work, room, FA_PATH_BEST) ==
          FA_INVALID);
    chosen[0] = 0;
    CHECK(fa_agree(rows, length - 1, count, n, stride, valid, 2 * count, linear, threshold, compressed, n, 0, n,
                   1.0 / 3.0, 0.0, taps, half + 1, half, chosen, shifts, 1, a, 1, work, room, FA_PATH_BEST) ==
          FA_INVALID);
    free(rows);
    free(valid);
    free(chosen);
    free(shifts);
    free(linear);
    free(threshold);
    free(compressed);
    free(taps);
    free(work);
    free(a);
    free(b);
}

static void axes(size_t n)
{
    const size_t room = fa_axis_work(n);
    double *reference = numbers(n), *measured = block(n, sizeof *measured), *work = block(room, sizeof *work);
    double *out = block(n, sizeof *out), *taps = numbers(6), *padded = block(n + 10, sizeof *padded);
    const fa_axis_prior prior = {10.0, 0.0003, 0.0008, 0.003};
    fa_axis_found found;
    CHECK(fa_moved(reference, n, n, -2.0, 0.0, measured, n, FA_PATH_BEST) == FA_OK);
    CHECK(fa_axis(measured, n, reference, n, n, 0.0, &prior, &found, work, room) == FA_OK);
    if (n > 200) {
        CHECK(fabs(found.shift - 2.0) < 0.3 && found.witnesses > 2.0);
    }
    memset(measured, 0, n * sizeof *measured);
    CHECK(fa_axis(measured, n, reference, n, n, 1.5, &prior, &found, work, room) == FA_OK);
    CHECK(found.witnesses == 0.0 && found.shift == 1.5 && isinf(found.shift_error));
    CHECK(fa_axis(measured, n, reference, n, n, 1.5, &prior, &found, work, room - 1) == FA_INVALID);
    CHECK(fa_moved(reference, n, n, 0.25, 0.001, out, n, FA_PATH_PLAIN) == FA_OK);
    CHECK(fa_moved(reference, n, n, NAN, 0.0, out, n, FA_PATH_BEST) == FA_INVALID);
    CHECK(fa_even_kernel(reference, n, n, taps, 6, 5, out, n, padded, n + 10, FA_PATH_PLAIN) == FA_OK);
    CHECK(fa_even_kernel(reference, n, n, taps, 6, 5, measured, n, padded, n + 10, FA_PATH_BEST) == FA_OK);
    CHECK(memcmp(out, measured, n * sizeof *out) == 0);
    CHECK(fa_even_kernel(reference, n, n, taps, 6, 6, out, n, padded, n + 12, FA_PATH_BEST) == FA_INVALID);
    free(reference);
    free(measured);
    free(work);
    free(out);
    free(taps);
    free(padded);
}

int main(void)
{
    for (size_t n = 1; n < 40; n += 3) {
        agreements(4, n, n, 0);
        agreements(3, n, n + 5, 2);
        axes(n);
    }
    agreements(9, 700, 704, 0);
    agreements(9, 701, 704, 9);
    axes(900);
    CHECK(fa_agree_work((size_t)1 << 40, 0) == 0 && fa_axis_work(0) == 0);
    printf("%d failures\n", failures);
    return failures != 0;
}
