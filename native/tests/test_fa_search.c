/* Runs the pruned search over exact-size heap blocks, so that AddressSanitizer sees any step outside, and
 * compares it with fa_top_k on every path this machine has. */
#include "fa_index.h"

#include <stdio.h>
#include <stdlib.h>

static int failures = 0;

#define CHECK(condition)                                           \
    do {                                                           \
        if (!(condition)) {                                        \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            failures++;                                            \
        }                                                          \
    } while (0)

enum { VARIANTS = 3 };

typedef struct {
    fa_index index;
    float *matrix;
    int32_t *valid;
    float *queries;
    double *penalty;
    fa_hit *hits;
    void *scratch;
    size_t scratch_bytes;
    size_t k;
} world;

static uint32_t seed = 12345u;

static float noise(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)((double)(seed >> 8) / 8388608.0 - 1.0);
}

static void *block(size_t bytes)
{
    void *memory = malloc(bytes > 0 ? bytes : 1);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static world make(size_t rows, size_t columns, size_t k)
{
    world w;
    memset(&w, 0, sizeof w);
    const fa_shape s = fa_shape_of(rows, columns);
    fa_index *x = &w.index;
    w.k = k;
    w.matrix = block(rows * columns * sizeof *w.matrix);
    w.valid = block(2 * rows * sizeof *w.valid);
    w.queries = block(VARIANTS * columns * sizeof *w.queries);
    w.penalty = block(VARIANTS * sizeof *w.penalty);
    w.hits = block(VARIANTS * k * sizeof *w.hits);
    for (size_t i = 0; i < rows * columns; i++) {
        w.matrix[i] = noise();
    }
    for (size_t i = 0; i < VARIANTS * columns; i++) {
        w.queries[i] = i < columns && rows > 0 ? w.matrix[i] + 0.3f * noise() : noise();
    }
    for (size_t r = 0; r < rows; r++) {
        w.valid[2 * r] = r % 3 == 0 ? (int32_t)(r % (columns / 4 + 1)) : 0;
        w.valid[2 * r + 1] = (int32_t)columns;
    }
    for (size_t v = 0; v < VARIANTS; v++) {
        w.penalty[v] = 0.01 * (double)v;
    }
    x->matrix = w.matrix;
    x->matrix_length = rows * columns;
    x->rows = rows;
    x->columns = columns;
    x->stride = columns;
    x->valid = w.valid;
    x->valid_length = 2 * rows;
    x->basis_length = FA_PREFIX * s.columns;
    x->prefix_length = s.rows * FA_PREFIX;
    x->full_length = rows * s.columns;
    x->bias_length = FA_BIASES * s.rows;
    x->bounds_length = FA_BOUNDS * s.rows;
    x->energy_length = s.steps * s.rows;
    x->numbers_length = FA_NUMBERS;
    x->basis = block(x->basis_length * sizeof *x->basis);
    x->prefix = block(x->prefix_length);
    x->full = block(x->full_length);
    x->bias = block(x->bias_length * sizeof *x->bias);
    x->bounds = block(x->bounds_length * sizeof *x->bounds);
    x->energy = block(x->energy_length * sizeof *x->energy);
    x->numbers = block(x->numbers_length * sizeof *x->numbers);
    return w;
}

static void build(world *w)
{
    const size_t bytes = fa_planes_scratch(w->index.rows, w->index.columns);
    void *scratch = block(bytes);
    CHECK(bytes > 0);
    CHECK(fa_planes_build(&w->index, scratch, bytes) == FA_OK);
    CHECK(fa_planes_build(&w->index, scratch, bytes - 1) == FA_INVALID);
    free(scratch);
    w->scratch_bytes = fa_search_scratch(&w->index, VARIANTS);
    CHECK(w->scratch_bytes > 0);
    w->scratch = block(w->scratch_bytes);
}

static void drop(world *w)
{
    free(w->matrix);
    free(w->valid);
    free(w->queries);
    free(w->penalty);
    free(w->hits);
    free(w->scratch);
    free(w->index.basis);
    free(w->index.prefix);
    free(w->index.full);
    free(w->index.bias);
    free(w->index.bounds);
    free(w->index.energy);
    free(w->index.numbers);
}

static int run(const world *w, size_t lo, size_t hi, size_t min_columns, size_t *count, fa_work *work)
{
    const size_t columns = w->index.columns;
    return fa_search(&w->index, w->queries, VARIANTS * columns, VARIANTS, columns, w->penalty, VARIANTS,
                     lo, hi, min_columns, w->k, w->hits, w->k, count, w->scratch, w->scratch_bytes, work);
}

static void same_as_the_plain_scan(const world *w, size_t lo, size_t hi)
{
    const fa_index *x = &w->index;
    fa_hit *plain = block(w->k * sizeof *plain);
    size_t expected = 0, count = 0;
    fa_work work;
    CHECK(fa_top_k(x->matrix, x->matrix_length, x->rows, x->columns, x->stride, x->valid, x->valid_length,
                   w->queries, VARIANTS * x->columns, VARIANTS, x->columns, w->penalty, VARIANTS, lo, hi, 2,
                   w->k, plain, w->k, &expected) == FA_OK);
    CHECK(run(w, lo, hi, 2, &count, &work) == FA_OK);
    CHECK(count == expected);
    for (size_t i = 0; i < count && i < expected; i++) {
        CHECK(w->hits[i].row == plain[i].row && w->hits[i].variant == plain[i].variant);
        CHECK(w->hits[i].score == plain[i].score);
    }
    free(plain);
}

static void products_are_the_best(const world *w)
{
    const fa_index *x = &w->index;
    size_t counts[VARIANTS] = {0};
    fa_work work;
    CHECK(fa_search_products(x, w->queries, VARIANTS * x->columns, VARIANTS, x->columns, w->k, w->hits,
                             VARIANTS * w->k, counts, VARIANTS, w->scratch, w->scratch_bytes, &work) == FA_OK);
    for (size_t v = 0; v < VARIANTS; v++) {
        const fa_hit *hits = w->hits + v * w->k;
        CHECK(counts[v] == (w->k < x->rows ? w->k : x->rows));
        for (size_t i = 1; i < counts[v]; i++) {
            CHECK(hits[i].score < hits[i - 1].score ||
                  (hits[i].score == hits[i - 1].score && hits[i].row > hits[i - 1].row));
        }
        size_t better = 0; /* rows that rank before the last hit, by plain sums */
        for (size_t r = 0; r < x->rows && counts[v] > 0; r++) {
            double sum = 0.0;
            for (size_t c = (size_t)w->valid[2 * r]; c < x->columns; c++) {
                sum += (double)w->matrix[r * x->columns + c] * (double)w->queries[v * x->columns + c];
            }
            better += sum > hits[counts[v] - 1].score + 1e-9 ? 1 : 0;
        }
        CHECK(better < w->k);
    }
}

static void every_shape_on_every_path(void)
{
    static const char *const names[] = {"portable", "avx2", "avx512vnni", "neon", "sdot", ""};
    static const size_t shapes[][2] = {{1, 1}, {3, 7}, {64, 64}, {65, 37}, {200, 65}, {130, 200}, {0, 5}};
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        if (fa_use_path(names[n]) != FA_OK) {
            continue;
        }
        CHECK(names[n][0] == '\0' || strcmp(fa_path_name(), names[n]) == 0);
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
            world w = make(shapes[i][0], shapes[i][1], 5);
            build(&w);
            const size_t columns = shapes[i][1];
            same_as_the_plain_scan(&w, 0, columns);
            for (size_t lo = 0; lo < columns; lo += 7) {
                for (size_t hi = lo + 1; hi <= columns; hi += 13) {
                    same_as_the_plain_scan(&w, lo, hi);
                }
            }
            products_are_the_best(&w);
            drop(&w);
        }
    }
    CHECK(fa_use_path("none such") == FA_INVALID && fa_use_path(NULL) == FA_INVALID);
    CHECK(fa_use_path("") == FA_OK);
}

