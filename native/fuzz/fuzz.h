/* fuzz: turns libFuzzer's bytes into sizes, numbers and exact-size blocks. One target a source of the kernel;
 * built by tests/native/test_fuzz.py and `make fuzz`.
 *
 * A number costs one byte, so that a short input fills an array: some bytes are NaN, infinities, zeros,
 * denormals and the largest numbers, the others small multiples of 1/16. Where the bytes end, a generator
 * they seeded goes on. Blocks come from malloc at exactly their size: any step outside is a fault.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A broken promise is a fault like a step outside. */
#define PROMISE(condition)                                                         \
    do {                                                                           \
        if (!(condition)) {                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);        \
            abort();                                                               \
        }                                                                          \
    } while (0)

typedef struct {
    const uint8_t *data;
    size_t left;
    uint32_t seed;
    int special; /* whether NaN and the like may come */
} fuzz_bytes;

static inline fuzz_bytes fuzz_open(const uint8_t *data, size_t size)
{
    fuzz_bytes f = {data, size, 2166136261u, 1};
    for (size_t i = 0; i < size; i++) {
        f.seed = (f.seed ^ data[i]) * 16777619u;
    }
    return f;
}

static inline uint8_t fuzz_byte(fuzz_bytes *f)
{
    if (f->left > 0) {
        f->left--;
        return *f->data++;
    }
    f->seed = f->seed * 1664525u + 1013904223u;
    return (uint8_t)(f->seed >> 24);
}

/* 0 .. most */
static inline size_t fuzz_upto(fuzz_bytes *f, size_t most)
{
    size_t n = fuzz_byte(f);
    if (most > 255) {
        n = n << 8 | fuzz_byte(f);
    }
    return n % (most + 1);
}

/* Mostly 0 .. most; now and then a size that no memory has. */
static inline size_t fuzz_size(fuzz_bytes *f, size_t most)
{
    static const size_t odd[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 4 + 1, (size_t)1 << 32, INT32_MAX,
                                 (size_t)INT32_MAX + 1, (size_t)1 << 62, SIZE_MAX - 15};
    const uint8_t kind = fuzz_byte(f);
    return kind >= 248 ? odd[kind - 248] : fuzz_upto(f, most);
}

static inline double fuzz_number(fuzz_bytes *f)
{
    const double odd[] = {NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, FLT_MIN, FLT_MIN / 8, -FLT_MIN / 1024,
                          1e-45, -0.0, 1e-20, -1e-20, 1e20, 1e15, -3e7, 1e-9};
    const uint8_t b = fuzz_byte(f);
    if (b < 16 && f->special) {
        return odd[b];
    }
    return b < 40 ? 0.0 : ((double)b - 148.0) / 16.0;
}

/* As fuzz_number, with what only a double can hold. */
static inline double fuzz_double(fuzz_bytes *f)
{
    static const double odd[] = {DBL_MAX, -DBL_MAX, DBL_MIN, DBL_MIN / 1024, 5e-324, 1e300, -1e-300, 1e160};
    const uint8_t b = fuzz_byte(f);
    return b < 8 && f->special ? odd[b] : fuzz_number(f);
}

static inline void *fuzz_block(size_t count, size_t size)
{
    void *block = malloc(count * size > 0 ? count * size : 1);
    if (block == NULL) {
        abort();
    }
    return block;
}

static inline float *fuzz_floats(fuzz_bytes *f, size_t count)
{
    float *block = fuzz_block(count, sizeof *block);
    for (size_t i = 0; i < count; i++) {
        block[i] = (float)fuzz_number(f);
    }
    return block;
}

static inline double *fuzz_doubles(fuzz_bytes *f, size_t count)
{
    double *block = fuzz_block(count, sizeof *block);
    for (size_t i = 0; i < count; i++) {
        block[i] = fuzz_double(f);
    }
    return block;
}

/* Integers around 0 .. most, some far outside. */
static inline int32_t *fuzz_integers(fuzz_bytes *f, size_t count, size_t most)
{
    static const int32_t odd[] = {INT32_MIN, INT32_MAX, -1, INT32_MAX - 1};
    int32_t *block = fuzz_block(count, sizeof *block);
    for (size_t i = 0; i < count; i++) {
        const uint8_t b = fuzz_byte(f);
        block[i] = b < 4 ? odd[b] : (int32_t)(b % (most + 2));
    }
    return block;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
