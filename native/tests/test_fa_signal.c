/* Runs the steps of preprocessing over exact-size heap blocks, so that AddressSanitizer sees any step
 * outside, on both paths: they agree to the last bit. */
#include "fa_signal.h"

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

static uint32_t seed = 99u;

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
        p[i] = 100.0 * noise() + (double)i;
    }
    return p;
}

static double *empty(size_t count)
{
    return block(count, sizeof(double));
}

static void baselines(size_t count, size_t n)
{
    const size_t size = count * n;
    const size_t room = fa_asls_work(count, n);
    double *y = numbers(size);
    double *a = empty(size), *b = empty(size), *va = empty(size), *vb = empty(size), *work = empty(room);
    CHECK(fa_asls(y, size, count, n, 1e4, 0.01, 9, a, size, va, size, work, room, FA_PATH_PLAIN) == FA_OK);
    CHECK(fa_asls(y, size, count, n, 1e4, 0.01, 9, b, size, vb, size, work, room, FA_PATH_BEST) == FA_OK);
    CHECK(memcmp(a, b, size * sizeof *a) == 0 && memcmp(va, vb, size * sizeof *va) == 0);
    CHECK(fa_asls(y, size, count, n, 1e4, 0.01, 0, b, size, NULL, 0, work, room, FA_PATH_BEST) == FA_OK);
    CHECK(n < 5 || memcmp(b, y, size * sizeof *b) == 0); /* no round: the values themselves */
    if (count > 0) {
        CHECK(fa_asls(y, size - 1, count, n, 1e4, 0.01, 9, a, size, NULL, 0, work, room, 0) == FA_INVALID);
        CHECK(fa_asls(y, size, count, n, 1e4, 0.01, 9, a, size - 1, NULL, 0, work, room, 0) == FA_INVALID);
        CHECK(fa_asls(y, size, count, n, 1e4, 0.01, 9, a, size, va, size - 1, work, room, 0) == FA_INVALID);
        CHECK(fa_asls(y, size, count, n, 1e4, 0.01, 9, a, size, NULL, 0, work, room - 1, 0) == FA_INVALID);
        CHECK(fa_asls(y, size, count, n, (double)NAN, 0.01, 9, a, size, NULL, 0, work, room, 0) ==
              FA_INVALID);
        CHECK(fa_asls(y, size, count, n, 1e4, 0.01, 9, a, size, NULL, 0, work, room, 77) == FA_INVALID);
    }
    free(y);
    free(a);
    free(b);
    free(va);
    free(vb);
    free(work);
}

static void splines(size_t n, size_t m)
{
    double *x = empty(n), *y = numbers(n), *at = empty(m), *out = empty(m), *work = empty(4 * n);
    for (size_t i = 0; i < n; i++) {
        x[i] = (double)i + 0.4 * noise();
    }
    for (size_t i = 0; i < m; i++) {
        at[i] = i < n ? x[i] : (double)n * (0.5 + 0.6 * noise());
    }
    CHECK(fa_spline(x, n, y, n, n, at, m, m, out, m, work, 4 * n) == FA_OK);
    for (size_t i = 0; i < m && i < n; i++) {
        CHECK(fabs(out[i] - y[i]) < 1e-9 * (double)n * 100.0); /* goes through its points */
    }
    CHECK(fa_spline(x, n - 1, y, n, n, at, m, m, out, m, work, 4 * n) == FA_INVALID);
    CHECK(fa_spline(x, n, y, n, n, at, m, m, out, m, work, 4 * n - 1) == FA_INVALID);
    x[1] = x[0];
    CHECK(fa_spline(x, n, y, n, n, at, m, m, out, m, work, 4 * n) == FA_INVALID);
    free(x);
    free(y);
    free(at);
    free(out);
    free(work);
}

