/* vectors: numbers that are the same on every machine, and printing answers so that no bit is lost. */
#ifndef VECTORS_H
#define VECTORS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    uint64_t state;
} vectors;

/* -1 .. 1 in steps of 2^-23: exact in float */
static inline double vectors_number(vectors *v)
{
    v->state = v->state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int32_t)(v->state >> 40) / 8388608.0 - 1.0;
}

static inline void *vectors_block(size_t count, size_t size)
{
    void *block = calloc(count > 0 ? count : 1, size);
    if (block == NULL) {
        abort();
    }
    return block;
}

/* A row like a spectrum: a few bands on a slope, with noise; only exact and correctly rounded operations. */
static inline void vectors_spectrum(vectors *v, float *row, size_t columns)
{
    for (size_t i = 0; i < columns; i++) {
        row[i] = (float)(0.05 * vectors_number(v) + 0.5 * (double)i / (double)columns);
    }
    for (int band = 0; band < 12; band++) {
        const double centre = 0.5 * (vectors_number(v) + 1.0) * (double)columns;
        const double width = 2.0 + 3.0 * (vectors_number(v) + 1.0);
        const double height = vectors_number(v) + 1.0;
        for (size_t i = 0; i < columns; i++) {
            const double d = ((double)i - centre) / width;
            row[i] += (float)(height / (1.0 + d * d));
        }
    }
}

#endif
