/* fa_agree: how well single references explain a measurement, at an axis shift and stretch and with broader
 * lines; and which shift and stretch suit a reference best.
 *
 * Owns the arithmetic. Does not own which references and hypotheses are tried, nor priors on them
 * (`explain`). No allocation (the caller gives `work`, in doubles), no global state, no I/O. Outputs must
 * not overlap inputs. All functions return FA_OK, or FA_INVALID with nothing written: a size, length or
 * parameter out of range. Numbers that are not finite give some result, mostly NaN, and no other harm.
 */
#ifndef FA_AGREE_H
#define FA_AGREE_H

#include <stddef.h>
#include <stdint.h>

#include "fa_match.h"
#include "fa_paths.h"

#define FA_AGREE_TAPS_MAX 256 /* to each side, of a line made broader */
#define FA_AXIS_LAGS 4        /* columns to each side of the first guess */
#define FA_AXIS_SEGMENT 64    /* columns that are taken to have one shift */
#define FA_AXIS_FINE 4        /* shifts tried per column */
#define FA_AXIS_STRETCHES 9   /* stretches tried, the middle one 0 */

typedef struct {
    double weight;    /* of the reference by least squares, >= 0 */
    double agreement; /* cosine of measurement and model, both compressed; 0 if either is nothing */
    double power;     /* sum of squares of the compressed model */
    double fourth;    /* sum of fourth powers of it */
} fa_agreement;

/* out[i] = y at i + shift + stretch * (i - middle), middle = (n - 1) / 2: linear between the points, the
 * first or last value beyond the ends. |shift| and |stretch| * n at most 1e6. */
int fa_moved(const double *values, size_t values_length, size_t n, double shift, double stretch,
             double *out, size_t out_length, int path);

/* out[i] = sum over k of taps[|k|] y[i + k], |k| <= half, with 0 beyond the ends: an even kernel.
 * work        n + 2 * half doubles. */
int fa_even_kernel(const double *values, size_t values_length, size_t n, const double *taps,
                   size_t taps_length, size_t half, double *out, size_t out_length, double *work,
                   size_t work_length, int path);

/* `tried` references, each at a whole shift of its own, against one measurement.
 *
 * A reference is columns [lo, hi) of a row of `rows`, cut to those `valid` has; made broader by the even
 * kernel `taps` over the whole row if half > 0. Column c is compared with column c + shift of the
 * measurement, which must be inside it. The model is the weighted reference, compressed with `threshold`
 * (see fa_compress) as the measurement in `compressed` was.
 *
 * rows        `count` rows of `columns` floats, `stride` apart.
 * valid       columns [first, last) of each row with data, clipped to the row.
 * linear, threshold, compressed   `columns` doubles each.
 * sd          > 0: the model is also multiplied by the quadratic of the column, about 1, that brings it
 *             closest to the measurement, each coefficient with a normal prior of this width; within 1/2
 *             and 2. Column c counts as (2 c - columns + 1) / columns.
 * chosen, shifts   row and shift of each, `tried` of them.
 * work        fa_agree_work(columns, half) doubles. */
int fa_agree(const float *rows, size_t rows_length, size_t count, size_t columns, size_t stride,
             const int32_t *valid, size_t valid_length, const double *linear, const double *threshold,
             const double *compressed, size_t measured_length, size_t lo, size_t hi, double power, double sd,
             const double *taps, size_t taps_length, size_t half, const int32_t *chosen,
             const int32_t *shifts, size_t tried, fa_agreement *out, size_t out_length, double *work,
             size_t work_length, int path);
size_t fa_agree_work(size_t columns, size_t half);

typedef struct {
    double max_shift;       /* columns */
    double shift_penalty;   /* taken off for each column of shift squared */
    double stretch_sd;      /* > 0; three of them to each side are tried */
    double stretch_penalty; /* taken off for each (stretch / sd) squared */
} fa_axis_prior;

typedef struct {
    double shift, stretch;             /* the most probable ones */
    double shift_error, stretch_error; /* standard errors; infinite if there is nothing to compare */
    double witnesses;                  /* effective number of segments that carry the estimate; 0: none */
} fa_axis_found;

/* The shift and stretch that bring two compressed derivatives together best; `align.axis` has the method.
 *
 * measured    moved by `guess` already, n doubles; reference n doubles, 0 where not compared.
 * work        fa_axis_work(n) doubles. */
int fa_axis(const double *measured, size_t measured_length, const double *reference,
            size_t reference_length, size_t n, double guess, const fa_axis_prior *prior,
            fa_axis_found *found, double *work, size_t work_length);
size_t fa_axis_work(size_t n);

#endif
