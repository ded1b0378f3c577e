/* See fa_cascade.h. Upper bounds of what rows can score; docs/explanation/exact-search.md proves them. */
#include "fa_cascade.h"

/* What float arithmetic may add: see "Rounding" in the proof. */
#define ROUNDING 0x1p-18

/* Rows whose full bounds take as long as making a level. */
#define LEVEL_WORTH 200

static double root_up(double square)
{
    return sqrt(square) * (1.0 + 0x1p-30);
}

/* Makes the question's next level ready: its codes (one plane) and what its bound needs. */
void fa_prepare_level(const fa_pursuit *s, fa_question *q)
{
    const size_t columns = s->shape.columns;
    const int level = q->levels_ready;
    const double defect = s->index->numbers[0];
    float p[FA_LEVEL];
    int8_t low[FA_LEVEL];
    float fine_step;
    double missed[2];
    fa_line *line = &q->level[level];
    s->loops->rotate(s->index->basis + (size_t)level * FA_LEVEL * columns, q->unit, columns, p);
    s->loops->encode(p, FA_LEVEL, q->codes + level * FA_LEVEL, low, &fine_step, missed);
    const double miss = root_up(missed[1]);
    double square = 0.0;
    for (size_t j = 0; j < FA_LEVEL; j++) {
        square += (double)p[j] * (double)p[j];
    }
    const double norm = root_up(square);
    const double adds = (double)(columns / FA_FLOAT_LANES + 8);
    const double turning = 8.0 * adds * 0x1p-24 * (1.0 + defect) * 1.01 + 0x1p-100;
    const double least = norm * (1.0 - 0x1p-29) > turning ? norm * (1.0 - 0x1p-29) - turning : 0.0;
    q->seen += least * least;
    const double rest = 1.0 + 0x1p-22 - q->seen * (1.0 - defect);
    const double slack = (1.0 + defect + 0x1p-20) * (miss + turning) +
                         (defect + s->index->numbers[1]) * (norm + turning);
    line->step = 254.0f * fine_step;
    line->size = fa_up(norm + miss + 1e-20);
    line->rest = fa_up(sqrt(rest > 0.0 ? rest : 0.0));
    line->slack = fa_up(slack + (level > 0 ? (double)q->level[level - 1].slack : ROUNDING));
    line->penalty = fa_down(q->penalty);
    q->levels_ready = level + 1;
}

static void prepare_full(const fa_pursuit *s, fa_question *q)
{
    const size_t columns = s->shape.columns;
    int8_t *codes = q->codes + FA_PREFIX;
    double missed[2];
    float step;
    s->loops->encode(q->unit, columns, codes, codes + columns, &step, missed);
    q->fine.step = step;
    q->coarse.step = 254.0f * step;
    for (int coarse = 0; coarse < 2; coarse++) {
        fa_line *line = coarse ? &q->coarse : &q->fine;
        const double miss = root_up(missed[coarse]);
        line->size = fa_up(1.0 + 0x1p-20 + miss);
        line->slack = fa_up((1.0 + 0x1p-20) * miss + ROUNDING);
        line->penalty = fa_down(q->penalty);
    }
    q->full_ready = 1;
}

