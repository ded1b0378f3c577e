/* fa_cascade: the inside of a search: what fa_search.c (arguments, memory), fa_bounds.c (upper bounds),
 * fa_exact.c (exact scores) and fa_cascade.c (who is scored exactly, and when) share.
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
    int8_t *codes;  /* of each level, then full: high and low plane */
    float *unit;    /* divided by its norm over the window, 0 outside */
    fa_line level[FA_LEVELS];
    fa_line coarse; /* of the full codes, the high plane alone */
    fa_line fine;   /* the same, both planes */
    double seen;    /* square of a lower bound of the prefix's norm, of the levels that are ready */
    double penalty;
    int32_t number;
    int levels_ready;
    size_t waited; /* rows that the first level alone let through */
    double energy; /* over energy_lo .. energy_hi, once needed */
    size_t energy_lo, energy_hi;
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
    float *top;     /* per group of rows and question: the largest bound by the first level */
    int32_t *order; /* rows to score, a heap by best */
    uint64_t *asked;  /* per padded row: bit v % 64 is set if question v may be the one that ranks it */
    double *promise;  /* of the questions: their bounds for one row */
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

/* The whole matrix stays in a near cache, so a row costs little more than its sums. */
static inline int fa_in_cache(const fa_pursuit *s)
{
    return s->shape.rows * s->shape.columns <= (size_t)1 << 20;
}

/* Bounds below this cannot rank. */
static inline float fa_threshold(const fa_pursuit *s)
{
    return s->found < s->k ? -INFINITY : fa_down(s->hits[s->k - 1].score / s->scale);
}

/* fa_bounds.c */
void fa_prepare_level(const fa_pursuit *s, fa_question *q);
int fa_bound_group(const fa_pursuit *s, size_t r, fa_question *q, float least, float *bounds);
void fa_bound_rows(fa_pursuit *s, size_t begin, size_t end);
void fa_full_bounds(const fa_pursuit *s, const int32_t *which, size_t n, fa_question *q, int planes, double *bounds);

/* fa_exact.c */
void fa_score_row(fa_pursuit *s, size_t r);
void fa_score_rows(fa_pursuit *s, const int32_t *rows, size_t n);
void fa_ask_for(const fa_pursuit *s, int32_t r);

/* fa_cascade.c */
void fa_finish(fa_pursuit *s);

#endif /* FA_CDEF_SKIP */

#endif
