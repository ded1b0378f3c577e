/* See fa_search.h. The cascade; docs/explanation/exact-search.md numbers the steps and proves the bounds. */
#include "fa_index.h"
#include "fa_loops.h"

enum {
    CHUNK = 2048, /* rows whose prefix codes stay in cache */
    BATCH = 64,   /* rows whose full codes do */
    TILE = 8      /* queries searched together */
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
} question;

typedef struct {
    const fa_index *index;
    const fa_loops *loops;
    fa_shape shape;
    size_t lo, hi, min_columns; /* the window; everything for products */
    int cosine;
    size_t k;
    question *questions;
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
} search;

/* ---- rows and their exact ranking, as fa_top_k has it ---- */

static int row_range(const search *s, size_t r, size_t *begin, size_t *end)
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

static int ranks_before(const fa_hit *a, const fa_hit *b)
{
    return a->score > b->score || (a->score == b->score && a->row < b->row);
}

static void insert(search *s, fa_hit hit)
{
    if (s->found == s->k && !ranks_before(&hit, &s->hits[s->k - 1])) {
        return;
    }
    size_t at = s->found < s->k ? s->found++ : s->k - 1;
    while (at > 0 && ranks_before(&hit, &s->hits[at - 1])) {
        s->hits[at] = s->hits[at - 1];
        at--;
    }
    s->hits[at] = hit;
}

/* Bounds below this cannot rank. */
static float threshold(const search *s)
{
    return s->found < s->k ? -INFINITY : fa_down(s->hits[s->k - 1].score / s->scale);
}

static void exact_product(search *s, size_t r, size_t begin, size_t end)
{
    const float *row = s->index->matrix + r * s->index->stride + begin;
    const double score = s->loops->dot(row, s->questions[0].original + begin, end - begin);
    if (isfinite(score)) {
        insert(s, (fa_hit){(int32_t)r, s->questions[0].number, score});
    }
}

static void full_bounds(const search *s, const int32_t *which, size_t n, question *q, double *bounds);

/* The ranking of a row for question v, if it has one; equal ones belong to the first question. */
static void score_question(const search *s, const float *row, size_t begin, size_t end, double row_energy,
                           size_t v, fa_hit *best)
{
    const question *q = &s->questions[v];
    const double energy = row_energy * s->energies[v];
    if (!isfinite(energy) || !(energy > 0.0)) {
        return;
    }
    const double score = s->loops->dot(row, q->original + begin, end - begin) / sqrt(energy);
    const double ranking = score - q->penalty;
    if (!isfinite(ranking)) {
        return;
    }
    if (best->variant < 0 || ranking > best->score ||
        (ranking == best->score && q->number < best->variant)) {
        best->variant = q->number;
        best->score = ranking;
    }
}

static void exact_cosine(search *s, size_t r, size_t begin, size_t end)
{
    const float *row = s->index->matrix + r * s->index->stride + begin;
    const double row_energy = s->loops->dot(row, row, end - begin);
    if (begin != s->energy_lo || end != s->energy_hi) {
        for (size_t v = 0; v < s->count; v++) {
            const float *q = s->questions[v].original + begin;
            s->energies[v] = s->loops->dot(q, q, end - begin);
        }
        s->energy_lo = begin;
        s->energy_hi = end;
    }
    fa_hit best = {(int32_t)r, -1, 0.0};
    if (s->count == 1) {
        score_question(s, row, begin, end, row_energy, 0, &best);
    } else {
        /* The most promising question first; those whose bound is then too low cannot matter. */
        size_t first = 0;
        for (size_t v = 0; v < s->count; v++) {
            full_bounds(s, &best.row, 1, &s->questions[v], &s->promise[v]);
            first = s->promise[v] > s->promise[first] ? v : first;
        }
        const double least = (double)threshold(s);
        score_question(s, row, begin, end, row_energy, first, &best);
        for (size_t v = 0; v < s->count; v++) {
            const int needed = best.variant < 0 || !(s->promise[v] < best.score);
            if (v != first && needed && !(s->promise[v] < least)) {
                score_question(s, row, begin, end, row_energy, v, &best);
            }
        }
    }
    if (best.variant >= 0) {
        insert(s, best);
    }
}

