/* What fa_top_k answers over a few hundred rows, for comparison between machines. */
#include "vectors.h"

#include "fa_match.h"

enum { ROWS = 300, COLUMNS = 501, STRIDE = 512, VARIANTS = 9, K = 25 };

int main(void)
{
    vectors v = {42u};
    float *matrix = vectors_block(ROWS * STRIDE, sizeof *matrix);
    float *queries = vectors_block(VARIANTS * STRIDE, sizeof *queries);
    int32_t *valid = vectors_block(2 * ROWS, sizeof *valid);
    double penalty[VARIANTS];
    fa_hit hits[K];
    for (size_t r = 0; r < ROWS; r++) {
        vectors_spectrum(&v, matrix + r * STRIDE, COLUMNS);
        valid[2 * r] = (int32_t)(r % 7);
        valid[2 * r + 1] = (int32_t)(COLUMNS - r % 11);
    }
    for (size_t i = 0; i < VARIANTS; i++) {
        vectors_spectrum(&v, queries + i * STRIDE, COLUMNS);
        penalty[i] = 0.001 * (double)i;
    }
    static const size_t windows[][2] = {{0, COLUMNS}, {13, 400}, {200, 217}, {499, 501}};
    for (size_t w = 0; w < sizeof windows / sizeof *windows; w++) {
        size_t count = 0;
        const int status = fa_top_k(matrix, ROWS * STRIDE, ROWS, COLUMNS, STRIDE, valid, 2 * ROWS, queries,
                                    VARIANTS * STRIDE, VARIANTS, STRIDE, penalty, VARIANTS, windows[w][0],
                                    windows[w][1], 1, K, hits, K, &count);
        printf("window %d %zu\n", status, count);
        for (size_t i = 0; i < count; i++) {
            printf("hit %d %d %a\n", (int)hits[i].row, (int)hits[i].variant, hits[i].score);
        }
    }
    free(matrix);
    free(queries);
    free(valid);
    return 0;
}
