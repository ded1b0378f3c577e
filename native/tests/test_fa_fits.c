/* Runs the fits over exact-size heap blocks, so that AddressSanitizer sees any step outside. */
#include "fa_fits.h"

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

static uint32_t seed = 4321u;

static double noise(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (double)(seed >> 8) / 8388608.0 - 1.0;
}

static void *block(size_t bytes)
{
    void *p = malloc(bytes > 0 ? bytes : 1);
    if (p == NULL) {
        abort();
    }
    return p;
}

enum { COLUMNS = 37, KEEP = 4 };

/* All entry points on `count` random rows, on one path; the results go to `out`. */
static void run(size_t count, size_t stride, int path, uint32_t start, fa_subset *out)
{
    seed = start;
    const size_t length = count > 0 ? (count - 1) * stride + COLUMNS : 0;
    float *rows = block(length * sizeof *rows);
    double *measured = block(COLUMNS * sizeof *measured);
    double *weight = block(COLUMNS * sizeof *weight);
    double *gram = block(count * count * sizeof *gram);
    double *along = block(count * sizeof *along);
    int32_t *groups = block(count * sizeof *groups);
    for (size_t i = 0; i < length; i++) {
        rows[i] = (float)noise();
    }
    for (size_t i = 0; i < COLUMNS; i++) {
        measured[i] = 0.1 * noise();
        weight[i] = 1.0 + noise();
        for (size_t r = 0; r < count && r < 4; r++) {
            measured[i] += (double)rows[r * stride + i];
        }
    }
    for (size_t i = 0; i < count; i++) {
        groups[i] = (int32_t)(i / 2);
    }
    if (count > 0) {
        CHECK(fa_gram(rows, length, count, COLUMNS, stride, 1, COLUMNS, weight, COLUMNS, gram,
                      count * count, path) == FA_OK);
        CHECK(fa_along(rows, length, count, COLUMNS, stride, 1, COLUMNS, weight, COLUMNS, measured,
                       COLUMNS, along, count, path) == FA_OK);
        CHECK(fa_gram(rows, length, count, COLUMNS, stride, 0, COLUMNS, NULL, 0, gram, count * count,
                      path) == FA_OK);
        CHECK(fa_along(rows, length, count, COLUMNS, stride, 0, COLUMNS, NULL, 0, measured, COLUMNS,
                       along, count, path) == FA_OK);
        CHECK(fa_gram(rows, length - 1, count, COLUMNS, stride, 0, COLUMNS, NULL, 0, gram,
                      count * count, path) == FA_INVALID);
        CHECK(fa_gram(rows, length, count, COLUMNS, stride, 0, COLUMNS, weight, COLUMNS - 1, gram,
                      count * count, path) == FA_INVALID);
        CHECK(fa_along(rows, length, count, COLUMNS, stride, 0, COLUMNS, NULL, 0, measured,
                       COLUMNS - 1, along, count, path) == FA_INVALID);
    }
    const size_t work_length = fa_subsets_work(count);
    double *work = block(work_length * sizeof *work);
    fa_subset *sets = block(KEEP * sizeof *sets);
    for (size_t size = 1; size <= 3; size++) {
        size_t found = 99;
        CHECK(fa_best_subsets(gram, count * count, along, count, groups, count, count, size, KEEP, sets,
                              KEEP, &found, work, work_length, path) == FA_OK);
        CHECK(found <= KEEP);
        for (size_t i = 0; i < found; i++) {
            CHECK(sets[i].size == (int32_t)size && sets[i].explained > 0.0);
            CHECK(i == 0 || sets[i].explained <= sets[i - 1].explained);
            CHECK(sets[i].ids[0] >= 0 && sets[i].ids[size - 1] < (int32_t)count);
        }
    }
    size_t found = 99;
    CHECK(fa_best_subsets(gram, count * count, along, count, NULL, 0, count, 2, KEEP, sets, KEEP - 1,
                          &found, work, work_length, path) == FA_INVALID);
    CHECK(found == 0);
    CHECK(fa_best_subsets(gram, count * count, along, count, NULL, 0, count, 2, KEEP, sets, KEEP,
                          &found, work, work_length - 1, path) == FA_INVALID);
    size_t counts[FA_SUBSET_MAX];
    memset(out, 0, FA_SUBSET_MAX * KEEP * sizeof *out);
    CHECK(fa_sparse(gram, count * count, along, count, groups, count, count, FA_SUBSET_MAX, KEEP, out,
                    FA_SUBSET_MAX * KEEP, counts, FA_SUBSET_MAX, work, work_length, path) == FA_OK);
    CHECK(fa_sparse(gram, count * count, along, count, groups, count, count, FA_SUBSET_MAX + 1, KEEP,
                    sets, KEEP, counts, FA_SUBSET_MAX, work, work_length, path) == FA_INVALID);
    for (size_t s = 0; s < FA_SUBSET_MAX; s++) {
        CHECK(counts[s] <= KEEP);
    }
    const size_t small = fa_nonnegative_work(count);
    double *scratch = block(small * sizeof *scratch);
    double *weights = block(count * sizeof *weights);
    CHECK(fa_nonnegative(gram, count * count, along, count, count, weights, count, scratch, small) ==
          FA_OK);
    for (size_t i = 0; i < count; i++) { /* optimal: no slope upwards anywhere, none at all in use */
        double slope = along[i];
        for (size_t k = 0; k < count; k++) {
            slope -= gram[i * count + k] * weights[k];
        }
        CHECK(weights[i] >= 0.0);
        CHECK(slope < 1e-9 && (weights[i] == 0.0 || slope > -1e-9));
    }
    if (count > 0) {
        CHECK(fa_nonnegative(gram, count * count, along, count, count, weights, count - 1, scratch,
                             small) == FA_INVALID);
        along[0] = (double)NAN;
        CHECK(fa_nonnegative(gram, count * count, along, count, count, weights, count, scratch,
                             small) == FA_NOT_FINITE);
        CHECK(isnan(weights[count - 1]));
        CHECK(fa_best_subsets(gram, count * count, along, count, groups, count, count, 3, KEEP, sets,
                              KEEP, &found, work, work_length, path) == FA_OK);
        for (size_t i = 0; i < found; i++) {
            CHECK(sets[i].ids[0] > 0);
        }
    }
    free(weights);
    free(scratch);
    free(sets);
    free(work);
    free(groups);
    free(along);
    free(gram);
    free(weight);
    free(measured);
    free(rows);
}

int main(void)
{
    static const size_t counts[] = {0, 1, 2, 3, 7, 31, 32, 33, 34, 35, 66, 97};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        fa_subset plain[FA_SUBSET_MAX * KEEP];
        fa_subset wide[FA_SUBSET_MAX * KEEP];
        run(counts[i], COLUMNS + i % 3, FA_PATH_PLAIN, (uint32_t)i, plain);
        run(counts[i], COLUMNS + i % 3, FA_PATH_BEST, (uint32_t)i, wide);
        CHECK(memcmp(plain, wide, sizeof plain) == 0); /* to the last bit */
    }
    printf("%d failures\n", failures);
    return failures != 0;
}