static void exact(search *s, size_t r)
{
    size_t begin, end;
    if (!row_range(s, r, &begin, &end)) {
        return;
    }
    s->work.exact_rows++;
    if (s->cosine) {
        exact_cosine(s, r, begin, end);
    } else {
        exact_product(s, r, begin, end);
    }
}

/* ---- bounds ---- */

/* What float arithmetic may add: see "Rounding" in the proof. */
#define ROUNDING 0x1p-19

static void prepare_prefix(const search *s, question *q)
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

static void prepare_full(const search *s, question *q)
{
    const size_t columns = s->shape.columns;
    int8_t *codes = q->codes + 2 * FA_PREFIX;
    const double missed =
        sqrt(s->loops->encode(q->unit, columns, codes, codes + columns, &q->full.step)) * (1.0 + 0x1p-30);
    q->full.size = fa_up(1.0 + 0x1p-20 + missed);
    q->full.slack = fa_up((1.0 + 0x1p-20) * missed + ROUNDING);
    q->full_ready = 1;
}

/* The bounds of n <= BATCH rows by their full codes for one question, in double. */
static void full_bounds(const search *s, const int32_t *which, size_t n, question *q, double *bounds)
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
    double sums[BATCH];
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
static void bound_group(const search *s, size_t r, const question *q, float *best, float *likely)
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
static void bound_rows(search *s, size_t begin, size_t end)
{
    for (size_t r = begin; r < end; r++) {
        s->best[r] = -INFINITY;
        s->likely[r] = -INFINITY;
    }
    for (size_t v = 0; v < s->count; v++) {
        for (size_t r = begin; r < end; r += FA_GROUP) {
            bound_group(s, r, &s->questions[v], s->best + r, s->likely + r);
        }
    }
    const size_t blocks = s->shape.rows / FA_ROWS_A_BLOCK;
    for (size_t r = begin; r < end; r += FA_ROWS_A_BLOCK) {
        s->largest[r / FA_ROWS_A_BLOCK] = largest_of_block(s->best + r);
        s->largest[blocks + r / FA_ROWS_A_BLOCK] = largest_of_block(s->likely + r);
    }
}

/* ---- heaps of rows by `best` ---- */

/* sign 1: the largest on top; -1: the smallest. */
static void sift(int32_t *heap, size_t n, size_t at, const float *best, float sign)
{
    const int32_t moved = heap[at];
    const float key = sign * best[moved];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= n) {
            break;
        }
        if (child + 1 < n && sign * best[heap[child + 1]] > sign * best[heap[child]]) {
            child++;
        }
        if (!(sign * best[heap[child]] > key)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static void make_heap(int32_t *heap, size_t n, const float *best, float sign)
{
    for (size_t at = n / 2; at-- > 0;) {
        sift(heap, n, at, best, sign);
    }
}

/* Asks for a row that will be scored soon: it may have to come from a file or from far memory. */
static void ask_for(const search *s, int32_t r)
{
#if defined(__GNUC__)
    const float *row = s->index->matrix + (size_t)r * s->index->stride;
    for (size_t c = s->lo; c < s->hi; c += 16) {
        __builtin_prefetch(row + c);
    }
#else
    (void)s;
    (void)r;
#endif
}

static void score_list(search *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n) {
            ask_for(s, s->order[i + 1]);
        }
        exact(s, (size_t)s->order[i]);
    }
}

