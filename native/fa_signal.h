/* fa_signal: the steps between a measured spectrum and what is compared: spikes, baseline, grid,
 * derivative, compression, axis hypotheses.
 *
 * Owns the arithmetic. Does not own the order of steps, their parameters (`preprocess.recipe`) or noise.
 * No allocation (the caller gives `work`, in doubles), no global state, no I/O. Outputs must not overlap
 * inputs. A NaN or an infinity spreads to the outputs that use it and to no others, unless said. All
 * functions return FA_OK, or FA_INVALID with nothing written: a size, length or parameter out of range.
 */
#ifndef FA_SIGNAL_H
#define FA_SIGNAL_H

#include <stddef.h>
#include <stdint.h>

#include "fa_match.h"
#include "fa_paths.h"

/* Asymmetric least-squares baselines (Eilers and Boelens 2005) of `count` spectra of n points, one after
 * the other: minimises sum w (y - z)^2 + smoothness * sum (second difference of z)^2, w = asymmetry where
 * y > z and 1 - asymmetry elsewhere, all 1 at first; `iterations` solutions, fewer where the weights
 * repeat, which changes nothing; the last is corrected once for the rounding of the matrix, so that it holds
 * to about 1e-10 even where smoothness / weight is 1e9. Each spectrum gets the same bits alone and in a batch.
 *
 * smoothness  0 .. 1e12; asymmetry in (0, 1).
 * inverse     count * n doubles, or NULL: the diagonal of (W + smoothness D'D)^-1 at the last weights. If
 *             the noise of point i has the variance s^2 / w_i, s^2 times it is the variance of z_i.
 * work        fa_asls_work(count, n) doubles.
 * n < 5: the smallest value everywhere, inverse 0. A value that is not finite makes its whole spectrum so.
 */
int fa_asls(const double *values, size_t values_length, size_t count, size_t n, double smoothness,
            double asymmetry, size_t iterations, double *baseline, size_t baseline_length,
            double *inverse, size_t inverse_length, double *work, size_t work_length, int path);
size_t fa_asls_work(size_t count, size_t n);

/* Not-a-knot cubic spline through (x, y), x strictly increasing, n >= 2 (de Boor, A Practical Guide to
 * Splines, chapter IV), at `m` positions in any order; outside x the end pieces go on. Fastest where `at`
 * rises. A y that is not finite makes all results so. Three points give a parabola, two a line.
 * work        4 * n doubles. */
int fa_spline(const double *x, size_t x_length, const double *y, size_t y_length, size_t n,
              const double *at, size_t at_length, size_t m, double *out, size_t out_length,
              double *work, size_t work_length);

/* out[i] = sum over k = 1 .. half of taps[k - 1] * (y[i + k] - y[i - k]): an odd kernel, such as the
 * derivative of a Gaussian. Beyond the ends y goes on reflected in both directions, 2 y[0] - y[k].
 * work        n + 2 * half doubles. */
int fa_odd_kernel(const double *values, size_t values_length, size_t n, const double *taps,
                  size_t taps_length, size_t half, double *out, size_t out_length,
                  double *work, size_t work_length, int path);

/* Fits of a polynomial to moving windows (Savitzky and Golay 1964): out[i] = sum over k of
 * matrix[r * window + k] * y[first + k]; the window is centred on i where it can be (then r is its middle
 * row), else the first or last one. window is odd and <= n. */
int fa_savgol(const double *values, size_t values_length, size_t n, const double *matrix,
              size_t matrix_length, size_t window, double *out, size_t out_length, int path);

/* Replaces spikes, features narrower than a band can be; see preprocess.despike for the rule. *spikes gets
 * their number. Points beside one that is NaN are no spikes. n < 15: a copy. work: n doubles. */
int fa_despike(const double *values, size_t values_length, const double *noise, size_t noise_length,
               size_t n, double height_sigma, double sharpness, double *out, size_t out_length,
               size_t *spikes, double *work, size_t work_length);

/* out = sign(y) * max(|y| - threshold, 0)^power; power 1/3 by a cube root that is the same everywhere. */
int fa_compress(const double *values, size_t values_length, const double *threshold,
                size_t threshold_length, size_t n, double power, double *out, size_t out_length, int path);

/* Row v of out, n floats, `stride` apart: y between the points (linear) at i + shifts[v], the first or last
 * value beyond the ends. |shift| <= 1e6. */
int fa_shifted(const double *values, size_t values_length, size_t n, const double *shifts,
               size_t shifts_length, size_t count, float *out, size_t out_length, size_t stride, int path);

#endif