static void unusable_values_are_survived(void)
{
    world w = make(150, 40, 6);
    const size_t columns = w.index.columns;
    w.matrix[3 * columns + 5] = NAN;
    w.matrix[4 * columns + 6] = INFINITY;
    memset(w.matrix + 5 * columns, 0, columns * sizeof *w.matrix);
    for (size_t c = 0; c < columns; c++) {
        w.matrix[6 * columns + c] = 1e-44f;
        w.matrix[7 * columns + c] = 3e38f;
    }
    w.valid[2 * 8] = -5;
    w.valid[2 * 9] = 30;
    w.valid[2 * 9 + 1] = 20;
    w.valid[2 * 10 + 1] = INT32_MAX;
    w.valid[2 * 11] = INT32_MAX - 1;
    w.valid[2 * 11 + 1] = INT32_MAX;
    build(&w);
    same_as_the_plain_scan(&w, 0, columns);
    same_as_the_plain_scan(&w, 3, 31);
    w.penalty[1] = 1e300;
    same_as_the_plain_scan(&w, 0, columns);
    w.queries[columns] = NAN;
    same_as_the_plain_scan(&w, 0, columns);
    same_as_the_plain_scan(&w, 1, columns);
    drop(&w);
}

static void planes_of_nonsense_break_nothing(void)
{
    world w = make(150, 70, 6);
    build(&w);
    fa_index *x = &w.index;
    for (size_t i = 0; i < x->basis_length; i++) {
        x->basis[i] = i % 5 == 0 ? NAN : 1e38f * noise();
    }
    memset(x->prefix, 0x80, x->prefix_length);
    memset(x->full, 0x80, x->full_length);
    memset(x->bias, 0x7f, x->bias_length * sizeof *x->bias);
    memset(x->bounds, 0xff, x->bounds_length * sizeof *x->bounds);
    memset(x->energy, 0xff, x->energy_length * sizeof *x->energy);
    x->numbers[0] = NAN;
    size_t count = 0;
    CHECK(run(&w, 0, 70, 2, &count, NULL) == FA_OK);
    CHECK(count <= w.k);
    size_t counts[VARIANTS];
    CHECK(fa_search_products(x, w.queries, VARIANTS * 70, VARIANTS, 70, w.k, w.hits, VARIANTS * w.k, counts,
                             VARIANTS, w.scratch, w.scratch_bytes, NULL) == FA_OK);
    drop(&w);
}

