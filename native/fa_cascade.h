/* fa_cascade: the inside of a search: what fa_search.c (arguments, memory), fa_bounds.c (upper bounds) and
 * fa_cascade.c (who is scored exactly, and when) share.
 */
#ifndef FA_CASCADE_H
#define FA_CASCADE_H

#include "fa_index.h"
#include "fa_loops.h"

#ifndef FA_CDEF_SKIP

enum {
    FA_CHUNK = 2048, /* rows whose prefix codes stay in cache */
    FA_BATCH = 64,   /* rows whose full codes do */
    FA_TILE = 8      /* queries searched together */
};

/* One query row, ready. */
typedef struct {
    const float *original;
    int8_t *codes;  /* prefix high, prefix low, full high, full low */
    float *unit;    /* divided by its norm over the window, 0 outside */
    fa_line prefix;
    fa_line full;
    double penalty;
    int32_t number;
    int full_ready;
} fa_question;

typedef struct {
    const fa_index *index;
    const fa_loops *loops;
    fa_shape shape;
    size_t lo, hi, min_columns; /* the window; everything for products */
    int cosine;
    size_t k;
    fa_question *questions;
    size_t count; /* of questions */
    float *best;    /* per padded row: upper bound of its ranking */
    float *likely;  /* per padded row: about its ranking */
    float *weight;  /* per padded row: what the bound of x.q is multiplied by */
    float *largest; /* per block of 16 rows: the largest of best, then of likely */
    int32_t *order; /* rows to score, a heap by best */
    double *energies; /* of the questions over energy_lo .. energy_hi */
    double *promise;  /* of the questions: their bounds for one row */
    size_t energy_lo, energy_hi;
    float *before, *after; /* per energy step: the largest share of any question outside */
    double scale;   /* a ranking is `scale` times what `best` bounds */
    fa_hit *hits;
    size_t found;
    fa_work work;
} fa_pursuit;

/* What is compared of row r: 0 if it has too few columns to rank. */
static inline int fa_row_range(const fa_pursuit *s, size_t r, size_t *begin, size_t *end)
{
    const int32_t first = s->index->valid[2 * r];
    const int32_t last = s->index->valid[2 * r + 1];
    if (first < 0 || last < first) {
        return 0;
    }
    *begin = (size_t)first > s->lo ? (size_t)first : s->lo;
    *end = (size_t)last < s->hi ? (size_t)last : s->hi;
    return *end > *begin && *end - *begin >= s->min_columns;
}

/* fa_bounds.c */
void fa_prepare_prefix(const fa_pursuit *s, fa_question *q);
void fa_bound_group(const fa_pursuit *s, size_t r, const fa_question *q, float *best, float *likely);
void fa_bound_rows(fa_pursuit *s, size_t begin, size_t end);
void fa_full_bounds(const fa_pursuit *s, const int32_t *which, size_t n, fa_question *q, double *bounds);

/* fa_cascade.c */
void fa_score_row(fa_pursuit *s, size_t r);
void fa_finish(fa_pursuit *s);

#endif /* FA_CDEF_SKIP */

#endif
