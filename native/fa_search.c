/* See fa_search.h. Arguments, memory, and what is asked of the cascade (fa_cascade.h). */
#include "fa_cascade.h"

typedef struct {
    char *base; /* NULL: only count */
    size_t used;
} arena;

static void *take(arena *a, size_t bytes)
{
    void *place = a->base == NULL ? NULL : a->base + a->used;
    a->used += fa_up_to(bytes, 64);
    return place;
}

static int variants_fit(size_t variants)
{
    return variants <= (sizeof(size_t) >= 8 ? INT32_MAX : 4096);
}

/* Places for `questions` questions; `sets` bounds of every row. */
static void lay_out(fa_pursuit *s, arena *a, size_t questions, size_t sets)
{
    const fa_shape shape = s->shape;
    s->questions = take(a, questions * sizeof(fa_question));
    s->promise = take(a, questions * sizeof(double));
    s->weight = take(a, shape.rows * sizeof(float));
    s->asked = take(a, shape.rows * sizeof(uint64_t));
    s->order = take(a, shape.rows * sizeof(int32_t));
    s->before = take(a, shape.steps * sizeof(float));
    s->after = take(a, shape.steps * sizeof(float));
    s->best = take(a, sets * shape.rows * sizeof(float));
    s->likely = take(a, sets * shape.rows * sizeof(float));
    s->largest = take(a, sets * 2 * (shape.rows / FA_ROWS_A_BLOCK) * sizeof(float));
    s->top = take(a, questions * (shape.rows / FA_GROUP) * sizeof(float));
    for (size_t v = 0; v < questions; v++) {
        void *codes = take(a, FA_PREFIX + 2 * shape.columns);
        void *unit = take(a, shape.columns * sizeof(float));
        if (a->base != NULL) {
            s->questions[v].codes = codes;
            s->questions[v].unit = unit;
        }
    }
}

size_t fa_search_scratch(const fa_index *x, size_t variants)
{
    if (!fa_index_fits(x) || !variants_fit(variants)) {
        return 0;
    }
    fa_pursuit s;
    s.shape = fa_shape_of(x->rows, x->columns);
    arena a = {NULL, 0};
    lay_out(&s, &a, variants > FA_TILE ? variants : FA_TILE, FA_TILE);
    return a.used + 64;
}

/* A search over the whole index with its memory; 0 if the scratch area is too small. */
static int begin_search(fa_pursuit *s, const fa_index *x, size_t variants, void *scratch, size_t scratch_bytes)
{
    const size_t needed = fa_search_scratch(x, variants);
    if (needed == 0 || scratch == NULL || scratch_bytes < needed) {
        return 0;
    }
    memset(s, 0, sizeof *s);
    s->index = x;
    s->loops = fa_current_loops();
    s->shape = fa_shape_of(x->rows, x->columns);
    s->hi = x->columns;
    s->scale = 1.0;
    arena a = {(char *)scratch + (64 - (uintptr_t)scratch % 64) % 64, 0};
    lay_out(s, &a, variants > FA_TILE ? variants : FA_TILE, FA_TILE);
    return 1;
}

/* Sets the question to the query row divided by its norm over the window. Returns the norm; if that is 0 or
 * not finite, the question cannot be asked of the planes. */
static double set_question(const fa_pursuit *s, fa_question *q, const float *original, size_t number,
                           double penalty)
{
    q->original = original;
    q->number = (int32_t)number;
    q->full_ready = 0;
    q->levels_ready = 0;
    q->waited = 0;
    q->energy_lo = SIZE_MAX;
    q->seen = 0.0;
    q->penalty = penalty;
    memset(q->unit, 0, s->shape.columns * sizeof *q->unit);
    const double norm = sqrt(s->loops->dot(original + s->lo, original + s->lo, s->hi - s->lo));
    if (norm > 0.0 && isfinite(norm)) {
        const double inverse = 1.0 / norm;
        for (size_t i = s->lo; i < s->hi; i++) {
            q->unit[i] = (float)((double)original[i] * inverse);
        }
        fa_prepare_level(s, q);
    }
    return norm;
}

/* ---- cosines over a window: several questions about one spectrum ---- */

