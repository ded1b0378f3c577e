/* See fa_cascade.h. Who is scored exactly, and when; docs/explanation/exact-search.md numbers the steps. */
#include "fa_cascade.h"

enum {
    SEEDS = 3, /* times k rows are looked at for the first threshold */
    FEW = 32 /* rows in cache whose exact scores take no longer than making the query's codes */
};

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

/* The n rows of `order` with the largest keys come first. */
static void largest_first(int32_t *order, size_t all, size_t n, const float *keys)
{
    make_heap(order, n, keys, -1.0f);
    for (size_t i = n; i < all; i++) {
        if (keys[order[i]] > keys[order[0]]) {
            const int32_t other = order[0];
            order[0] = order[i];
            order[i] = other;
            sift(order, n, 0, keys, -1.0f);
        }
    }
}

/* The `wanted` rows with the largest estimates go to `order`; returns how many there are. */
static size_t list_likely(fa_pursuit *s, size_t wanted)
{
    const float *largest = s->largest + s->shape.rows / FA_ROWS_A_BLOCK;
    int32_t *order = s->order;
    size_t n = 0;
    for (size_t r = 0; r < s->index->rows; r++) {
        if (n == wanted && r % FA_ROWS_A_BLOCK == 0 && !(largest[r / FA_ROWS_A_BLOCK] > s->likely[order[0]])) {
            r += FA_ROWS_A_BLOCK - 1;
        } else if (s->best[r] == -INFINITY) {
            continue; /* never ranks */
        } else if (n < wanted) {
            order[n++] = (int32_t)r;
            if (n == wanted) {
                make_heap(order, n, s->likely, -1.0f);
            }
        } else if (s->likely[r] > s->likely[order[0]]) {
            order[0] = (int32_t)r;
            sift(order, n, 0, s->likely, -1.0f);
        }
    }
    return n;
}

/* The largest full bound of any question becomes the estimate of n rows. */
static void estimate_fully(fa_pursuit *s, const int32_t *rows, size_t n)
{
    for (size_t first = 0; first < n; first += FA_BATCH) {
        const size_t some = n - first < FA_BATCH ? n - first : FA_BATCH;
        for (size_t i = first; i < first + some; i++) {
            s->likely[rows[i]] = -INFINITY;
        }
        for (size_t v = 0; v < s->count; v++) {
            double bounds[FA_BATCH];
            fa_full_bounds(s, rows + first, some, &s->questions[v], 1, bounds);
            for (size_t i = 0; i < some; i++) {
                float *likely = &s->likely[rows[first + i]];
                *likely = bounds[i] > (double)*likely ? (bounds[i] < 3e38 ? (float)bounds[i] : INFINITY) : *likely;
            }
        }
    }
}

/* Step 2: score the k rows that most likely rank first, for a threshold. */
static void score_seeds(fa_pursuit *s)
{
    const size_t wanted = s->count > 1 && s->index->rows / SEEDS > s->k ? SEEDS * s->k : s->k;
    size_t n = list_likely(s, wanted);
    if (n > s->k) {
        estimate_fully(s, s->order, n);
        largest_first(s->order, n, s->k, s->likely);
        n = s->k;
    }
    for (size_t i = 0; i < n; i++) {
        s->asked[s->order[i]] = UINT64_MAX;
    }
    fa_score_rows(s, s->order, n);
    for (size_t i = 0; i < n; i++) {
        s->best[s->order[i]] = -INFINITY;
    }
}

