/* Runs fa_top_k over exact-size heap blocks, so that AddressSanitizer sees any step outside.
 * Build: cc -std=c11 -fsanitize=address,undefined -Inative native/fa_match.c native/tests/test_fa_match.c -lm */
#include "fa_match.h"

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

enum { ROWS = 7, COLUMNS = 37, VARIANTS = 3, K = 5 };

typedef struct {
    float *matrix;
    int32_t *valid;
    float *queries;
    double *penalty;
    fa_hit *hits;
} world;

static uint32_t seed = 12345u;

static float noise(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)((double)(seed >> 8) / 8388608.0 - 1.0);
}

static world make(void)
{
    world w;
    w.matrix = malloc(ROWS * COLUMNS * sizeof *w.matrix);
    w.valid = malloc(2 * ROWS * sizeof *w.valid);
    w.queries = malloc(VARIANTS * COLUMNS * sizeof *w.queries);
    w.penalty = malloc(VARIANTS * sizeof *w.penalty);
    w.hits = malloc(K * sizeof *w.hits);
    if (!w.matrix || !w.valid || !w.queries || !w.penalty || !w.hits) {
        abort();
    }
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        w.matrix[i] = noise();
    }
    for (size_t i = 0; i < VARIANTS * COLUMNS; i++) {
        w.queries[i] = noise();
    }
    for (size_t r = 0; r < ROWS; r++) {
        w.valid[2 * r] = 0;
        w.valid[2 * r + 1] = COLUMNS;
    }
    for (size_t v = 0; v < VARIANTS; v++) {
        w.penalty[v] = 0.0;
    }
    return w;
}

static void drop(world w)
{
    free(w.matrix);
    free(w.valid);
    free(w.queries);
    free(w.penalty);
    free(w.hits);
}

static int run(world w, size_t lo, size_t hi, size_t min_columns, size_t k, size_t *count)
{
    return fa_top_k(w.matrix, ROWS * COLUMNS, ROWS, COLUMNS, COLUMNS, w.valid, 2 * ROWS,
                    w.queries, VARIANTS * COLUMNS, VARIANTS, COLUMNS, w.penalty, VARIANTS,
                    lo, hi, min_columns, k, w.hits, K, count);
}

static void finds_the_copy_and_orders_ties_by_row(void)
{
    world w = make();
    memcpy(w.matrix + 2 * COLUMNS, w.queries + COLUMNS, COLUMNS * sizeof *w.matrix);
    memcpy(w.matrix + 5 * COLUMNS, w.queries + COLUMNS, COLUMNS * sizeof *w.matrix);
    size_t count = 99;
    CHECK(run(w, 0, COLUMNS, 1, K, &count) == FA_OK);
    CHECK(count == K);
    CHECK(w.hits[0].row == 2 && w.hits[1].row == 5);
    CHECK(w.hits[0].variant == 1 && w.hits[1].variant == 1);
    CHECK(fabs(w.hits[0].score - 1.0) < 1e-12);
    CHECK(w.hits[0].score == w.hits[1].score);
    for (size_t i = 1; i < count; i++) {
        CHECK(w.hits[i].score <= w.hits[i - 1].score);
    }
    drop(w);
}

static void a_penalty_ranks_but_does_not_change_the_score(void)
{
    world w = make();
    memcpy(w.matrix, w.queries, COLUMNS * sizeof *w.matrix);
    memcpy(w.matrix + COLUMNS, w.queries + COLUMNS, COLUMNS * sizeof *w.matrix);
    w.penalty[0] = 0.25;
    size_t count = 0;
    CHECK(run(w, 0, COLUMNS, 1, 2, &count) == FA_OK);
    CHECK(count == 2 && w.hits[0].row == 1);
    CHECK(fabs(w.hits[0].score - 1.0) < 1e-12);
    drop(w);
}

