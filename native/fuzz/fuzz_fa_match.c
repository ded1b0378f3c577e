/* fa_top_k over any sizes, strides, windows and numbers. */
#include "fuzz.h"

#include "fa_match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes f = fuzz_open(data, size);
    const size_t rows = fuzz_upto(&f, 12), columns = 1 + fuzz_upto(&f, 40), variants = 1 + fuzz_upto(&f, 3);
    const size_t stride = columns + fuzz_upto(&f, 5), query_stride = columns + fuzz_upto(&f, 5);
    const size_t lo = fuzz_upto(&f, columns), hi = fuzz_upto(&f, columns);
    const size_t k = 1 + fuzz_upto(&f, rows + 1), min_columns = fuzz_upto(&f, 6);
    f.special = fuzz_byte(&f) & 1;
    const size_t matrix_length = rows == 0 ? 0 : (rows - 1) * stride + columns;
    const size_t queries_length = (variants - 1) * query_stride + columns;
    float *matrix = fuzz_floats(&f, matrix_length);
    float *queries = fuzz_floats(&f, queries_length);
    int32_t *valid = fuzz_integers(&f, 2 * rows, columns);
    double *penalty = fuzz_doubles(&f, variants);
    fa_hit *hits = fuzz_block(k, sizeof *hits);
    size_t count = 99;
    const int with_penalty = fuzz_byte(&f) & 1;
    int status = fa_top_k(matrix, matrix_length, rows, columns, stride, valid, 2 * rows, queries,
                          queries_length, variants, query_stride, with_penalty ? penalty : NULL, variants,
                          lo, hi, min_columns, k, hits, k, &count);
    PROMISE(status == (lo < hi ? FA_OK : FA_INVALID));
    PROMISE(count <= k && count <= rows);
    for (size_t i = 0; i < count; i++) {
        PROMISE(hits[i].row >= 0 && (size_t)hits[i].row < rows);
        PROMISE(hits[i].variant >= 0 && (size_t)hits[i].variant < variants);
        for (size_t j = 0; j < i; j++) {
            PROMISE(hits[i].row != hits[j].row);
        }
        if (!with_penalty) {
            PROMISE(fabs(hits[i].score) <= 1.0 + 1e-9);
            PROMISE(i == 0 || hits[i].score < hits[i - 1].score ||
                    (hits[i].score == hits[i - 1].score && hits[i].row > hits[i - 1].row));
        }
    }

    /* One claim or two that the blocks may not hold: refused, or kept to. */
    size_t claim[] = {matrix_length, rows, columns, stride, 2 * rows, queries_length, variants, query_stride,
                      variants, lo, hi, min_columns, k};
    const size_t claims = sizeof claim / sizeof *claim;
    for (size_t i = 1 + fuzz_upto(&f, 1); i > 0; i--) {
        const size_t which = fuzz_upto(&f, claims - 1);
        const int is_length = which == 0 || which == 4 || which == 5 || which == 8;
        claim[which] = is_length ? fuzz_upto(&f, claim[which]) : fuzz_size(&f, 50);
    }
    status = fa_top_k(matrix, claim[0], claim[1], claim[2], claim[3], valid, claim[4], queries, claim[5],
                      claim[6], claim[7], penalty, claim[8], claim[9], claim[10], claim[11], claim[12], hits,
                      k, &count);
    PROMISE(status == FA_OK || (status == FA_INVALID && count == 0));

    free(matrix);
    free(queries);
    free(valid);
    free(penalty);
    free(hits);
    return 0;
}