static void kernels(size_t n, size_t half)
{
    const size_t window = 2 * half + 1;
    double *y = numbers(n), *taps = numbers(half), *matrix = numbers(window * window);
    double *a = empty(n), *b = empty(n), *work = empty(n + 2 * half);
    const size_t room = n + 2 * half;
    CHECK(fa_odd_kernel(y, n, n, taps, half, half, a, n, work, room, FA_PATH_PLAIN) == FA_OK);
    CHECK(fa_odd_kernel(y, n, n, taps, half, half, b, n, work, room, FA_PATH_BEST) == FA_OK);
    CHECK(memcmp(a, b, n * sizeof *a) == 0);
    CHECK(fa_odd_kernel(y, n, n, taps, half, half, b, n, work, room - 1, FA_PATH_BEST) == FA_INVALID);
    const int wanted = window <= n ? FA_OK : FA_INVALID;
    CHECK(fa_savgol(y, n, n, matrix, window * window, window, a, n, FA_PATH_PLAIN) == wanted);
    CHECK(fa_savgol(y, n, n, matrix, window * window, window, b, n, FA_PATH_BEST) == wanted);
    CHECK(memcmp(a, b, n * sizeof *a) == 0);
    CHECK(fa_savgol(y, n, n, matrix, window * window - 1, window, b, n, FA_PATH_BEST) == FA_INVALID);
    free(y);
    free(taps);
    free(matrix);
    free(a);
    free(b);
    free(work);
}

static void points(size_t n)
{
    double *y = numbers(n), *told = empty(n), *out = empty(n), *other = empty(n), *work = empty(n);
    for (size_t i = 0; i < n; i++) {
        told[i] = 1.0;
        y[i] *= 1e-3;
    }
    const size_t middle = n / 2;
    size_t spikes = 99;
    if (n > 0) {
        y[middle] += 1000.0;
    }
    CHECK(fa_despike(y, n, told, n, n, 8.0, 5.0, out, n, &spikes, work, n) == FA_OK);
    CHECK(spikes == (n >= 15 ? 1 : 0));
    CHECK(n < 15 || out[middle] < 500.0);
    CHECK(fa_despike(y, n, told, n, n + 1, 8.0, 5.0, out, n, &spikes, work, n) == FA_INVALID);
    CHECK(fa_compress(y, n, told, n, n, 1.0 / 3.0, out, n, FA_PATH_PLAIN) == FA_OK);
    CHECK(fa_compress(y, n, told, n, n, 1.0 / 3.0, other, n, FA_PATH_BEST) == FA_OK);
    CHECK(memcmp(out, other, n * sizeof *out) == 0);
    CHECK(fa_compress(y, n, told, n, n, 0.5, other, n, FA_PATH_BEST) == FA_OK);
    CHECK(fa_compress(y, n, told, n, n + 1, 0.5, other, n, FA_PATH_BEST) == FA_INVALID);

    static const double shifts[] = {0.0, 0.5, -0.5, 3.25, -3.75, 7.0, -7.0, 1e6, -1e6};
    const size_t count = sizeof shifts / sizeof *shifts;
    const size_t stride = n + 2;
    const size_t size = n > 0 ? (count - 1) * stride + n : 0;
    float *rows = block(size, sizeof *rows), *same = block(size, sizeof *same);
    const int wanted = n > 0 ? FA_OK : FA_INVALID;
    memset(rows, 0, size * sizeof *rows);
    memset(same, 0, size * sizeof *same);
    CHECK(fa_shifted(y, n, n, shifts, count, count, rows, size, stride, FA_PATH_PLAIN) == wanted);
    CHECK(fa_shifted(y, n, n, shifts, count, count, same, size, stride, FA_PATH_BEST) == wanted);
    CHECK(memcmp(rows, same, size * sizeof *rows) == 0);
    if (n > 0) {
        CHECK(fa_shifted(y, n, n, shifts, count, count, same, size - 1, stride, FA_PATH_BEST) ==
              FA_INVALID);
    }
    free(y);
    free(told);
    free(out);
    free(other);
    free(work);
    free(rows);
    free(same);
}

int main(void)
{
    static const size_t sizes[] = {1, 2, 3, 4, 5, 6, 7, 8, 14, 15, 16, 17, 33, 100};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t count = 0; count < 18; count++) {
            baselines(count, sizes[i]);
        }
        if (sizes[i] > 1) {
            splines(sizes[i], 0);
            splines(sizes[i], 50);
        }
        for (size_t half = 0; half < 9; half++) {
            kernels(sizes[i], half);
        }
        kernels(sizes[i], 250);
        points(sizes[i]);
    }
    points(0);
    printf("%d failures\n", failures);
    return failures != 0;
}
