/* replay FILE: searches a library and spectra that another machine wrote down, and prints what it finds.
 *
 * The file, little-endian: 8 numbers of 64 bits (rows, columns, stride, variants, lo, hi, min_columns, k),
 * then matrix (float), valid (int32), queries (float), penalty (double) as fa_top_k takes them.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "fa_match.h"

static void *take(FILE *file, size_t count, size_t size)
{
    void *block = malloc(count > 0 ? count * size : 1);
    if (block == NULL || fread(block, size, count, file) != count) {
        fprintf(stderr, "the file is too short\n");
        exit(2);
    }
    return block;
}

int main(int arguments, char **argument)
{
    FILE *file = arguments == 2 ? fopen(argument[1], "rb") : NULL;
    if (file == NULL) {
        fprintf(stderr, "replay FILE\n");
        return 2;
    }
    uint64_t *n = take(file, 8, sizeof *n);
    const size_t rows = n[0], columns = n[1], stride = n[2], variants = n[3], k = n[7];
    float *matrix = take(file, rows * stride, sizeof *matrix);
    int32_t *valid = take(file, 2 * rows, sizeof *valid);
    float *queries = take(file, variants * columns, sizeof *queries);
    double *penalty = take(file, variants, sizeof *penalty);
    fa_hit *hits = calloc(k, sizeof *hits);
    size_t count = 0;
    if (hits == NULL ||
        fa_top_k(matrix, rows * stride, rows, columns, stride, valid, 2 * rows, queries, variants * columns,
                 variants, columns, penalty, variants, n[4], n[5], n[6], k, hits, k, &count) != FA_OK) {
        fprintf(stderr, "refused\n");
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        printf("hit %d %d %a\n", (int)hits[i].row, (int)hits[i].variant, hits[i].score);
    }
    fclose(file);
    free(n);
    free(matrix);
    free(valid);
    free(queries);
    free(penalty);
    free(hits);
    return 0;
}
