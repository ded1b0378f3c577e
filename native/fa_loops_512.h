/* fa_loops_512: the loops over floats for x86-64 with AVX-512 (fa_loops_512.c), for the table of paths there. */
#ifndef FA_LOOPS_512_H
#define FA_LOOPS_512_H

#include "fa_loops.h"

#ifndef FA_CDEF_SKIP

float fa_bound_512(fa_part a, const float *weight, fa_line q, size_t n, float *best, float *likely);
void fa_largest_512(const float *values, size_t blocks, float *out);
void fa_bound2_512(fa_part a, fa_part b, const float *weight, fa_line first, fa_line q, size_t n, float *out);
double fa_dot_512(const float *x, const float *q, size_t n);
void fa_dot4_512(const float *x, const float *const q[4], size_t n, double out[4]);
void fa_encode_512(const float *values, size_t n, int8_t *high, int8_t *low, float *step, double missed[2]);
void fa_rotate_512(const float *basis, const float *q, size_t columns, float *out);

#endif /* FA_CDEF_SKIP */

#endif
