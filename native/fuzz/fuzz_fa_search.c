/* The pruned search over a matrix of any numbers: the answer of the plain scan, bit for bit; over planes that
 * were damaged, and over claims that blocks do not hold: some answer or a refusal, never a step outside.
 * Building planes takes thousands of times as long as a search: most inputs copy one of a few that were built
 * at the start, one in 32 builds its own. */
#include "fuzz.h"

#include "fa_index.h"
#include "fa_search.h"

typedef struct {
    fa_index index;
    fa_shape shape;
} planes;

static planes make_planes(const float *matrix, size_t length, size_t rows, size_t columns, size_t stride,
                          const int32_t *valid)
{
    planes p;
    memset(&p, 0, sizeof p);
    p.shape = fa_shape_of(rows, columns);
    fa_index *x = &p.index;
    x->matrix = matrix;
    x->matrix_length = length;
    x->rows = rows;
    x->columns = columns;
    x->stride = stride;
    x->valid = valid;
    x->valid_length = 2 * rows;
    x->basis_length = FA_PREFIX * p.shape.columns;
    x->prefix_length = p.shape.rows * FA_PREFIX;
    x->full_length = rows * p.shape.columns;
    x->bias_length = FA_BIASES * p.shape.rows;
    x->bounds_length = FA_BOUNDS * p.shape.rows;
    x->energy_length = p.shape.steps * p.shape.rows;
    x->numbers_length = FA_NUMBERS;
    x->basis = fuzz_block(x->basis_length, sizeof *x->basis);
    x->prefix = fuzz_block(x->prefix_length, sizeof *x->prefix);
    x->full = fuzz_block(x->full_length, sizeof *x->full);
    x->bias = fuzz_block(x->bias_length, sizeof *x->bias);
    x->bounds = fuzz_block(x->bounds_length, sizeof *x->bounds);
    x->energy = fuzz_block(x->energy_length, sizeof *x->energy);
    x->numbers = fuzz_block(x->numbers_length, sizeof *x->numbers);
    return p;
}

static void drop_planes(planes p)
{
    free(p.index.basis);
    free(p.index.prefix);
    free(p.index.full);
    free(p.index.bias);
    free(p.index.bounds);
    free(p.index.energy);
    free(p.index.numbers);
}

enum { TEMPLATES = 3 };

typedef struct {
    size_t rows, columns;
    float *matrix;
    int32_t *valid;
    planes built;
} template;

static template templates[TEMPLATES] = {{.rows = 5, .columns = 64}, {.rows = 23, .columns = 37},
                                        {.rows = 90, .columns = 130}};

static void build(const fa_index *x)
{
    const size_t bytes = fa_planes_scratch(x->rows, x->columns);
    PROMISE(bytes > 0);
    void *scratch = fuzz_block(bytes, 1);
    PROMISE(fa_planes_build(x, scratch, bytes - 1) == FA_INVALID);
    PROMISE(fa_planes_build(x, scratch, bytes) == FA_OK);
    free(scratch);
}

static void copy_planes(const fa_index *to, const fa_index *from)
{
    memcpy(to->basis, from->basis, to->basis_length * sizeof *to->basis);
    memcpy(to->prefix, from->prefix, to->prefix_length * sizeof *to->prefix);
    memcpy(to->full, from->full, to->full_length * sizeof *to->full);
    memcpy(to->bias, from->bias, to->bias_length * sizeof *to->bias);
    memcpy(to->bounds, from->bounds, to->bounds_length * sizeof *to->bounds);
    memcpy(to->energy, from->energy, to->energy_length * sizeof *to->energy);
    memcpy(to->numbers, from->numbers, to->numbers_length * sizeof *to->numbers);
}

/* Rows with ties, short ranges, and now and then a NaN, an infinity, a zero or a denormal row. */
static void fill(fuzz_bytes *f, template *t, size_t stride, int repeated)
{
    t->matrix = fuzz_floats(f, (t->rows - 1) * stride + t->columns);
    for (size_t r = 1; repeated && r < t->rows; r += 2) {
        memcpy(t->matrix + r * stride, t->matrix + (r / 4) * 2 * stride, t->columns * sizeof *t->matrix);
    }
    t->valid = fuzz_integers(f, 2 * t->rows, t->columns);
    for (size_t r = 0; r < t->rows; r++) {
        if (fuzz_byte(f) & 3) {
            t->valid[2 * r] = 0;
            t->valid[2 * r + 1] = (int32_t)t->columns;
        }
    }
}

