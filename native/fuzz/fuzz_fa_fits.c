/* Gram matrices, sets and non-negative fits of any numbers, and claims the blocks may not hold. */
#include "fuzz.h"

#include "fa_fits.h"

enum { KEEP = 3 };

static void sane(const fa_subset *sets, size_t count, size_t size, size_t n, const int32_t *groups)
{
    PROMISE(count <= KEEP);
    for (size_t i = 0; i < count; i++) {
        PROMISE(sets[i].size == (int32_t)size && isfinite(sets[i].explained));
        PROMISE(i == 0 || sets[i].explained <= sets[i - 1].explained);
        for (size_t a = 0; a < size; a++) {
            PROMISE(sets[i].ids[a] >= 0 && (size_t)sets[i].ids[a] < n && sets[i].weights[a] > 0.0);
            for (size_t b = 0; b < a; b++) {
                PROMISE(sets[i].ids[b] < sets[i].ids[a]);
                PROMISE(groups == NULL || groups[sets[i].ids[b]] != groups[sets[i].ids[a]]);
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes f = fuzz_open(data, size);
    const int path = fa_path((int)fuzz_upto(&f, 2));
    const size_t n = 1 + fuzz_upto(&f, fuzz_byte(&f) & 1 ? 70 : 8), columns = 1 + fuzz_upto(&f, 40);
    const size_t stride = columns + fuzz_upto(&f, 5);
    const size_t lo = fuzz_upto(&f, columns), hi = fuzz_upto(&f, columns);
    f.special = fuzz_byte(&f) & 1;
    const size_t length = (n - 1) * stride + columns, work_length = fa_subsets_work(n);
    const size_t small = fa_nonnegative_work(n);
    float *rows = fuzz_floats(&f, length);
    double *weight = fuzz_doubles(&f, columns), *measured = fuzz_doubles(&f, columns);
    double *along = fuzz_block(n, sizeof *along), *gram = fuzz_block(n * n, sizeof *gram);
    double *weights = fuzz_block(n, sizeof *weights), *work = fuzz_block(work_length, sizeof *work);
    double *scratch = fuzz_block(small, sizeof *scratch);
    int32_t *groups = fuzz_integers(&f, n, n);
    fa_subset *sets = fuzz_block(KEEP * FA_SUBSET_MAX, sizeof *sets);
    size_t found = 99, counts[FA_SUBSET_MAX];
    const double *w = fuzz_byte(&f) & 1 ? weight : NULL;
    const int32_t *g = fuzz_byte(&f) & 1 ? groups : NULL;

    const int wanted = lo <= hi && path != 0 ? FA_OK : FA_INVALID;
    PROMISE(fa_gram(rows, length, n, columns, stride, lo, hi, w, columns, gram, n * n, path) == wanted);
    PROMISE(fa_along(rows, length, n, columns, stride, lo, hi, w, columns, measured, columns, along, n,
                     path) == wanted);
    if (wanted == FA_OK) {
        for (size_t k = 1; k <= 3; k++) {
            PROMISE(fa_best_subsets(gram, n * n, along, n, g, n, n, k, KEEP, sets, KEEP, &found, work,
                                    work_length, path) == FA_OK);
            sane(sets, found, k, n, g);
        }
        PROMISE(fa_sparse(gram, n * n, along, n, g, n, n, FA_SUBSET_MAX, KEEP, sets, KEEP * FA_SUBSET_MAX,
                          counts, FA_SUBSET_MAX, work, work_length, path) == FA_OK);
        for (size_t k = 1; k <= FA_SUBSET_MAX; k++) {
            sane(sets + (k - 1) * KEEP, counts[k - 1], k, n, g);
        }
        const int status = fa_nonnegative(gram, n * n, along, n, n, weights, n, scratch, small);
        PROMISE(status == FA_OK || status == FA_NOT_FINITE);
        for (size_t i = 0; i < n; i++) {
            PROMISE(status == FA_OK ? weights[i] >= 0.0 : isnan(weights[i]));
        }
    }

    size_t claim[] = {length, n, columns, stride, lo, hi, columns, n * n, n, 2, KEEP, work_length, small};
    const size_t which = fuzz_upto(&f, sizeof claim / sizeof *claim - 1);
    const int is_length = which == 0 || which == 6 || which == 7 || which >= 10;
    claim[which] = is_length ? fuzz_upto(&f, claim[which]) : fuzz_size(&f, 50);
    (void)fa_gram(rows, claim[0], claim[1], claim[2], claim[3], claim[4], claim[5], weight, claim[6], gram,
                  claim[7], path);
    (void)fa_along(rows, claim[0], claim[1], claim[2], claim[3], claim[4], claim[5], weight, claim[6],
                   measured, claim[6], along, claim[8] < n ? claim[8] : n, path);
    (void)fa_best_subsets(gram, claim[7], along, n, groups, n, claim[8], claim[9], KEEP, sets, claim[10],
                          &found, work, claim[11], path);
    (void)fa_sparse(gram, claim[7], along, n, groups, n, claim[8], claim[9], KEEP, sets,
                    claim[10] * FA_SUBSET_MAX, counts, FA_SUBSET_MAX, work, claim[11], path);
    (void)fa_nonnegative(gram, claim[7], along, n, claim[8], weights, n, scratch, claim[12]);

    free(rows);
    free(weight);
    free(measured);
    free(along);
    free(gram);
    free(weights);
    free(work);
    free(scratch);
    free(groups);
    free(sets);
    return 0;
}
