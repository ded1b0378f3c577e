/* See fa_search.h: builds the planes. docs/explanation/exact-search.md derives what is stored.
 *
 * The basis is the span of the strongest FA_PREFIX directions of a sample of the rows, found by subspace
 * iteration from fixed starting rows. The bounds hold for any basis: how good it is decides only how much
 * is pruned, so the iteration runs in float for a fixed number of rounds.
 */
#include "fa_index.h"
#include "fa_loops.h"

enum { SAMPLE = 4096, ROUNDS = 6, TOGETHER = 8 };

typedef struct {
    double *basis;  /* FA_PREFIX x columns */
    float *sum;     /* FA_PREFIX x columns */
    float *samples; /* TOGETHER x columns */
} work;

size_t fa_planes_scratch(size_t rows, size_t columns)
{
    if (!fa_sizes_fit(rows, columns) || columns == 0) {
        return 0;
    }
    const fa_shape s = fa_shape_of(rows, columns);
    return s.columns * (FA_PREFIX * (sizeof(double) + sizeof(float)) + TOGETHER * sizeof(float)) + 64;
}

static int has_columns(const fa_index *x, size_t r)
{
    const int32_t first = x->valid[2 * r];
    return first >= 0 && x->valid[2 * r + 1] > first && (size_t)first < x->columns;
}

/* Row r divided by its norm, 0 outside its valid columns; returns the norm, 0 if it has none, NaN or
 * infinity if it holds such. Divided by the norm in double, so that no norm is too large or small. */
static double unit_row(const fa_index *x, size_t r, size_t padded, float *out)
{
    memset(out, 0, padded * sizeof *out);
    if (!has_columns(x, r)) {
        return 0.0;
    }
    const size_t begin = (size_t)x->valid[2 * r];
    const size_t last = (size_t)x->valid[2 * r + 1];
    const size_t end = last < x->columns ? last : x->columns;
    const float *row = x->matrix + r * x->stride;
    const double norm = sqrt(fa_dot_body(row + begin, row + begin, end - begin));
    if (!(norm > 0.0) || !isfinite(norm)) {
        return norm;
    }
    for (size_t i = begin; i < end; i++) {
        out[i] = (float)((double)row[i] / norm);
    }
    return norm;
}

static double dot_double(const double *a, const double *b, size_t n)
{
    double lanes[FA_LANES] = {0.0};
    for (size_t i = 0; i < n; i += FA_LANES) {
        for (size_t lane = 0; lane < FA_LANES; lane++) {
            lanes[lane] += a[i + lane] * b[i + lane];
        }
    }
    return fa_sum_lanes(lanes);
}

/* Rows made orthonormal by Gram and Schmidt, `passes` times over; a row that the others span becomes 0. */
static void orthonormal(double *basis, size_t columns, int passes)
{
    for (size_t j = 0; j < FA_PREFIX; j++) {
        double *v = basis + j * columns;
        const double before = sqrt(dot_double(v, v, columns));
        for (int pass = 0; pass < passes; pass++) {
            for (size_t i = 0; i < j; i++) {
                const double *u = basis + i * columns;
                const double share = dot_double(u, v, columns);
                for (size_t c = 0; c < columns; c++) {
                    v[c] -= share * u[c];
                }
            }
        }
        const double norm = sqrt(dot_double(v, v, columns));
        const double factor = norm > 1e-5 * before && norm > 1e-30 ? 1.0 / norm : 0.0;
        for (size_t c = 0; c < columns; c++) {
            v[c] *= factor;
        }
    }
}

static void to_float(const fa_index *x, const work *w, size_t columns)
{
    for (size_t i = 0; i < FA_PREFIX * columns; i++) {
        x->basis[i] = (float)w->basis[i];
    }
}