/* The largest share of any question's energy before and after each energy step. */
static void shares_outside(fa_pursuit *s)
{
    const size_t steps = s->shape.steps;
    memset(s->before, 0, steps * sizeof *s->before);
    memset(s->after, 0, steps * sizeof *s->after);
    for (size_t v = 0; v < s->count; v++) {
        const float *unit = s->questions[v].unit;
        double energy = 0.0;
        for (size_t i = 0; i + 1 < steps; i++) {
            const float *part = unit + i * FA_ENERGY_STEP;
            energy += s->loops->dot(part, part, FA_ENERGY_STEP);
            const float share = fa_up(energy);
            s->before[i + 1] = share > s->before[i + 1] ? share : s->before[i + 1];
        }
        energy = 0.0;
        for (size_t i = steps - 1; i-- > 0;) {
            const float *part = unit + i * FA_ENERGY_STEP;
            energy += s->loops->dot(part, part, FA_ENERGY_STEP);
            const float share = fa_up(energy);
            s->after[i] = share > s->after[i] ? share : s->after[i];
        }
    }
}

/* Not below 1 / sqrt(compared share of the row's energy * compared share of the questions' energy). */
static void weigh_rows(fa_pursuit *s)
{
    const fa_index *x = s->index;
    const size_t rows = s->shape.rows;
    const size_t last_step = s->hi == x->columns ? s->shape.steps - 1 : s->hi / FA_ENERGY_STEP;
    const float *from = x->energy + fa_up_to(s->lo, FA_ENERGY_STEP) / FA_ENERGY_STEP * rows;
    const float *to = x->energy + last_step * rows;
    int outside_known = 0;
    for (size_t r = 0; r < rows; r++) {
        size_t begin, end;
        s->weight[r] = -INFINITY;
        if (r >= x->rows || !fa_row_range(s, r, &begin, &end)) {
            continue;
        }
        const int whole = (size_t)x->valid[2 * r] == begin &&
                          ((size_t)x->valid[2 * r + 1] == end || s->hi == x->columns);
        float share = whole ? 1.0f : to[r] - from[r] - 0x1p-20f;
        if (begin > s->lo || end < s->hi) {
            if (!outside_known) {
                shares_outside(s);
                outside_known = 1;
            }
            const float before = begin > s->lo ? s->before[(begin + FA_ENERGY_STEP - 1) / FA_ENERGY_STEP] : 0.0f;
            const float after = end < s->hi ? s->after[end / FA_ENERGY_STEP] : 0.0f;
            const float asked = 1.0f - before - after - 0x1p-20f;
            share = share > 0.0f && asked > 0.0f ? share * asked : 0.0f;
        }
        s->weight[r] = share > 0.0f ? (1.0f + 0x1p-20f) / sqrtf(share) : INFINITY;
    }
}

static int arguments_fit(const fa_index *x, const float *queries, size_t queries_length, size_t variants,
                         size_t query_stride, const fa_hit *hits)
{
    return queries != NULL && hits != NULL && variants > 0 && variants_fit(variants) &&
           fa_fits(queries_length, variants, x->columns, query_stride);
}