/* Step 2: score the k rows that most likely rank first, for a threshold. */
static void score_seeds(search *s)
{
    const float *largest = s->largest + s->shape.rows / FA_ROWS_A_BLOCK;
    int32_t *order = s->order;
    size_t n = 0;
    for (size_t r = 0; r < s->index->rows; r++) {
        if (n == s->k && r % FA_ROWS_A_BLOCK == 0 && !(largest[r / FA_ROWS_A_BLOCK] > s->likely[order[0]])) {
            r += FA_ROWS_A_BLOCK - 1;
        } else if (s->best[r] == -INFINITY) {
            continue; /* never ranks */
        } else if (n < s->k) {
            order[n++] = (int32_t)r;
            if (n == s->k) {
                make_heap(order, n, s->likely, -1.0f);
            }
        } else if (s->likely[r] > s->likely[order[0]]) {
            order[0] = (int32_t)r;
            sift(order, n, 0, s->likely, -1.0f);
        }
    }
    score_list(s, n);
    for (size_t i = 0; i < n; i++) {
        s->best[s->order[i]] = -INFINITY;
    }
}

/* Keeps row r, whose sharpened bound is `bound`, if that reaches the threshold. */
static size_t keep(search *s, size_t kept, int32_t r, double bound, float least)
{
    const float rounded = bound < 3e38 ? (float)(bound + fabs(bound) * 0x1p-22) : INFINITY;
    s->best[r] = rounded < s->best[r] ? rounded : s->best[r];
    if (!(s->best[r] < least)) {
        s->order[kept++] = r;
    }
    return kept;
}

/* Rows begin .. end that may still rank go to `list`; -infinity marks those scored and those that never do. */
static size_t list_rows(const search *s, const float *bounds, size_t begin, size_t end, float least,
                        int32_t *list)
{
    size_t n = 0;
    for (size_t r = begin; r < end && r < s->index->rows; r++) {
        if (!(bounds[r - begin] < least) && s->best[r] != -INFINITY) {
            list[n++] = (int32_t)r;
        }
    }
    return n;
}

static int may_rank(const search *s, size_t begin, size_t end, float least)
{
    int some = 0;
    for (size_t b = begin / FA_ROWS_A_BLOCK; b < end / FA_ROWS_A_BLOCK; b++) {
        some |= !(s->largest[b] < least);
    }
    return some;
}

/* Step 3: sharpen the bounds that reach the threshold by the full codes; keep the rows that still do. */
static size_t sharpen_one(search *s, float least)
{
    size_t waiting = 0;
    size_t kept = 0;
    for (size_t r = 0; r < s->shape.rows; r += FA_ROWS_A_BLOCK) {
        const size_t end = r + FA_ROWS_A_BLOCK;
        if (may_rank(s, r, end, least)) {
            waiting += list_rows(s, s->best + r, r, end, least, s->order + waiting);
        }
    }
    for (size_t first = 0; first < waiting; first += BATCH) {
        const size_t n = waiting - first < BATCH ? waiting - first : BATCH;
        int32_t which[BATCH];
        double bounds[BATCH];
        memcpy(which, s->order + first, n * sizeof *which);
        full_bounds(s, which, n, &s->questions[0], bounds);
        for (size_t i = 0; i < n; i++) {
            kept = keep(s, kept, which[i], bounds[i], least);
        }
    }
    s->work.int8_rows += waiting;
    return kept;
}

/* The same for several questions: of each group of rows, only those pairs of row and question whose own
 * bound by the prefix reaches the threshold; those bounds were not kept, so they are computed again. */