/* Scores the k rows of `order` with the largest bounds and drops what then cannot rank; returns what is left. */
static size_t thin_out(fa_pursuit *s, size_t n)
{
    const size_t first = n < s->k ? n : s->k;
    size_t kept = 0;
    largest_first(s->order, n, first, s->best);
    fa_score_rows(s, s->order, first);
    for (size_t i = 0; i < first; i++) {
        s->best[s->order[i]] = -INFINITY;
    }
    const float least = fa_threshold(s);
    for (size_t i = first; i < n; i++) {
        if (!(s->best[s->order[i]] < least)) {
            s->order[kept++] = s->order[i];
        }
    }
    return kept;
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
        list[n] = (int32_t)r; /* without a branch that nobody could foresee */
        n += (size_t)(!(bounds[r - begin] < least) & (s->best[r] != -INFINITY));
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
    if (waiting <= FEW && fa_in_cache(s)) {
        return waiting;
    }
    for (size_t first = 0; first < waiting; first += FA_BATCH) {
        const size_t n = waiting - first < FA_BATCH ? waiting - first : FA_BATCH;
        int32_t which[FA_BATCH];
        double bounds[FA_BATCH];
        memcpy(which, s->order + first, n * sizeof *which);
        fa_full_bounds(s, which, n, &s->questions[0], 2, bounds);
        for (size_t i = 0; i < n; i++) {
            kept = keep(s, kept, which[i], bounds[i], least);
        }
    }
    s->work.int8_rows += waiting;
    return kept;
}

/* The same for several questions: of each group of rows, only those pairs of row and question whose own
 * bound by both levels reaches the threshold; those of the first level were not kept, so they are computed
 * again. What is found meanwhile raises the threshold. */
static size_t sharpen_several(fa_pursuit *s, float least)
{
    size_t kept = 0;
    size_t enough = SEEDS * s->k;
    for (size_t r = 0; r < s->shape.rows; r += FA_GROUP) {
        if (!may_rank(s, r, r + FA_GROUP, least)) {
            continue;
        }
        double most[FA_GROUP];
        for (size_t i = 0; i < FA_GROUP; i++) {
            most[i] = -INFINITY;
            s->asked[r + i] = 0;
        }
        for (size_t v = 0; v < s->count; v++) {
            float prefix[FA_GROUP];
            int32_t which[FA_GROUP];
            double bounds[FA_GROUP];
            if (s->top[r / FA_GROUP * s->count + v] < least ||
                !fa_bound_group(s, r, &s->questions[v], least, prefix)) {
                continue;
            }
            const size_t n = list_rows(s, prefix, r, r + FA_GROUP, least, which);
            if (n > 0) {
                fa_full_bounds(s, which, n, &s->questions[v], 1, bounds);
            }
            for (size_t i = 0; i < n; i++) {
                double *one = &most[(size_t)which[i] - r];
                *one = bounds[i] > *one ? bounds[i] : *one;
                if (!(bounds[i] < (double)least)) {
                    s->asked[which[i]] |= (uint64_t)1 << v % 64;
                }
            }
            s->work.int8_rows += n;
        }
        for (size_t i = 0; i < FA_GROUP; i++) {
            if (!(most[i] < (double)least) && most[i] != -INFINITY) {
                kept = keep(s, kept, (int32_t)(r + i), most[i], least);
            }
        }
        if (kept >= enough) {
            kept = thin_out(s, kept);
            enough = kept + SEEDS * s->k;
            least = fa_threshold(s);
        }
    }
    return kept;
}

/* Step 4: score what is left, the largest bounds first. The first k are found without ordering the others,
 * which the better threshold then thins out. */
static void score_rest(fa_pursuit *s, size_t n)
{
    int32_t *order = s->order;
    size_t kept = thin_out(s, n);
    make_heap(order, kept, s->best, 1.0f);
    while (kept > 0 && !(s->best[order[0]] < fa_threshold(s))) {
        int32_t next[4];
        size_t n = 0;
        const size_t together = fa_in_cache(s) ? 4 : 1;
        while (n < together && kept > 0 && !(s->best[order[0]] < fa_threshold(s))) {
            next[n++] = order[0];
            order[0] = order[--kept];
            if (kept > 0) {
                sift(order, kept, 0, s->best, 1.0f);
            }
        }
        if (together == 1 && kept > 0) {
            fa_ask_for(s, order[0]);
        }
        fa_score_rows(s, next, n);
    }
}

/* Steps 2 to 4: from bounds to hits. */
void fa_finish(fa_pursuit *s)
{
    score_seeds(s);
    const float least = fa_threshold(s);
    score_rest(s, s->count == 1 ? sharpen_one(s, least) : sharpen_several(s, least));
}
