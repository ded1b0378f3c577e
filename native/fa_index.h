/* fa_index: what fa_planes.c and fa_search.c share: sizes of the planes, and rounding up. */
#ifndef FA_INDEX_H
#define FA_INDEX_H

#include "fa_search.h"

#ifndef FA_CDEF_SKIP

#include <math.h>
#include <string.h>

/* Sizes that follow from rows and columns; both are limited, so no product here can overflow. */
typedef struct {
    size_t rows;    /* padded */
    size_t columns; /* padded */
    size_t steps;   /* of the energy plane */
} fa_shape;

static inline size_t fa_up_to(size_t n, size_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

static inline fa_shape fa_shape_of(size_t rows, size_t columns)
{
    fa_shape s;
    s.rows = fa_up_to(rows, FA_GROUP);
    s.columns = fa_up_to(columns, 64);
    s.steps = s.columns / FA_ENERGY_STEP + 1;
    return s;
}

/* Rows that keep every size below 2^62 / 64 with FA_MAX_COLUMNS columns. */
static inline int fa_sizes_fit(size_t rows, size_t columns)
{
    return sizeof(size_t) >= 8 ? rows <= INT32_MAX - FA_GROUP && columns <= FA_MAX_COLUMNS
                               : rows <= 65536 && columns <= 4096;
}

/* True if rows of `columns` items, `stride` apart, lie inside `length`; cannot overflow. */
static inline int fa_fits(size_t length, size_t rows, size_t columns, size_t stride)
{
    if (columns > stride) {
        return 0;
    }
    if (rows == 0) {
        return 1;
    }
    if (length < columns) {
        return 0;
    }
    return stride == 0 || (rows - 1) <= (length - columns) / stride;
}

static inline int fa_index_fits(const fa_index *x)
{
    if (x == NULL || !fa_sizes_fit(x->rows, x->columns) || x->columns == 0) {
        return 0;
    }
    const fa_shape s = fa_shape_of(x->rows, x->columns);
    return x->matrix != NULL && x->valid != NULL && x->basis != NULL && x->prefix != NULL &&
           x->full != NULL && x->bias != NULL && x->bounds != NULL && x->energy != NULL &&
           x->numbers != NULL && fa_fits(x->matrix_length, x->rows, x->columns, x->stride) &&
           x->valid_length / 2 >= x->rows && x->basis_length >= FA_PREFIX * s.columns &&
           x->prefix_length >= s.rows * FA_PREFIX && x->full_length >= x->rows * s.columns &&
           x->bias_length >= FA_BIASES * s.rows && x->bounds_length >= FA_BOUNDS * s.rows &&
           x->energy_length >= s.steps * s.rows && x->numbers_length >= FA_NUMBERS;
}

/* Row of fa_index.bounds that holds each number; those of level l are FA_LEVEL_NUMBERS * l further. */
enum {
    FA_SCALE,
    FA_ERROR,
    FA_REST,
    FA_LEVEL_NUMBERS,
    FA_FULL_SCALE = FA_LEVELS * FA_LEVEL_NUMBERS,
    FA_FULL_ERROR,
    FA_NORM
};

/* A float not below x >= 0: rounding to float errs by at most 2^-24 of x or 2^-150. */
static inline float fa_up(double x)
{
    const double above = x * (1.0 + 0x1p-22) + 0x1p-140;
    return above < 3e38 ? (float)above : INFINITY;
}

/* A float not above x. */
static inline float fa_down(double x)
{
    const double below = x - fabs(x) * 0x1p-22 - 0x1p-140;
    return below > -3e38 ? (below < 3e38 ? (float)below : 3e38f) : -INFINITY;
}

/* Codes of `n` numbers with step `step` (0: all codes 0), within -127..127. */
static inline int8_t fa_code(double x, double step)
{
    if (!(step > 0.0)) {
        return 0;
    }
    const double code = floor(x / step + 0.5);
    return (int8_t)(code > 127.0 ? 127.0 : code < -127.0 ? -127.0 : code);
}

#endif /* FA_CDEF_SKIP */

#endif