static void refuses_what_does_not_fit(void)
{
    world w = make(100, 20, 4);
    build(&w);
    fa_index *x = &w.index;
    size_t count = 7;
    size_t counts[VARIANTS];
    CHECK(run(&w, 5, 5, 1, &count, NULL) == FA_INVALID && count == 0);
    CHECK(run(&w, 0, 21, 1, &count, NULL) == FA_INVALID);
    CHECK(run(&w, 0, 20, 1, NULL, NULL) == FA_INVALID);
    w.scratch_bytes--;
    CHECK(run(&w, 0, 20, 1, &count, NULL) == FA_INVALID);
    w.scratch_bytes++;
    CHECK(fa_search_products(x, w.queries, VARIANTS * 20, VARIANTS, 20, w.k, w.hits, VARIANTS * w.k - 1, counts,
                             VARIANTS, w.scratch, w.scratch_bytes, NULL) == FA_INVALID);
    CHECK(fa_search_products(x, w.queries, VARIANTS * 20, VARIANTS, 20, w.k, w.hits, VARIANTS * w.k, counts,
                             VARIANTS - 1, w.scratch, w.scratch_bytes, NULL) == FA_INVALID);
    CHECK(fa_search_products(x, w.queries, VARIANTS * 20, 0, 20, w.k, w.hits, VARIANTS * w.k, counts, VARIANTS,
                             w.scratch, w.scratch_bytes, NULL) == FA_INVALID);
    size_t *const lengths[] = {&x->matrix_length, &x->valid_length,  &x->basis_length,
                               &x->prefix_length, &x->full_length,   &x->bias_length,
                               &x->bounds_length, &x->energy_length, &x->numbers_length};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        (*lengths[i])--;
        CHECK(run(&w, 0, 20, 1, &count, NULL) == FA_INVALID);
        CHECK(fa_search_scratch(x, 1) == 0);
        (*lengths[i])++;
    }
    size_t *const sizes[] = {&x->rows, &x->columns, &x->stride};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const size_t right = *sizes[i];
        *sizes[i] = SIZE_MAX / 2;
        CHECK(run(&w, 0, 20, 1, &count, NULL) == FA_INVALID);
        *sizes[i] = right;
    }
    CHECK(fa_planes_scratch(SIZE_MAX, 5) == 0 && fa_planes_scratch(5, FA_MAX_COLUMNS + 1) == 0);
    CHECK(fa_planes_build(NULL, w.scratch, w.scratch_bytes) == FA_INVALID);
    CHECK(fa_search_scratch(NULL, 1) == 0 && fa_search_scratch(x, SIZE_MAX) == 0);
    drop(&w);
}

int main(void)
{
    every_shape_on_every_path();
    unusable_values_are_survived();
    planes_of_nonsense_break_nothing();
    refuses_what_does_not_fit();
    printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
