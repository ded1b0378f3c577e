/* fa_subsets: the inside of the search for sets of references: what fa_subsets.c (one set, solved; lists
 * of the best), fa_pairs.c, fa_triples.c and fa_sparse.c (larger sets, entry points) share.
 *
 * The scans for pairs and triples only filter, with a margin above their rounding; every set that passes
 * is solved again by fa_offer, always in the order of its ids, so that the answer depends on no scan.
 */
#ifndef FA_SUBSETS_H
#define FA_SUBSETS_H

#include "fa_fits.h"

#ifndef FA_CDEF_SKIP

enum { FA_SCAN = 32 }; /* columns that a scan looks at together */
static const double FA_DETERMINANT_MIN = 1e-6;
static const double FA_MARGIN = 1e-8; /* of a filter, relative; rounding / FA_DETERMINANT_MIN is below 1e-9 */

typedef struct {
    const double *gram;
    const int32_t *groups;
    size_t n;
    const double *scale; /* 1 / norm of each column; 0: in no set */
    const double *c;     /* along, of unit columns; NaN: in no set */
    const double *along;
} fa_problem;

/* The best sets so far, best first. */
typedef struct {
    fa_subset *items;
    size_t keep;
    size_t count;
} fa_best;

/* Parts of the caller's workspace, each fa_padded(n) doubles; the first two are the problem's own. */
enum {
    FA_AT_BOUND = 2,
    FA_AT_SORTED = 3,
    FA_AT_BESIDE = 4, /* four parts */
    FA_AT_EXTENSION = 8, /* 2 + FA_SUBSET_MAX parts */
    FA_AT_ORDER = FA_AT_EXTENSION + 2 + FA_SUBSET_MAX,
    FA_AT_MATRIX = FA_AT_ORDER + 1 /* n + 1 parts */
};

static inline double fa_entry(const fa_problem *p, size_t i, size_t j)
{
    return i < j ? p->gram[i * p->n + j] : p->gram[j * p->n + i];
}

static inline int fa_same_group(const fa_problem *p, size_t i, size_t j)
{
    return p->groups != NULL && p->groups[i] == p->groups[j];
}

/* What a set must explain to be among the best. */
static inline double fa_least_to_count(const fa_best *list)
{
    return list->count < list->keep ? 0.0 : list->items[list->keep - 1].explained;
}

/* fa_subsets.c */
size_t fa_padded(size_t n);
int fa_usable(const double *gram, size_t gram_length, const double *along, size_t along_length,
              const int32_t *groups, size_t groups_length, size_t n);
fa_problem fa_set_up(const double *gram, const double *along, const int32_t *groups, size_t n, double *work);
int fa_ids_order(const fa_subset *a, const fa_subset *b);
int fa_factor(const fa_problem *p, const int32_t *ids, size_t m, double l[][FA_SUBSET_MAX], double *z);
void fa_offer(const fa_problem *p, const int32_t *ids, size_t m, fa_best *list);

/* fa_sparse.c: offers `ids` with each other reference */
void fa_extend(const fa_problem *p, const int32_t *ids, size_t m, fa_best *list, double *work, int path);

/* fa_pairs.c */
void fa_column_bounds(const fa_problem *p, size_t size, double *bound, int path);
void fa_find_pairs(const fa_problem *p, fa_best *list, double *work, int path);

/* fa_triples.c; `seed`: a pair to start from, or NULL */
void fa_find_triples(const fa_problem *p, const fa_subset *seed, fa_best *list, double *work, int path);

#endif /* FA_CDEF_SKIP */

#endif
