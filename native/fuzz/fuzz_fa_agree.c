/* The comparison of references on any numbers, and claims the blocks may not hold. */
#include "fuzz.h"

#include "fa_agree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes f = fuzz_open(data, size);
    const int path = 1 + (int)fuzz_upto(&f, 1) * (fa_path(2) != 0);
    const size_t n = 1 + fuzz_upto(&f, 200), count = 1 + fuzz_upto(&f, 3), stride = n + fuzz_upto(&f, 3);
    const size_t half = fuzz_upto(&f, 12), tried = fuzz_upto(&f, 4), length = (count - 1) * stride + n;
    const size_t room = fa_agree_work(n, half) + fa_axis_work(n) + 2 * half;
    f.special = fuzz_byte(&f) & 1;
    float *rows = fuzz_floats(&f, length);
    int32_t *valid = fuzz_integers(&f, 2 * count, n), *chosen = fuzz_integers(&f, tried, count - 1);
    int32_t *shifts = fuzz_integers(&f, tried, fuzz_upto(&f, 4));
    double *linear = fuzz_doubles(&f, n), *threshold = fuzz_doubles(&f, n), *compressed = fuzz_doubles(&f, n);
    double *taps = fuzz_doubles(&f, half + 1), *out = fuzz_block(n, sizeof *out);
    double *work = fuzz_block(room, sizeof *work);
    fa_agreement *found = fuzz_block(tried, sizeof *found);
    const size_t lo = fuzz_upto(&f, n), hi = lo + fuzz_upto(&f, n);
    const double power = fuzz_byte(&f) & 1 ? 1.0 / 3.0 : fuzz_number(&f), sd = fuzz_double(&f);
    if (fa_agree(rows, length, count, n, stride, valid, 2 * count, linear, threshold, compressed, n, lo, hi,
                 power, sd, taps, half + 1, half, chosen, shifts, tried, found, tried, work,
                 fa_agree_work(n, half), path) == FA_OK) {
        for (size_t i = 0; i < tried; i++) {
            PROMISE(f.special || (found[i].weight >= 0.0 && fabs(found[i].agreement) < 1.0 + 1e-9));
        }
    }
    const size_t a = fuzz_size(&f, n), b = fuzz_size(&f, n + 2);
    if (a > length || b > n || fuzz_byte(&f) == 0) { /* more than there is must be refused */
        PROMISE(fa_agree(rows, length, count, n + 1, stride, valid, 2 * count, linear, threshold, compressed, n,
                         0, n, power, 0.0, taps, half + 1, half, chosen, shifts, tried, found, tried, work,
                         room, path) == FA_INVALID);
        PROMISE(fa_moved(linear, n, n + 1, 0.0, 0.0, out, n, path) == FA_INVALID);
    }
    PROMISE(fa_even_kernel(linear, n, n, taps, half + 1, half, out, n, work, room, path) == FA_OK);
    fa_moved(linear, n, n, fuzz_double(&f), fuzz_double(&f), out, n, path);
    const fa_axis_prior prior = {fuzz_double(&f), fuzz_double(&f), fuzz_double(&f), fuzz_double(&f)};
    fa_axis_found axis;
    if (fa_axis(linear, n, compressed, n, n, fuzz_double(&f), &prior, &axis, work, fa_axis_work(n)) == FA_OK) {
        PROMISE(f.special || axis.witnesses >= 0.0);
    }
    free(rows);
    free(valid);
    free(chosen);
    free(shifts);
    free(linear);
    free(threshold);
    free(compressed);
    free(taps);
    free(out);
    free(work);
    free(found);
    return 0;
}
