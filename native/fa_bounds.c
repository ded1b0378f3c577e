/* See fa_cascade.h. Upper bounds of what rows can score; docs/explanation/exact-search.md proves them. */
#include "fa_cascade.h"

/* What float arithmetic may add: see "Rounding" in the proof. */
#define ROUNDING 0x1p-19

void fa_prepare_prefix(const fa_pursuit *s, fa_question *q)
{
    const size_t columns = s->shape.columns;
    const double defect = s->index->numbers[0];
    float p[FA_PREFIX];
    s->loops->rotate(s->index->basis, q->unit, columns, p);
    const double missed =
        sqrt(s->loops->encode(p, FA_PREFIX, q->codes, q->codes + FA_PREFIX, &q->prefix.step)) * (1.0 + 0x1p-30);
    double square = 0.0;
    for (size_t j = 0; j < FA_PREFIX; j++) {
        square += (double)p[j] * (double)p[j];
    }
    const double norm = sqrt(square) * (1.0 + 0x1p-30);
    const double adds = (double)(columns / FA_FLOAT_LANES + 8);
    const double turning = 8.0 * adds * 0x1p-24 * (1.0 + defect) * 1.01 + 0x1p-100;
    const double least = norm * (1.0 - 0x1p-29) > turning ? norm * (1.0 - 0x1p-29) - turning : 0.0;
    const double rest = 1.0 + 0x1p-22 - least * least * (1.0 - defect);
    q->prefix.size = fa_up(norm + missed + 1e-20);
    q->prefix.rest = fa_up(sqrt(rest > 0.0 ? rest : 0.0));
    q->prefix.slack = fa_up((1.0 + defect + 0x1p-20) * (missed + turning) +
                            (defect + s->index->numbers[1]) * (norm + turning) + ROUNDING);
}

static void prepare_full(const fa_pursuit *s, fa_question *q)
{
    const size_t columns = s->shape.columns;
    int8_t *codes = q->codes + 2 * FA_PREFIX;
    const double missed =
        sqrt(s->loops->encode(q->unit, columns, codes, codes + columns, &q->full.step)) * (1.0 + 0x1p-30);
    q->full.size = fa_up(1.0 + 0x1p-20 + missed);
    q->full.slack = fa_up((1.0 + 0x1p-20) * missed + ROUNDING);
    q->full_ready = 1;
}

/* The bounds of n <= FA_BATCH rows by their full codes for one question, in double. */
void fa_full_bounds(const fa_pursuit *s, const int32_t *which, size_t n, fa_question *q, double *bounds)
{
    const fa_index *x = s->index;
    const size_t columns = s->shape.columns;
    const size_t rows = s->shape.rows;
    const float *scale = x->bounds + 3 * rows;
    const float *error = x->bounds + 4 * rows;
    if (!q->full_ready) {
        prepare_full(s, q);
    }
    const int8_t *codes = q->codes + 2 * FA_PREFIX;
    double sums[FA_BATCH];
    s->loops->rows(x->full, columns, x->bias + rows, which, n, (fa_codes){codes, codes + columns}, sums);
    const double step = (double)q->full.step;
    const double size = (double)q->full.size;
    const double slack = (double)q->full.slack;
    const double penalty = (double)q->prefix.penalty;
    for (size_t i = 0; i < n; i++) {
        const int32_t r = which[i];
        double bound = sums[i] * ((double)scale[r] * step) + (double)error[r] * size + slack;
        bound = bound > 0x1p-60 ? bound : 0x1p-60;
        bound = (double)s->weight[r] * bound - penalty;
        bounds[i] = bound == bound ? bound : INFINITY;
    }
}

/* best[i] becomes the larger of itself and the bound of row r + i for the question, for one group of rows;
 * likely[i] the same for the estimate. */
void fa_bound_group(const fa_pursuit *s, size_t r, const fa_question *q, float *best, float *likely)
{
    const fa_index *x = s->index;
    const size_t rows = s->shape.rows;
    const float *bounds = x->bounds + r;
    int32_t sums[FA_GROUP];
    s->loops->prefix(x->prefix + r * FA_PREFIX, x->bias + r, FA_GROUP / FA_ROWS_A_BLOCK,
                     (fa_codes){q->codes, q->codes + FA_PREFIX}, sums);
    s->loops->bound(sums, bounds, bounds + rows, bounds + 2 * rows, s->weight + r, q->prefix, FA_GROUP, best,
                    likely);
}

static float largest_of_block(const float *values)
{
    float lanes[FA_ROWS_A_BLOCK / 2];
    for (size_t i = 0; i < FA_ROWS_A_BLOCK / 2; i++) {
        const float other = values[i + FA_ROWS_A_BLOCK / 2];
        lanes[i] = values[i] > other ? values[i] : other;
    }
    for (size_t half = FA_ROWS_A_BLOCK / 4; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++) {
            lanes[i] = lanes[i] > lanes[i + half] ? lanes[i] : lanes[i + half];
        }
    }
    return lanes[0];
}

/* Step 1: the bound of every row by its prefix, for rows begin .. end (whole groups). */
void fa_bound_rows(fa_pursuit *s, size_t begin, size_t end)
{
    for (size_t r = begin; r < end; r++) {
        s->best[r] = -INFINITY;
        s->likely[r] = -INFINITY;
    }
    for (size_t v = 0; v < s->count; v++) {
        for (size_t r = begin; r < end; r += FA_GROUP) {
            fa_bound_group(s, r, &s->questions[v], s->best + r, s->likely + r);
        }
    }
    const size_t blocks = s->shape.rows / FA_ROWS_A_BLOCK;
    for (size_t r = begin; r < end; r += FA_ROWS_A_BLOCK) {
        s->largest[r / FA_ROWS_A_BLOCK] = largest_of_block(s->best + r);
        s->largest[blocks + r / FA_ROWS_A_BLOCK] = largest_of_block(s->likely + r);
    }
}