static size_t sharpen_several(search *s, float least)
{
    size_t kept = 0;
    for (size_t r = 0; r < s->shape.rows; r += FA_GROUP) {
        if (!may_rank(s, r, r + FA_GROUP, least)) {
            continue;
        }
        double most[FA_GROUP];
        for (size_t i = 0; i < FA_GROUP; i++) {
            most[i] = -INFINITY;
        }
        for (size_t v = 0; v < s->count; v++) {
            float prefix[FA_GROUP], likely[FA_GROUP];
            int32_t which[FA_GROUP];
            double bounds[FA_GROUP];
            for (size_t i = 0; i < FA_GROUP; i++) {
                prefix[i] = -INFINITY;
                likely[i] = -INFINITY;
            }
            bound_group(s, r, &s->questions[v], prefix, likely);
            const size_t n = list_rows(s, prefix, r, r + FA_GROUP, least, which);
            if (n > 0) {
                full_bounds(s, which, n, &s->questions[v], bounds);
            }
            for (size_t i = 0; i < n; i++) {
                double *one = &most[(size_t)which[i] - r];
                *one = bounds[i] > *one ? bounds[i] : *one;
            }
            s->work.int8_rows += n;
        }
        for (size_t i = 0; i < FA_GROUP; i++) {
            if (!(most[i] < (double)least) && most[i] != -INFINITY) {
                kept = keep(s, kept, (int32_t)(r + i), most[i], least);
            }
        }
    }
    return kept;
}

/* Step 4: score what is left, the largest bounds first. The first k are found without ordering the others,
 * which the better threshold then thins out. */
static void score_rest(search *s, size_t n)
{
    int32_t *order = s->order;
    size_t kept = 0;
    const size_t first = n < s->k ? n : s->k;
    make_heap(order, first, s->best, -1.0f);
    for (size_t i = first; i < n; i++) {
        if (s->best[order[i]] > s->best[order[0]]) {
            const int32_t other = order[0];
            order[0] = order[i];
            order[i] = other;
            sift(order, first, 0, s->best, -1.0f);
        }
    }
    score_list(s, first);
    const float least = threshold(s);
    for (size_t i = first; i < n; i++) {
        if (!(s->best[order[i]] < least)) {
            order[kept++] = order[i];
        }
    }
    make_heap(order, kept, s->best, 1.0f);
    while (kept > 0 && !(s->best[order[0]] < threshold(s))) {
        const int32_t r = order[0];
        order[0] = order[--kept];
        if (kept > 0) {
            sift(order, kept, 0, s->best, 1.0f);
            ask_for(s, order[0]);
        }
        exact(s, (size_t)r);
    }
}

/* Steps 2 to 4: from bounds to hits. */
static void finish(search *s)
{
    score_seeds(s);
    const float least = threshold(s);
    score_rest(s, s->count == 1 ? sharpen_one(s, least) : sharpen_several(s, least));
}

/* ---- memory ---- */

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
static void lay_out(search *s, arena *a, size_t questions, size_t sets)
{
    const fa_shape shape = s->shape;
    s->questions = take(a, questions * sizeof(question));
    s->energies = take(a, questions * sizeof(double));
    s->promise = take(a, questions * sizeof(double));
    s->weight = take(a, shape.rows * sizeof(float));
    s->order = take(a, shape.rows * sizeof(int32_t));
    s->before = take(a, shape.steps * sizeof(float));
    s->after = take(a, shape.steps * sizeof(float));
    s->best = take(a, sets * shape.rows * sizeof(float));
    s->likely = take(a, sets * shape.rows * sizeof(float));
    s->largest = take(a, sets * 2 * (shape.rows / FA_ROWS_A_BLOCK) * sizeof(float));
    for (size_t v = 0; v < questions; v++) {
        void *codes = take(a, 2 * FA_PREFIX + 2 * shape.columns);
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
    search s;
    s.shape = fa_shape_of(x->rows, x->columns);
    arena a = {NULL, 0};
    lay_out(&s, &a, variants > TILE ? variants : TILE, TILE);
    return a.used + 64;
}

/* A search over the whole index with its memory; 0 if the scratch area is too small. */
static int begin_search(search *s, const fa_index *x, size_t variants, void *scratch, size_t scratch_bytes)
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
    s->energy_lo = SIZE_MAX;
    arena a = {(char *)scratch + (64 - (uintptr_t)scratch % 64) % 64, 0};
    lay_out(s, &a, variants > TILE ? variants : TILE, TILE);
    return 1;
}