static void prepare(void)
{
    static const uint8_t seed[] = {1, 2, 3};
    for (size_t i = 0; i < TEMPLATES && templates[i].matrix == NULL; i++) {
        template *t = templates + i;
        fuzz_bytes f = fuzz_open(seed, i);
        f.left = 0;
        f.special = 0;
        fill(&f, t, t->columns, 1);
        if (i > 0) { /* any other row as a row of a file may be */
            t->matrix[2 * t->columns] = NAN;
            t->matrix[3 * t->columns + 5] = INFINITY;
            memset(t->matrix + 4 * t->columns, 0, t->columns * sizeof *t->matrix);
        }
        t->built = make_planes(t->matrix, t->rows * t->columns, t->rows, t->columns, t->columns, t->valid);
        build(&t->built.index);
    }
}

static int same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* Some numbers of the planes become any others. */
static void damage(fuzz_bytes *f, const fa_index *x)
{
    for (size_t i = 1 + fuzz_upto(f, 20); i > 0; i--) {
        switch (fuzz_upto(f, 6)) {
        case 0:
            x->basis[fuzz_upto(f, x->basis_length - 1)] = (float)fuzz_double(f);
            break;
        case 1:
            x->prefix[fuzz_upto(f, x->prefix_length - 1)] = (int8_t)fuzz_byte(f);
            break;
        case 2:
            if (x->full_length > 0) {
                x->full[fuzz_upto(f, x->full_length - 1)] = (int8_t)fuzz_byte(f);
            }
            break;
        case 3:
            x->bias[fuzz_upto(f, x->bias_length - 1)] = (int32_t)(fuzz_byte(f) & 1 ? INT32_MAX : INT32_MIN);
            break;
        case 4:
            x->bounds[fuzz_upto(f, x->bounds_length - 1)] = (float)fuzz_number(f);
            break;
        case 5:
            x->energy[fuzz_upto(f, x->energy_length - 1)] = (float)fuzz_number(f);
            break;
        default:
            x->numbers[fuzz_upto(f, x->numbers_length - 1)] = fuzz_double(f);
        }
    }
}