int fa_search(const fa_index *x, const float *queries, size_t queries_length, size_t variants,
              size_t query_stride, const double *penalty, size_t penalty_length, size_t lo, size_t hi,
              size_t min_columns, size_t k, fa_hit *hits, size_t hits_capacity, size_t *count, void *scratch,
              size_t scratch_bytes, fa_work *work)
{
    if (count == NULL) {
        return FA_INVALID;
    }
    *count = 0;
    fa_pursuit s;
    if (!fa_index_fits(x) || !arguments_fit(x, queries, queries_length, variants, query_stride, hits) ||
        lo >= hi || hi > x->columns || k == 0 || k > hits_capacity ||
        (penalty != NULL && penalty_length < variants) ||
        !begin_search(&s, x, variants, scratch, scratch_bytes)) {
        return FA_INVALID;
    }
    s.lo = lo;
    s.hi = hi;
    s.min_columns = min_columns;
    s.cosine = 1;
    s.k = k;
    s.hits = hits;
    int plain = x->rows < FA_GROUP || k > x->rows / 2;
    for (size_t v = 0; v < variants && !plain; v++) {
        fa_question *q = &s.questions[s.count];
        const double off = penalty == NULL ? 0.0 : penalty[v];
        const double norm = set_question(&s, q, queries + v * query_stride, v, off);
        plain = !isfinite(norm) || !(fabs(off) <= 1e6);
        if (norm > 0.0) { /* one without energy in the window ranks nothing */
            s.count++;
        }
    }
    if (plain) {
        if (work != NULL) {
            *work = (fa_work){0, x->rows, 1};
        }
        return fa_top_k(x->matrix, x->matrix_length, x->rows, x->columns, x->stride, x->valid,
                        x->valid_length, queries, queries_length, variants, query_stride, penalty,
                        penalty_length, lo, hi, min_columns, k, hits, hits_capacity, count);
    }
    if (s.count > 0) {
        weigh_rows(&s);
        for (size_t r = 0; r < s.shape.rows; r += FA_CHUNK) {
            fa_bound_rows(&s, r, r + FA_CHUNK < s.shape.rows ? r + FA_CHUNK : s.shape.rows);
        }
        fa_finish(&s);
    }
    if (penalty != NULL) {
        for (size_t i = 0; i < s.found; i++) {
            hits[i].score += penalty[hits[i].variant];
        }
    }
    *count = s.found;
    if (work != NULL) {
        *work = s.work;
    }
    return FA_OK;
}

/* ---- inner products: many questions, each with its own list ---- */

/* The questions q[0 .. n) of one tile, each as a search of its own. */
static void search_tile(const fa_pursuit *all, size_t n, const double *norms, fa_hit *hits, size_t *counts,
                        fa_work *work)
{
    fa_pursuit each[FA_TILE];
    for (size_t i = 0; i < n; i++) {
        each[i] = *all;
        each[i].questions = all->questions + i;
        each[i].count = 1;
        each[i].scale = norms[i];
        each[i].best = all->best + i * all->shape.rows;
        each[i].likely = all->likely + i * all->shape.rows;
        each[i].largest = all->largest + i * 2 * (all->shape.rows / FA_ROWS_A_BLOCK);
        each[i].top = all->top + i * (all->shape.rows / FA_GROUP);
        each[i].hits = hits + i * all->k;
    }
    for (size_t r = 0; r < all->shape.rows; r += FA_CHUNK) {
        for (size_t i = 0; i < n; i++) {
            if (norms[i] > 0.0 && isfinite(norms[i])) {
                fa_bound_rows(&each[i], r, r + FA_CHUNK < all->shape.rows ? r + FA_CHUNK : all->shape.rows);
            }
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (norms[i] > 0.0 && isfinite(norms[i])) {
            fa_finish(&each[i]);
        } else {
            for (size_t r = 0; r < all->index->rows; r++) {
                fa_score_row(&each[i], r);
            }
            each[i].work.plain = 1;
        }
        counts[i] = each[i].found;
        work->int8_rows += each[i].work.int8_rows;
        work->exact_rows += each[i].work.exact_rows;
        work->plain |= each[i].work.plain;
    }
}

int fa_search_products(const fa_index *x, const float *queries, size_t queries_length, size_t count,
                       size_t query_stride, size_t k, fa_hit *hits, size_t hits_capacity, size_t *counts,
                       size_t counts_length, void *scratch, size_t scratch_bytes, fa_work *work)
{
    fa_pursuit s;
    if (!fa_index_fits(x) || !arguments_fit(x, queries, queries_length, count, query_stride, hits) ||
        counts == NULL || counts_length < count || k == 0 || k > hits_capacity / count ||
        !begin_search(&s, x, FA_TILE, scratch, scratch_bytes)) {
        return FA_INVALID;
    }
    s.k = k;
    fa_work done = {0, 0, 0};
    s.weight = x->bounds + FA_NORM * s.shape.rows;
    for (size_t first = 0; first < count; first += FA_TILE) {
        const size_t n = count - first < FA_TILE ? count - first : FA_TILE;
        double norms[FA_TILE];
        for (size_t i = 0; i < n; i++) {
            const float *query = queries + (first + i) * query_stride;
            norms[i] = set_question(&s, &s.questions[i], query, first + i, 0.0);
        }
        search_tile(&s, n, norms, hits + first * k, counts + first, &done);
    }
    if (work != NULL) {
        *work = done;
    }
    return FA_OK;
}
