/* See fa_cascade.h. Who is scored exactly, and when; docs/explanation/exact-search.md numbers the steps. */
#include "fa_cascade.h"

/* ---- rows and their exact ranking, as fa_top_k has it ---- */

static int ranks_before(const fa_hit *a, const fa_hit *b)
{
    return a->score > b->score || (a->score == b->score && a->row < b->row);
}

static void insert(fa_pursuit *s, fa_hit hit)
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
static float threshold(const fa_pursuit *s)
{
    return s->found < s->k ? -INFINITY : fa_down(s->hits[s->k - 1].score / s->scale);
}

static void exact_product(fa_pursuit *s, size_t r, size_t begin, size_t end)
{
    const float *row = s->index->matrix + r * s->index->stride + begin;
    const double score = s->loops->dot(row, s->questions[0].original + begin, end - begin);
    if (isfinite(score)) {
        insert(s, (fa_hit){(int32_t)r, s->questions[0].number, score});
    }
}

/* The ranking of a row for question v, if it has one; equal ones belong to the first question. */
static void score_question(const fa_pursuit *s, const float *row, size_t begin, size_t end, double row_energy,
                           size_t v, fa_hit *best)
{
    const fa_question *q = &s->questions[v];
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

static void exact_cosine(fa_pursuit *s, size_t r, size_t begin, size_t end)
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
            fa_full_bounds(s, &best.row, 1, &s->questions[v], &s->promise[v]);
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

void fa_score_row(fa_pursuit *s, size_t r)
{
    size_t begin, end;
    if (!fa_row_range(s, r, &begin, &end)) {
        return;
    }
    s->work.exact_rows++;
    if (s->cosine) {
        exact_cosine(s, r, begin, end);
    } else {
        exact_product(s, r, begin, end);
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
static void ask_for(const fa_pursuit *s, int32_t r)
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

static void score_list(fa_pursuit *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n) {
            ask_for(s, s->order[i + 1]);
        }
        fa_score_row(s, (size_t)s->order[i]);
    }
}

/* Step 2: score the k rows that most likely rank first, for a threshold. */
static void score_seeds(fa_pursuit *s)
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
static size_t keep(fa_pursuit *s, size_t kept, int32_t r, double bound, float least)
{
    const float rounded = bound < 3e38 ? (float)(bound + fabs(bound) * 0x1p-22) : INFINITY;
    s->best[r] = rounded < s->best[r] ? rounded : s->best[r];
    if (!(s->best[r] < least)) {
        s->order[kept++] = r;
    }
    return kept;
}

/* Rows begin .. end that may still rank go to `list`; -infinity marks those scored and those that never do. */
static size_t list_rows(const fa_pursuit *s, const float *bounds, size_t begin, size_t end, float least,
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

static int may_rank(const fa_pursuit *s, size_t begin, size_t end, float least)
{
    int some = 0;
    for (size_t b = begin / FA_ROWS_A_BLOCK; b < end / FA_ROWS_A_BLOCK; b++) {
        some |= !(s->largest[b] < least);
    }
    return some;
}

/* Step 3: sharpen the bounds that reach the threshold by the full codes; keep the rows that still do. */
static size_t sharpen_one(fa_pursuit *s, float least)
{
    size_t waiting = 0;
    size_t kept = 0;
    for (size_t r = 0; r < s->shape.rows; r += FA_ROWS_A_BLOCK) {
        const size_t end = r + FA_ROWS_A_BLOCK;
        if (may_rank(s, r, end, least)) {
            waiting += list_rows(s, s->best + r, r, end, least, s->order + waiting);
        }
    }
    for (size_t first = 0; first < waiting; first += FA_BATCH) {
        const size_t n = waiting - first < FA_BATCH ? waiting - first : FA_BATCH;
        int32_t which[FA_BATCH];
        double bounds[FA_BATCH];
        memcpy(which, s->order + first, n * sizeof *which);
        fa_full_bounds(s, which, n, &s->questions[0], bounds);
        for (size_t i = 0; i < n; i++) {
            kept = keep(s, kept, which[i], bounds[i], least);
        }
    }
    s->work.int8_rows += waiting;
    return kept;
}

/* The same for several questions: of each group of rows, only those pairs of row and question whose own
 * bound by the prefix reaches the threshold; those bounds were not kept, so they are computed again. */
static size_t sharpen_several(fa_pursuit *s, float least)
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
            fa_bound_group(s, r, &s->questions[v], prefix, likely);
            const size_t n = list_rows(s, prefix, r, r + FA_GROUP, least, which);
            if (n > 0) {
                fa_full_bounds(s, which, n, &s->questions[v], bounds);
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
static void score_rest(fa_pursuit *s, size_t n)
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
        fa_score_row(s, (size_t)r);
    }
}

/* Steps 2 to 4: from bounds to hits. */
void fa_finish(fa_pursuit *s)
{
    score_seeds(s);
    const float least = threshold(s);
    score_rest(s, s->count == 1 ? sharpen_one(s, least) : sharpen_several(s, least));
}

