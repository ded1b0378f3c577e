/* See fa_cascade.h. The exact scores of rows and their ranking, as fa_top_k has them. */
#include "fa_cascade.h"

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
    fa_question *q = &s->questions[v];
    if (begin != q->energy_lo || end != q->energy_hi) {
        q->energy = s->loops->dot(q->original + begin, q->original + begin, end - begin);
        q->energy_lo = begin;
        q->energy_hi = end;
    }
    const double energy = row_energy * q->energy;
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
    fa_hit best = {(int32_t)r, -1, 0.0};
    if (s->count == 1) {
        score_question(s, row, begin, end, row_energy, 0, &best);
    } else {
        /* The most promising question first; those whose bound is then too low cannot matter. */
        size_t first = 0;
        for (size_t v = 0; v < s->count; v++) {
            s->promise[v] = -INFINITY;
            if (!(s->asked[r] >> v % 64 & 1)) {
                continue;
            }
            fa_full_bounds(s, &best.row, 1, &s->questions[v], 2, &s->promise[v]);
            first = s->promise[v] > s->promise[first] ? v : first;
        }
        const double least = (double)fa_threshold(s);
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

/* Up to four products at once, if the rows have the same columns: one sum alone waits for each addition. */
static int exact_products(fa_pursuit *s, const int32_t *rows, size_t n)
{
    const float *x[4];
    double scores[4];
    size_t begin, end, other_begin, other_end;
    if (!fa_row_range(s, (size_t)rows[0], &begin, &end)) {
        return 0;
    }
    for (size_t i = 0; i < 4; i++) {
        const size_t r = (size_t)rows[i < n ? i : 0];
        if (!fa_row_range(s, r, &other_begin, &other_end) || other_begin != begin || other_end != end) {
            return 0;
        }
        x[i] = s->index->matrix + r * s->index->stride + begin;
    }
    s->loops->dot4(s->questions[0].original + begin, x, end - begin, scores);
    for (size_t i = 0; i < n; i++) {
        if (isfinite(scores[i])) {
            insert(s, (fa_hit){rows[i], s->questions[0].number, scores[i]});
        }
    }
    s->work.exact_rows += n;
    return 1;
}

/* As fa_score_row for each of n rows. */
void fa_score_rows(fa_pursuit *s, const int32_t *rows, size_t n)
{
    size_t asked = 0;
    for (size_t i = 0; i < n;) {
        for (; !fa_in_cache(s) && asked < n && asked < i + 8; asked++) {
            fa_ask_for(s, rows[asked]);
        }
        const size_t some = n - i < 4 ? n - i : 4;
        if (!s->cosine && some > 1 && exact_products(s, rows + i, some)) {
            i += some;
        } else {
            fa_score_row(s, (size_t)rows[i++]);
        }
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

/* Asks for a row that will be scored soon: it may have to come from a file or from far memory. */
void fa_ask_for(const fa_pursuit *s, int32_t r)
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