/* The bounds of n <= FA_BATCH rows by their full codes for one question with one or two planes, in double. */
void fa_full_bounds(const fa_pursuit *s, const int32_t *which, size_t n, fa_question *q, int planes, double *bounds)
{
    const fa_index *x = s->index;
    const size_t columns = s->shape.columns;
    const size_t rows = s->shape.rows;
    const float *scale = x->bounds + FA_FULL_SCALE * rows;
    const float *error = x->bounds + FA_FULL_ERROR * rows;
    if (!q->full_ready) {
        prepare_full(s, q);
    }
    const int8_t *codes = q->codes + FA_PREFIX;
    const fa_line line = planes == 2 ? q->fine : q->coarse;
    double sums[FA_BATCH];
    s->loops->rows(x->full, columns, x->bias + FA_LEVELS * rows, which, n,
                   (fa_codes){codes, planes == 2 ? codes + columns : NULL}, sums);
    const double step = (double)line.step;
    const double size = (double)line.size;
    const double slack = (double)line.slack;
    const double penalty = (double)line.penalty;
    for (size_t i = 0; i < n; i++) {
        const int32_t r = which[i];
        double bound = sums[i] * ((double)scale[r] * step) + (double)error[r] * size + slack;
        bound = bound > 0x1p-60 ? bound : 0x1p-60;
        bound = (double)s->weight[r] * bound - penalty;
        bounds[i] = bound == bound ? bound : INFINITY;
    }
}

/* Rows r .. r + FA_GROUP, one level. */
static fa_part part_of(const fa_pursuit *s, size_t r, const fa_question *q, size_t level, int32_t *sums)
{
    const fa_index *x = s->index;
    const size_t rows = s->shape.rows;
    const float *numbers = x->bounds + level * FA_LEVEL_NUMBERS * rows + r;
    s->loops->prefix(x->prefix + level * FA_LEVEL * rows + r * FA_LEVEL, x->bias + level * rows + r,
                     FA_GROUP / FA_ROWS_A_BLOCK, q->codes + level * FA_LEVEL, sums);
    return (fa_part){sums, numbers + FA_SCALE * rows, numbers + FA_ERROR * rows, numbers + FA_REST * rows};
}

/* The bounds of a group of rows for one question, by both levels once the second is worth its making; 0, and
 * none, if the first level shows that no row reaches `least`. */
int fa_bound_group(const fa_pursuit *s, size_t r, fa_question *q, float least, float *bounds)
{
    int32_t first_sums[FA_GROUP], sums[FA_GROUP];
    float likely[FA_GROUP];
    for (size_t i = 0; i < FA_GROUP; i++) {
        bounds[i] = -INFINITY;
        likely[i] = INFINITY;
    }
    const fa_part first = part_of(s, r, q, 0, first_sums);
    if (s->loops->bound(first, s->weight + r, q->level[0], FA_GROUP, bounds, likely) < least) {
        return 0;
    }
    if (q->levels_ready < 2) {
        for (size_t i = 0; i < FA_GROUP; i++) {
            q->waited += !(bounds[i] < least);
        }
        if (q->waited < LEVEL_WORTH) {
            return 1;
        }
        fa_prepare_level(s, q);
    }
    const fa_part second = part_of(s, r, q, 1, sums);
    s->loops->bound2(first, second, s->weight + r, q->level[0], q->level[1], FA_GROUP, bounds);
    return 1;
}

/* Step 1: the bound of every row by its first level, for rows begin .. end (whole groups). */
void fa_bound_rows(fa_pursuit *s, size_t begin, size_t end)
{
    for (size_t r = begin; r < end; r++) {
        s->best[r] = -INFINITY;
        s->likely[r] = -INFINITY;
    }
    for (size_t r = begin; r < end; r += FA_GROUP) { /* the codes of a group stay in the nearest cache */
        for (size_t v = 0; v < s->count; v++) {
            int32_t sums[FA_GROUP];
            const fa_part part = part_of(s, r, &s->questions[v], 0, sums);
            s->top[r / FA_GROUP * s->count + v] = s->loops->bound(
                part, s->weight + r, s->questions[v].level[0], FA_GROUP, s->best + r, s->likely + r);
        }
    }
    const size_t blocks = s->shape.rows / FA_ROWS_A_BLOCK;
    const size_t some = (end - begin) / FA_ROWS_A_BLOCK;
    s->loops->largest(s->best + begin, some, s->largest + begin / FA_ROWS_A_BLOCK);
    s->loops->largest(s->likely + begin, some, s->largest + blocks + begin / FA_ROWS_A_BLOCK);
}
