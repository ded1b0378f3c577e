/* What the searches for sums answer over made-up references, for comparison between machines. */
#include "vectors.h"

#include "fa_fits.h"

enum { N = 60, COLUMNS = 301, STRIDE = 304, KEEP = 4 };

static void print_sets(const char *name, const fa_subset *sets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        printf("%s", name);
        for (int32_t j = 0; j < sets[i].size; j++) {
            printf(" %d %a", (int)sets[i].ids[j], sets[i].weights[j]);
        }
        printf(" %a\n", sets[i].explained);
    }
}

int main(void)
{
    vectors v = {7u};
    const size_t work_length = fa_subsets_work(N), small = fa_nonnegative_work(N);
    float *rows = vectors_block(N * STRIDE, sizeof *rows);
    float *mixed = vectors_block(COLUMNS, sizeof *mixed);
    double *measured = vectors_block(COLUMNS, sizeof *measured);
    double *weight = vectors_block(COLUMNS, sizeof *weight);
    double *gram = vectors_block(N * N, sizeof *gram), *along = vectors_block(N, sizeof *along);
    double *weights = vectors_block(N, sizeof *weights), *scratch = vectors_block(small, sizeof *scratch);
    double *work = vectors_block(work_length, sizeof *work);
    fa_subset sets[KEEP * FA_SUBSET_MAX];
    size_t found = 0, counts[FA_SUBSET_MAX];
    for (size_t r = 0; r < N; r++) {
        vectors_spectrum(&v, rows + r * STRIDE, COLUMNS);
    }
    vectors_spectrum(&v, mixed, COLUMNS);
    for (size_t i = 0; i < COLUMNS; i++) {
        measured[i] = rows[3 * STRIDE + i] + 0.5 * rows[17 * STRIDE + i] + 0.25 * rows[41 * STRIDE + i] +
                      0.1 * mixed[i];
        weight[i] = 1.0 + 0.25 * vectors_number(&v);
    }
    for (int weighted = 0; weighted < 2; weighted++) {
        const double *w = weighted ? weight : NULL;
        printf("gram %d\n", fa_gram(rows, N * STRIDE, N, COLUMNS, STRIDE, 5, 290, w, COLUMNS, gram, N * N,
                                    FA_PATH_BEST));
        printf("along %d\n", fa_along(rows, N * STRIDE, N, COLUMNS, STRIDE, 5, 290, w, COLUMNS, measured,
                                      COLUMNS, along, N, FA_PATH_BEST));
        for (size_t i = 0; i < N; i++) {
            printf("g %a %a\n", gram[i * N + (i * 7) % N], along[i]);
        }
        for (size_t size = 1; size <= 3; size++) {
            printf("subsets %d\n", fa_best_subsets(gram, N * N, along, N, NULL, 0, N, size, KEEP, sets, KEEP,
                                                   &found, work, work_length, FA_PATH_BEST));
            print_sets("set", sets, found);
        }
        printf("sparse %d\n", fa_sparse(gram, N * N, along, N, NULL, 0, N, FA_SUBSET_MAX, KEEP, sets,
                                        KEEP * FA_SUBSET_MAX, counts, FA_SUBSET_MAX, work, work_length,
                                        FA_PATH_BEST));
        for (size_t size = 1; size <= FA_SUBSET_MAX; size++) {
            print_sets("sum", sets + (size - 1) * KEEP, counts[size - 1]);
        }
        printf("nonnegative %d\n", fa_nonnegative(gram, N * N, along, N, N, weights, N, scratch, small));
        for (size_t i = 0; i < N; i++) {
            printf("weight %a\n", weights[i]);
        }
    }
    free(rows);
    free(mixed);
    free(measured);
    free(weight);
    free(gram);
    free(along);
    free(weights);
    free(scratch);
    free(work);
    return 0;
}