static void unusable_rows_do_not_rank(void)
{
    world w = make();
    w.matrix[0 * COLUMNS + 3] = NAN;
    w.matrix[1 * COLUMNS + 3] = INFINITY;
    memset(w.matrix + 2 * COLUMNS, 0, COLUMNS * sizeof *w.matrix);
    w.valid[2 * 3 + 1] = 4; /* too short */
    w.valid[2 * 4] = -1;
    w.valid[2 * 5] = 30;
    w.valid[2 * 5 + 1] = 20; /* reversed */
    size_t count = 0;
    CHECK(run(w, 0, COLUMNS, 8, K, &count) == FA_OK);
    CHECK(count == 1 && w.hits[0].row == 6);
    w.valid[2 * 6] = INT32_MAX - 1;
    w.valid[2 * 6 + 1] = INT32_MAX;
    CHECK(run(w, 0, COLUMNS, 8, K, &count) == FA_OK);
    CHECK(count == 0);
    for (size_t i = 0; i < VARIANTS * COLUMNS; i++) {
        w.queries[i] = NAN;
    }
    CHECK(run(w, 0, COLUMNS, 1, K, &count) == FA_OK);
    CHECK(count == 0);
    drop(w);
}

static void every_window_stays_inside(void)
{
    world w = make();
    for (size_t lo = 0; lo < COLUMNS; lo++) {
        for (size_t hi = lo + 1; hi <= COLUMNS; hi++) {
            size_t count = 0;
            CHECK(run(w, lo, hi, 1, K, &count) == FA_OK);
            CHECK(count == K);
        }
    }
    drop(w);
}

static void refuses_what_does_not_fit(void)
{
    world w = make();
    size_t count = 7;
    CHECK(run(w, 5, 5, 1, K, &count) == FA_INVALID && count == 0);
    CHECK(run(w, 0, COLUMNS + 1, 1, K, &count) == FA_INVALID);
    CHECK(run(w, 0, COLUMNS, 1, 0, &count) == FA_INVALID);
    CHECK(run(w, 0, COLUMNS, 1, K + 1, &count) == FA_INVALID);
    CHECK(run(w, 0, COLUMNS, 1, K, NULL) == FA_INVALID);
    const size_t huge = SIZE_MAX / 2;
    CHECK(fa_top_k(w.matrix, ROWS * COLUMNS, ROWS + 1, COLUMNS, COLUMNS, w.valid, 2 * (ROWS + 1),
                   w.queries, VARIANTS * COLUMNS, VARIANTS, COLUMNS, NULL, 0,
                   0, COLUMNS, 1, K, w.hits, K, &count) == FA_INVALID);
    CHECK(fa_top_k(w.matrix, ROWS * COLUMNS, ROWS, COLUMNS, huge, w.valid, 2 * ROWS,
                   w.queries, VARIANTS * COLUMNS, VARIANTS, COLUMNS, NULL, 0,
                   0, COLUMNS, 1, K, w.hits, K, &count) == FA_INVALID);
    CHECK(fa_top_k(w.matrix, ROWS * COLUMNS, ROWS, COLUMNS, COLUMNS, w.valid, 2 * ROWS - 1,
                   w.queries, VARIANTS * COLUMNS, VARIANTS, COLUMNS, NULL, 0,
                   0, COLUMNS, 1, K, w.hits, K, &count) == FA_INVALID);
    CHECK(fa_top_k(w.matrix, ROWS * COLUMNS, ROWS, COLUMNS, COLUMNS, w.valid, 2 * ROWS,
                   w.queries, VARIANTS * COLUMNS - 1, VARIANTS, COLUMNS, NULL, 0,
                   0, COLUMNS, 1, K, w.hits, K, &count) == FA_INVALID);
    CHECK(fa_top_k(w.matrix, ROWS * COLUMNS, ROWS, COLUMNS, COLUMNS, w.valid, 2 * ROWS,
                   w.queries, VARIANTS * COLUMNS, VARIANTS, COLUMNS, w.penalty, VARIANTS - 1,
                   0, COLUMNS, 1, K, w.hits, K, &count) == FA_INVALID);
    CHECK(fa_top_k(NULL, 0, 0, COLUMNS, COLUMNS, w.valid, 0, w.queries, VARIANTS * COLUMNS,
                   VARIANTS, COLUMNS, NULL, 0, 0, COLUMNS, 1, K, w.hits, K, &count) == FA_INVALID);
    drop(w);
}

int main(void)
{
    finds_the_copy_and_orders_ties_by_row();
    a_penalty_ranks_but_does_not_change_the_score();
    unusable_rows_do_not_rank();
    every_window_stays_inside();
    refuses_what_does_not_fit();
    printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
