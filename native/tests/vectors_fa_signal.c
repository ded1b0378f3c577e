/* What the steps of preprocessing make of made-up spectra, for comparison between machines. */
#include "vectors.h"

#include "fa_paths.h"
#include "fa_signal.h"

enum { SPECTRA = 5, N = 211, WINDOW = 7, HALF = 6, SHIFTS = 3 };

static void print_all(const char *name, int status, const double *values, size_t count)
{
    printf("%s %d\n", name, status);
    for (size_t i = 0; i < count; i++) {
        printf("v %a\n", values[i]);
    }
}

int main(void)
{
    vectors v = {99u};
    const size_t total = (size_t)SPECTRA * N, work_length = fa_asls_work(SPECTRA, N) + 4 * N + 4 * HALF;
    double *y = vectors_block(total, sizeof *y), *out = vectors_block(total, sizeof *out);
    double *inverse = vectors_block(total, sizeof *inverse), *x = vectors_block(N, sizeof *x);
    double *noise = vectors_block(N, sizeof *noise), *work = vectors_block(work_length, sizeof *work);
    double matrix[WINDOW * WINDOW], taps[HALF];
    float *row = vectors_block(N, sizeof *row), *moved = vectors_block(SHIFTS * N, sizeof *moved);
    for (size_t s = 0; s < SPECTRA; s++) {
        vectors_spectrum(&v, row, N);
        for (size_t i = 0; i < N; i++) {
            y[s * N + i] = 1000.0 * (double)row[i] + (i == 100 ? 4000.0 : 0.0);
        }
    }
    for (size_t i = 0; i < N; i++) {
        x[i] = 300.0 + 2.0 * (double)i + 0.25 * vectors_number(&v);
        noise[i] = 30.0;
    }
    for (size_t i = 0; i < WINDOW * WINDOW; i++) {
        matrix[i] = vectors_number(&v);
    }
    for (size_t i = 0; i < HALF; i++) {
        taps[i] = vectors_number(&v);
    }
    print_all("asls",
              fa_asls(y, total, SPECTRA, N, 1e5, 0.01, 12, out, total, inverse, total, work, work_length,
                      FA_PATH_BEST),
              out, total);
    print_all("inverse", 0, inverse, total);
    print_all("spline", fa_spline(x, N, y, N, N, x, N, N, out, N, work, work_length), out, N);
    for (size_t i = 0; i < N; i++) {
        inverse[i] = 305.0 + 1.9 * (double)i;
    }
    print_all("between", fa_spline(x, N, y, N, N, inverse, N, N, out, N, work, work_length), out, N);
    print_all("odd", fa_odd_kernel(y, N, N, taps, HALF, HALF, out, N, work, work_length, FA_PATH_BEST), out, N);
    print_all("savgol", fa_savgol(y, N, N, matrix, WINDOW * WINDOW, WINDOW, out, N, FA_PATH_BEST), out, N);
    size_t spikes = 0;
    print_all("despike", fa_despike(y, N, noise, N, N, 6.0, 2.0, out, N, &spikes, work, work_length), out, N);
    printf("spikes %zu\n", spikes);
    print_all("compress", fa_compress(y, N, noise, N, N, 1.0 / 3.0, out, N, FA_PATH_BEST), out, N);
    print_all("root", fa_compress(y, N, noise, N, N, 0.5, out, N, FA_PATH_BEST), out, N);
    const double shifts[SHIFTS] = {-3.25, 0.0, 1.0 / 3.0};
    printf("shifted %d\n", fa_shifted(y, N, N, shifts, SHIFTS, SHIFTS, moved, SHIFTS * N, N, FA_PATH_BEST));
    for (size_t i = 0; i < SHIFTS * N; i++) {
        printf("f %a\n", (double)moved[i]);
    }
    free(y);
    free(out);
    free(inverse);
    free(x);
    free(noise);
    free(work);
    free(row);
    free(moved);
    return 0;
}
