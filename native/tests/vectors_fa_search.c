/* What the planes are and what the pruned search answers, for comparison between machines. The path taken is
 * said on stderr: it may differ, what it answers may not. */
#include "vectors.h"

#include "fa_index.h"
#include "fa_search.h"

enum { ROWS = 300, COLUMNS = 501, STRIDE = 512, VARIANTS = 9, K = 25 };

static void print_sum(const char *name, const void *block, size_t bytes)
{
    uint64_t hash = 1469598103934665603u;
    for (size_t i = 0; i < bytes; i++) {
        hash = (hash ^ ((const unsigned char *)block)[i]) * 1099511628211u;
    }
    printf("plane %s %zu %016llu\n", name, bytes, (unsigned long long)hash);
}

static void print_hits(const fa_hit *hits, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        printf("hit %d %d %a\n", (int)hits[i].row, (int)hits[i].variant, hits[i].score);
    }
}

int main(void)
{
    vectors v = {42u};
    const fa_shape s = fa_shape_of(ROWS, COLUMNS);
    float *matrix = vectors_block(ROWS * STRIDE, sizeof *matrix);
    float *queries = vectors_block(VARIANTS * STRIDE, sizeof *queries);
    int32_t *valid = vectors_block(2 * ROWS, sizeof *valid);
    double penalty[VARIANTS];
    fa_hit hits[VARIANTS * K];
    size_t counts[VARIANTS];
    for (size_t r = 0; r < ROWS; r++) {
        vectors_spectrum(&v, matrix + r * STRIDE, COLUMNS);
        valid[2 * r] = (int32_t)(r % 7);
        valid[2 * r + 1] = (int32_t)(COLUMNS - r % 11);
    }
    for (size_t i = 0; i < VARIANTS; i++) {
        vectors_spectrum(&v, queries + i * STRIDE, COLUMNS);
        for (size_t c = 0; c < COLUMNS; c++) { /* like a row of the library, more or less */
            queries[i * STRIDE + c] = matrix[i * 31 * STRIDE + c] + 0.2f * queries[i * STRIDE + c];
        }
        penalty[i] = 0.001 * (double)i;
    }
    fa_index x = {.matrix = matrix, .matrix_length = ROWS * STRIDE, .rows = ROWS, .columns = COLUMNS,
                  .stride = STRIDE, .valid = valid, .valid_length = 2 * ROWS};
    x.basis_length = FA_PREFIX * s.columns;
    x.prefix_length = s.rows * FA_PREFIX;
    x.full_length = ROWS * s.columns;
    x.bias_length = FA_BIASES * s.rows;
    x.bounds_length = FA_BOUNDS * s.rows;
    x.energy_length = s.steps * s.rows;
    x.numbers_length = FA_NUMBERS;
    x.basis = vectors_block(x.basis_length, sizeof *x.basis);
    x.prefix = vectors_block(x.prefix_length, sizeof *x.prefix);
    x.full = vectors_block(x.full_length, sizeof *x.full);
    x.bias = vectors_block(x.bias_length, sizeof *x.bias);
    x.bounds = vectors_block(x.bounds_length, sizeof *x.bounds);
    x.energy = vectors_block(x.energy_length, sizeof *x.energy);
    x.numbers = vectors_block(x.numbers_length, sizeof *x.numbers);
    size_t bytes = fa_planes_scratch(ROWS, COLUMNS);
    void *scratch = vectors_block(bytes, 1);
    printf("build %d\n", fa_planes_build(&x, scratch, bytes));
    free(scratch);
    print_sum("basis", x.basis, x.basis_length * sizeof *x.basis);
    print_sum("prefix", x.prefix, x.prefix_length);
    print_sum("full", x.full, x.full_length);
    print_sum("bias", x.bias, x.bias_length * sizeof *x.bias);
    print_sum("bounds", x.bounds, x.bounds_length * sizeof *x.bounds);
    print_sum("energy", x.energy, x.energy_length * sizeof *x.energy);
    print_sum("numbers", x.numbers, x.numbers_length * sizeof *x.numbers);
    bytes = fa_search_scratch(&x, VARIANTS);
    scratch = vectors_block(bytes, 1);
    static const size_t windows[][2] = {{0, COLUMNS}, {13, 400}, {200, 217}, {499, 501}};
    for (size_t w = 0; w < sizeof windows / sizeof *windows; w++) {
        size_t count = 0;
        fa_work work;
        const int status =
            fa_search(&x, queries, VARIANTS * STRIDE, VARIANTS, STRIDE, penalty, VARIANTS, windows[w][0],
                      windows[w][1], 1, K, hits, K, &count, scratch, bytes, &work);
        printf("window %d %zu rows %zu %zu\n", status, count, work.int8_rows, work.exact_rows);
        print_hits(hits, count);
    }
    printf("products %d\n", fa_search_products(&x, queries, VARIANTS * STRIDE, VARIANTS, STRIDE, K, hits,
                                               VARIANTS * K, counts, VARIANTS, scratch, bytes, NULL));
    for (size_t i = 0; i < VARIANTS; i++) {
        print_hits(hits + i * K, counts[i]);
    }
    fprintf(stderr, "path %s\n", fa_path_name());
    free(scratch);
    free(matrix);
    free(queries);
    free(valid);
    free(x.basis);
    free(x.prefix);
    free(x.full);
    free(x.bias);
    free(x.bounds);
    free(x.energy);
    free(x.numbers);
    return 0;
}
