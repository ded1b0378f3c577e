/* The steps of preprocessing on any numbers, and claims the blocks may not hold. */
#include "fuzz.h"

#include "fa_signal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes f = fuzz_open(data, size);
    const int path = 1 + (int)fuzz_upto(&f, 1) * (fa_path(2) != 0);
    const size_t n = 1 + fuzz_upto(&f, 70), count = 1 + fuzz_upto(&f, 10), m = fuzz_upto(&f, 40);
    const size_t half = fuzz_upto(&f, 30), window = 2 * (half % 8) + 1;
    const size_t room = fa_asls_work(count, n), small = 4 * n + 2 * half;
    f.special = fuzz_byte(&f) & 1;
    double *values = fuzz_doubles(&f, count * n), *other = fuzz_doubles(&f, n), *at = fuzz_doubles(&f, m);
    double *taps = fuzz_doubles(&f, half), *matrix = fuzz_doubles(&f, window * window);
    double *shifts = fuzz_doubles(&f, count), *x = fuzz_block(n, sizeof *x);
    double *out = fuzz_block(count * n, sizeof *out), *spread = fuzz_block(count * n, sizeof *spread);
    double *drawn = fuzz_block(m, sizeof *drawn), *work = fuzz_block(room, sizeof *work);
    double *scratch = fuzz_block(small, sizeof *scratch);
    float *rows = fuzz_block(count * n, sizeof *rows);
    const double smoothness = fuzz_double(&f), asymmetry = fuzz_double(&f), power = fuzz_double(&f);
    size_t spikes = 99;
    for (size_t i = 0; i < n; i++) {
        x[i] = (i > 0 ? x[i - 1] : 0.0) + 0.01 + (double)fuzz_byte(&f);
    }

    const int usable = smoothness >= 0.0 && smoothness <= 1e12 && asymmetry > 0.0 && asymmetry < 1.0;
    PROMISE(fa_asls(values, count * n, count, n, smoothness, asymmetry, fuzz_upto(&f, 9), out, count * n,
                    spread, count * n, work, room, path) == (usable ? FA_OK : FA_INVALID));
    PROMISE(fa_asls(values, count * n, count, n, 1e3, 0.1, 5, out, count * n, NULL, 0, work, room, path) ==
            FA_OK);
    PROMISE(fa_spline(x, n, values, n, n, at, m, m, drawn, m, scratch, small) ==
            (n >= 2 ? FA_OK : FA_INVALID));
    (void)fa_spline(other, n, values, n, n, at, m, m, drawn, m, scratch, small);
    PROMISE(fa_odd_kernel(values, n, n, taps, half, half, out, n, scratch, small, path) == FA_OK);
    PROMISE(fa_savgol(values, n, n, matrix, window * window, window, out, n, path) ==
            (window <= n ? FA_OK : FA_INVALID));
    PROMISE(fa_despike(values, n, other, n, n, fuzz_double(&f), fuzz_double(&f), out, n, &spikes, scratch,
                       small) == FA_OK);
    PROMISE(spikes <= n);
    PROMISE(fa_compress(values, n, other, n, n, 1.0 / 3.0, out, n, path) == FA_OK);
    for (size_t i = 0; i < n; i++) {
        PROMISE(isnan(out[i]) || values[i] == 0.0 || out[i] == 0.0 || signbit(out[i]) == signbit(values[i]));
    }
    PROMISE(fa_compress(values, n, other, n, n, power, out, n, path) == (power > 0.0 ? FA_OK : FA_INVALID));
    (void)fa_shifted(values, n, n, shifts, count, count, rows, count * n, n, path);

    /* One claim that the blocks may not hold: refused, or kept to. */
    size_t claim[] = {count * n, count, n, m, half, window, room, small, n};
    const size_t which = fuzz_upto(&f, sizeof claim / sizeof *claim - 1);
    const int is_length = which == 0 || which == 6 || which == 7;
    claim[which] = is_length ? fuzz_upto(&f, claim[which]) : fuzz_size(&f, 80);
    (void)fa_asls(values, claim[0], claim[1], claim[2], 1e3, 0.1, 3, out, claim[0], spread, claim[0], work,
                  claim[6], path);
    (void)fa_spline(x, n, values, n, claim[2], at, m, claim[3], drawn, m, scratch, claim[7]);
    (void)fa_odd_kernel(values, n, claim[2], taps, half, claim[4], out, n, scratch, claim[7], path);
    (void)fa_savgol(values, n, claim[2], matrix, window * window, claim[5], out, n, path);
    (void)fa_despike(values, n, other, n, claim[2], 3.0, 2.0, out, n, &spikes, scratch, claim[7]);
    (void)fa_compress(values, n, other, n, claim[2], 0.5, out, n, path);
    (void)fa_shifted(values, n, claim[2], shifts, count, claim[1], rows, count * n, claim[8], path);

    free(values);
    free(other);
    free(at);
    free(taps);
    free(matrix);
    free(shifts);
    free(x);
    free(out);
    free(spread);
    free(drawn);
    free(work);
    free(scratch);
    free(rows);
    return 0;
}