/* Sets the question to the query row divided by its norm over the window. Returns the norm; if that is 0 or
 * not finite, the question cannot be asked of the planes. */
static double set_question(const search *s, question *q, const float *original, size_t number)
{
    q->original = original;
    q->number = (int32_t)number;
    q->full_ready = 0;
    q->penalty = 0.0;
    q->prefix.penalty = 0.0f;
    memset(q->unit, 0, s->shape.columns * sizeof *q->unit);
    const double norm = sqrt(s->loops->dot(original + s->lo, original + s->lo, s->hi - s->lo));
    if (norm > 0.0 && isfinite(norm)) {
        const double inverse = 1.0 / norm;
        for (size_t i = s->lo; i < s->hi; i++) {
            q->unit[i] = (float)((double)original[i] * inverse);
        }
        prepare_prefix(s, q);
    }
    return norm;
}

/* ---- cosines over a window: several questions about one spectrum ---- */

/* The largest share of any question's energy before and after each energy step. */
static void shares_outside(search *s)
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
static void weigh_rows(search *s)
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
        if (r >= x->rows || !row_range(s, r, &begin, &end)) {
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
    search s;
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
        question *q = &s.questions[s.count];
        const double norm = set_question(&s, q, queries + v * query_stride, v);
        const double off = penalty == NULL ? 0.0 : penalty[v];
        plain = !isfinite(norm) || !(fabs(off) <= 1e6);
        if (norm > 0.0) { /* one without energy in the window ranks nothing */
            q->penalty = off;
            q->prefix.penalty = fa_down(off);
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
        for (size_t r = 0; r < s.shape.rows; r += CHUNK) {
            bound_rows(&s, r, r + CHUNK < s.shape.rows ? r + CHUNK : s.shape.rows);
        }
        finish(&s);
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
static void search_tile(const search *all, size_t n, const double *norms, fa_hit *hits, size_t *counts,
                        fa_work *work)
{
    search each[TILE];
    for (size_t i = 0; i < n; i++) {
        each[i] = *all;
        each[i].questions = all->questions + i;
        each[i].count = 1;
        each[i].scale = norms[i];
        each[i].best = all->best + i * all->shape.rows;
        each[i].likely = all->likely + i * all->shape.rows;
        each[i].largest = all->largest + i * 2 * (all->shape.rows / FA_ROWS_A_BLOCK);
        each[i].hits = hits + i * all->k;
    }
    for (size_t r = 0; r < all->shape.rows; r += CHUNK) {
        for (size_t i = 0; i < n; i++) {
            if (norms[i] > 0.0 && isfinite(norms[i])) {
                bound_rows(&each[i], r, r + CHUNK < all->shape.rows ? r + CHUNK : all->shape.rows);
            }
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (norms[i] > 0.0 && isfinite(norms[i])) {
            finish(&each[i]);
        } else {
            for (size_t r = 0; r < all->index->rows; r++) {
                exact(&each[i], r);
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
    search s;
    if (!fa_index_fits(x) || !arguments_fit(x, queries, queries_length, count, query_stride, hits) ||
        counts == NULL || counts_length < count || k == 0 || k > hits_capacity / count ||
        !begin_search(&s, x, TILE, scratch, scratch_bytes)) {
        return FA_INVALID;
    }
    s.k = k;
    fa_work done = {0, 0, 0};
    s.weight = x->bounds + 5 * s.shape.rows;
    for (size_t first = 0; first < count; first += TILE) {
        const size_t n = count - first < TILE ? count - first : TILE;
        double norms[TILE];
        for (size_t i = 0; i < n; i++) {
            const float *query = queries + (first + i) * query_stride;
            norms[i] = set_question(&s, &s.questions[i], query, first + i);
        }
        search_tile(&s, n, norms, hits + first * k, counts + first, &done);
    }
    if (work != NULL) {
        *work = done;
    }
    return FA_OK;
}