static void sane(const fa_hit *hits, size_t count, size_t k, size_t rows)
{
    PROMISE(count <= k);
    for (size_t i = 0; i < count; i++) {
        PROMISE(hits[i].row >= 0 && (size_t)hits[i].row < rows);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const ways[] = {"", "portable", "avx2", "avx512vnni", "neon", "sdot", "x"};
    fuzz_bytes f = fuzz_open(data, size);
    const char *way = ways[fuzz_upto(&f, sizeof ways / sizeof *ways - 1)];
    if (fa_use_path(way) == FA_OK) {
        PROMISE(way[0] == 0 || strcmp(fa_path_name(), way) == 0);
    }
    prepare();
    const int own = fuzz_upto(&f, 31) == 31;
    const template *from = templates + fuzz_upto(&f, TEMPLATES - 1);
    const size_t rows = own ? 1 + fuzz_upto(&f, 12) : from->rows;
    const size_t columns = own ? 1 + fuzz_upto(&f, 90) : from->columns;
    const size_t variants = 1 + fuzz_upto(&f, 9);
    const size_t stride = columns + (own ? fuzz_upto(&f, 5) : 0), query_stride = columns + fuzz_upto(&f, 5);
    const size_t lo = fuzz_upto(&f, columns), hi = fuzz_upto(&f, columns + 1);
    const size_t k = 1 + fuzz_upto(&f, rows), min_columns = fuzz_upto(&f, 6);
    f.special = (fuzz_byte(&f) & 3) == 0;
    const size_t length = (rows - 1) * stride + columns, told = (variants - 1) * query_stride + columns;
    template t = {.rows = rows, .columns = columns};
    fill(&f, &t, stride, fuzz_byte(&f) & 1);
    float *matrix = t.matrix;
    int32_t *valid = t.valid;
    if (!own) {
        memcpy(matrix, from->matrix, length * sizeof *matrix);
        memcpy(valid, from->valid, 2 * rows * sizeof *valid);
    }
    float *queries = fuzz_floats(&f, told);
    if (fuzz_byte(&f) & 1) { /* a query that fits a row */
        memcpy(queries, matrix, columns * sizeof *queries);
    }
    double *penalties = fuzz_doubles(&f, variants);
    const double *penalty = fuzz_byte(&f) & 1 ? penalties : NULL;
    fa_hit *hits = fuzz_block(k * variants, sizeof *hits), *plain = fuzz_block(k, sizeof *plain);
    size_t *counts = fuzz_block(variants, sizeof *counts);
    size_t count = 99, wanted = 99;
    fa_work work;

    planes p = make_planes(matrix, length, rows, columns, stride, valid);
    if (own) {
        build(&p.index);
    } else {
        copy_planes(&p.index, &from->built.index);
    }
    const size_t bytes = fa_search_scratch(&p.index, variants);
    PROMISE(bytes > 0);
    void *scratch = fuzz_block(bytes, 1);

    const int plain_status =
        fa_top_k(matrix, length, rows, columns, stride, valid, 2 * rows, queries, told, variants, query_stride,
                 penalty, variants, lo, hi, min_columns, k, plain, k, &wanted);
    int status = fa_search(&p.index, queries, told, variants, query_stride, penalty, variants, lo, hi,
                           min_columns, k, hits, k, &count, scratch, bytes, &work);
    PROMISE(status == plain_status && count == wanted);
    for (size_t i = 0; i < count; i++) {
        PROMISE(hits[i].row == plain[i].row && hits[i].variant == plain[i].variant &&
                same(hits[i].score, plain[i].score));
    }
    status = fa_search_products(&p.index, queries, told, variants, query_stride, k, hits, k * variants, counts,
                                variants, scratch, bytes, &work);
    PROMISE(status == FA_OK);
    for (size_t v = 0; v < variants; v++) {
        const fa_hit *h = hits + v * k;
        sane(h, counts[v], k, rows);
        for (size_t i = 0; i < counts[v]; i++) {
            PROMISE((size_t)h[i].variant == v && isfinite(h[i].score));
            PROMISE(i == 0 || h[i].score < h[i - 1].score ||
                    (h[i].score == h[i - 1].score && h[i].row > h[i - 1].row));
        }
    }

    /* One claim or two that do not fit. */
    size_t claim[] = {told, variants, query_stride, variants, lo, hi, min_columns, k, bytes};
    for (size_t i = 1 + fuzz_upto(&f, 1); i > 0; i--) {
        const size_t which = fuzz_upto(&f, sizeof claim / sizeof *claim - 1);
        const int is_length = which == 0 || which == 3 || which == 8;
        claim[which] = is_length ? fuzz_upto(&f, claim[which]) : fuzz_size(&f, 200);
    }
    status = fa_search(&p.index, queries, claim[0], claim[1], claim[2], penalty, claim[3], claim[4], claim[5],
                       claim[6], claim[7], hits, k, &count, scratch, claim[8], NULL);
    PROMISE(status == FA_OK || (status == FA_INVALID && count == 0));
    status = fa_search_products(&p.index, queries, claim[0], claim[1], claim[2], claim[7], hits, k * variants,
                                counts, variants, scratch, claim[8], NULL);
    PROMISE(status == FA_OK || status == FA_INVALID);
    fa_index wrong = p.index;
    size_t *const sizes[] = {&wrong.matrix_length, &wrong.rows, &wrong.columns, &wrong.stride,
                             &wrong.valid_length, &wrong.basis_length, &wrong.prefix_length,
                             &wrong.full_length, &wrong.bias_length, &wrong.bounds_length,
                             &wrong.energy_length, &wrong.numbers_length};
    const size_t which = fuzz_upto(&f, sizeof sizes / sizeof *sizes - 1);
    *sizes[which] = which >= 1 && which <= 3 ? fuzz_size(&f, 200) : fuzz_upto(&f, *sizes[which]);
    (void)fa_planes_scratch(wrong.rows, wrong.columns);
    const size_t claimed = fa_search_scratch(&wrong, variants);
    status = fa_search(&wrong, queries, told, variants, query_stride, penalty, variants, lo, hi, min_columns, k,
                       hits, k, &count, scratch, bytes, NULL);
    PROMISE(status == FA_OK || (status == FA_INVALID && count == 0));
    PROMISE(claimed > 0 || status == FA_INVALID);

    /* Planes as a damaged file has them. */
    damage(&f, &p.index);
    count = 0;
    status = fa_search(&p.index, queries, told, variants, query_stride, penalty, variants, lo, hi, min_columns,
                       k, hits, k, &count, scratch, bytes, NULL);
    PROMISE(status == plain_status);
    sane(hits, count, k, rows);
    status = fa_search_products(&p.index, queries, told, variants, query_stride, k, hits, k * variants, counts,
                                variants, scratch, bytes, NULL);
    PROMISE(status == FA_OK);
    for (size_t v = 0; v < variants; v++) {
        sane(hits + v * k, counts[v], k, rows);
    }

    fa_use_path("");
    drop_planes(p);
    free(scratch);
    free(matrix);
    free(queries);
    free(valid);
    free(penalties);
    free(hits);
    free(plain);
    free(counts);
    return 0;
}