static void add_samples(const fa_index *x, const work *w, size_t columns, size_t rows)
{
    for (size_t j = 0; j < FA_PREFIX; j++) {
        const float *v = x->basis + j * columns;
        float *sum = w->sum + j * columns;
        for (size_t r = 0; r < rows; r++) {
            const float *row = w->samples + r * columns;
            const float share = (float)fa_current_loops()->dot(v, row, columns);
            for (size_t c = 0; c < columns; c++) {
                sum[c] += share * row[c];
            }
        }
    }
}

/* One round: basis := orthonormal(basis times the second moment of the sample). */
static void iterate(const fa_index *x, const work *w, size_t columns, int passes)
{
    const size_t every = x->rows / SAMPLE + 1;
    memset(w->sum, 0, FA_PREFIX * columns * sizeof *w->sum);
    size_t waiting = 0;
    for (size_t r = 0; r < x->rows; r += every) {
        const double norm = unit_row(x, r, columns, w->samples + waiting * columns);
        waiting += norm > 0.0 && isfinite(norm) ? 1 : 0;
        if (waiting == TOGETHER) {
            add_samples(x, w, columns, waiting);
            waiting = 0;
        }
    }
    add_samples(x, w, columns, waiting);
    for (size_t i = 0; i < FA_PREFIX * columns; i++) {
        w->basis[i] = (double)w->sum[i];
    }
    orthonormal(w->basis, columns, passes);
    to_float(x, w, columns);
}

static void find_basis(const fa_index *x, const work *w, size_t columns)
{
    uint32_t seed = 1;
    for (size_t i = 0; i < FA_PREFIX * columns; i++) {
        seed = seed * 1664525u + 1013904223u;
        w->basis[i] = (double)(seed >> 8) / 8388608.0 - 1.0;
    }
    orthonormal(w->basis, columns, 1);
    to_float(x, w, columns);
    for (int round = 0; round < ROUNDS; round++) {
        iterate(x, w, columns, round + 1 == ROUNDS ? 2 : 1); /* the last one should be exact */
    }
    double defect = 0.0; /* the Frobenius norm of V V' - 1 over the rows that are not 0 */
    for (size_t i = 0; i < FA_PREFIX; i++) {
        const float *u = x->basis + i * columns;
        for (size_t j = 0; j < FA_PREFIX; j++) {
            const double g = fa_dot_body(u, x->basis + j * columns, columns);
            const double off = i != j ? g : g > 0.5 ? g - 1.0 : g;
            defect += off * off;
        }
    }
    x->numbers[0] = sqrt(defect) * (1.0 + 0x1p-30) + 0x1p-36;
    x->numbers[1] = 0x1p-22; /* of projecting a row: see the proof */
    x->numbers[2] = 0.0;
    x->numbers[3] = 0.0;
}

/* Step and error of the codes of `n` numbers; writes the code of number i to codes[i]. */
static void encode(const float *values, size_t n, double largest, int8_t *codes, float *step, double *error,
                   int32_t *sum)
{
    const float s = (float)(largest / 127.0);
    double square = 0.0;
    *sum = 0;
    for (size_t i = 0; i < n; i++) {
        codes[i] = fa_code((double)values[i], (double)s);
        const double off = (double)values[i] - (double)s * codes[i];
        square += off * off;
        *sum += codes[i];
    }
    *step = s;
    *error = sqrt(square) * (1.0 + 0x1p-30);
}

static double largest_of(const float *values, size_t n)
{
    double largest = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double size = fabs((double)values[i]);
        largest = size > largest ? size : largest;
    }
    return largest;
}

static void write_row(const fa_index *x, size_t r, double norm, const float *unit, fa_shape s)
{
    float *bounds = x->bounds + r;
    int8_t prefix[FA_LEVEL];
    float z[FA_PREFIX];
    for (size_t j = 0; j < FA_PREFIX; j += 4) {
        double four[4];
        const float *vectors[4];
        for (size_t i = 0; i < 4; i++) {
            vectors[i] = x->basis + (j + i) * s.columns;
        }
        fa_current_loops()->dot4(unit, vectors, s.columns, four);
        for (size_t i = 0; i < 4; i++) {
            z[j + i] = (float)four[i];
        }
    }
    double error = 0.0;
    double square = 0.0;
    int32_t sum = 0;
    for (size_t level = 0; level < FA_LEVELS; level++) {
        const float *part = z + level * FA_LEVEL;
        float *numbers = bounds + level * FA_LEVEL_NUMBERS * s.rows;
        int8_t *codes = x->prefix + level * FA_LEVEL * s.rows + r / 16 * 16 * FA_LEVEL;
        encode(part, FA_LEVEL, largest_of(part, FA_LEVEL), prefix, &numbers[FA_SCALE * s.rows], &error, &sum);
        for (size_t j = 0; j < FA_LEVEL; j++) {
            codes[j / 4 * 64 + r % 16 * 4 + j % 4] = prefix[j];
            square += (double)part[j] * (double)part[j];
        }
        x->bias[level * s.rows + r] = -128 * sum;
        numbers[FA_ERROR * s.rows] = fa_up(error);
        const double rest = 1.0 - square * (1.0 - x->numbers[0]) + 4.0 * x->numbers[1];
        numbers[FA_REST * s.rows] = fa_up(sqrt(rest > 0.0 ? rest : 0.0));
    }
    encode(unit, s.columns, largest_of(unit, s.columns), x->full + r * s.columns, &bounds[FA_FULL_SCALE * s.rows],
           &error, &sum);
    x->bias[FA_LEVELS * s.rows + r] = -128 * sum;
    bounds[FA_FULL_ERROR * s.rows] = fa_up(error);
    bounds[FA_NORM * s.rows] = fmaxf(fa_up(norm * (1.0 + 0x1p-20)), 0x1p-60f);
    double energy = 0.0;
    for (size_t step = 0; step < s.steps; step++) {
        x->energy[step * s.rows + r] = (float)energy;
        if (step + 1 < s.steps) {
            const float *part = unit + step * FA_ENERGY_STEP;
            energy += fa_dot_body(part, part, FA_ENERGY_STEP);
        }
    }
}

int fa_planes_build(const fa_index *x, void *scratch, size_t scratch_bytes)
{
    if (!fa_index_fits(x) || scratch == NULL || scratch_bytes < fa_planes_scratch(x->rows, x->columns)) {
        return FA_INVALID;
    }
    const fa_shape s = fa_shape_of(x->rows, x->columns);
    work w;
    w.basis = (double *)(((uintptr_t)scratch + 63) / 64 * 64);
    w.sum = (float *)(w.basis + FA_PREFIX * s.columns);
    w.samples = w.sum + FA_PREFIX * s.columns;
    memset(x->prefix, 0, s.rows * FA_PREFIX);
    memset(x->full, 0, x->rows * s.columns);
    memset(x->bias, 0, FA_BIASES * s.rows * sizeof *x->bias);
    memset(x->bounds, 0, FA_BOUNDS * s.rows * sizeof *x->bounds);
    memset(x->energy, 0, s.steps * s.rows * sizeof *x->energy);
    find_basis(x, &w, s.columns);
    for (size_t r = x->rows; r < s.rows; r++) {
        x->bounds[FA_NORM * s.rows + r] = -INFINITY;
    }
    for (size_t r = 0; r < x->rows; r++) {
        const double norm = unit_row(x, r, s.columns, w.samples);
        if (norm > 0.0 && isfinite(norm)) {
            write_row(x, r, norm, w.samples, s);
        } else { /* never pruned: the exact scan knows what to do with it */
            x->bounds[FA_ERROR * s.rows + r] = 1e30f;
            x->bounds[(FA_LEVEL_NUMBERS + FA_ERROR) * s.rows + r] = 1e30f;
            x->bounds[FA_FULL_ERROR * s.rows + r] = 1e30f;
            x->bounds[FA_NORM * s.rows + r] = has_columns(x, r) ? INFINITY : -INFINITY;
        }
    }
    return FA_OK;
}
