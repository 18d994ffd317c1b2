/* See points.h. */
#include "points.h"

enum {
    INFINITE = 2, /* where the point at infinity stands, always */
    STRIDE_2 = 9, /* the fewest points of stride 2: those of 3 taps */
    LONGEST_KERNEL = 7,
};
static const double POINTS_4[] = {0, 1, 0, -1};
static const double POINTS_5[] = {0.375, -0.375, 0, 1.25, -1.25};
static const double POINTS_6[] = {0, 11.0 / 16, 0, -11.0 / 16, 1.5, -1.5};
static const double POINTS_8[] = {0, 1, 0, -1, 2, -2, 0.5, -0.5};

static const double *points_of(int count)
{
    return count == 4 ? POINTS_4 : count == 5 ? POINTS_5 : count == 6 ? POINTS_6 : POINTS_8;
}

/* A row: p^k over the product of p's distances to the other points, for k = 0, 1, ...; one point per tap
 * where there is a single tap. */
static void weight_row(int points, ptrdiff_t taps, int row, double *out, ptrdiff_t out_step)
{
    const double *at = points_of(points);
    if (taps == 1) {
        out[0] = 1;
        return;
    }
    double distances = 1, power = 1;
    for (int other = 0; other < points; other++)
        if (other != row && other != INFINITE)
            distances *= at[row] - at[other];
    for (ptrdiff_t k = 0; k < taps; k++, power *= at[row])
        out[k * out_step] = row == INFINITE ? (k == taps - 1 ? 1 : 0) : power / distances;
}

/* Stride 2: the points of even taps and of odd ones. Those of a smaller tile come first. */
typedef struct {
    int phase, taps, point; /* taps: of the phase, which has three points more */
} phase_point;

static phase_point phase_point_at(ptrdiff_t kernel, int index)
{
    const int taps[2] = {(int)(kernel + 1) / 2, (int)kernel / 2};
    for (int part = 0;; part++) { /* both phases' first points, then their last two */
        const int phase = part % 2, first = part < 2 ? 0 : taps[phase] + 1;
        const int count = part < 2 ? taps[phase] + 1 : 2;
        if (index < count)
            return (phase_point){phase, taps[phase], first + index};
        index -= count;
    }
}

static void phase_rows(ptrdiff_t kernel, int values, double *matrix)
{
    for (int row = 0; row < values; row++, matrix += kernel) {
        const phase_point at = phase_point_at(kernel, row);
        for (ptrdiff_t k = 0; k < kernel; k++)
            matrix[k] = 0;
        weight_row(at.taps + 3, at.taps, at.point, matrix + at.phase, 2);
    }
}

/* Row `i` and, unless NULL, row `j` of a matrix: false if the kernel matrix_pass has no such pair. */
static bool describe(const double *i, const double *j, ptrdiff_t kernel, dc_matrix_rows *r)
{
    int count = 0;
    r->equal = r->opposite = 0;
    for (int opposite = 0; opposite <= (j != NULL); opposite++)
        for (int k = 0; k < kernel; k++) {
            if (i[k] == 0 && (!j || j[k] == 0))
                continue;
            if (j && j[k] != i[k] && j[k] != -i[k])
                return false;
            if ((j && j[k] != i[k]) != opposite)
                continue;
            r->column[count] = k;
            r->factor[count++] = i[k];
            *(opposite ? &r->opposite : &r->equal) += 1;
        }
    return !j || (r->equal == 1 && r->opposite == 0) ||
           (r->opposite > 0 && r->equal - r->opposite >= 0 && r->equal - r->opposite <= 1);
}

static void pair_rows(const double *matrix, int values, ptrdiff_t kernel, dc_matrix *out)
{
    bool done[DC_WINOGRAD_POINTS] = {false};
    out->count = 0;
    for (int i = 0; i < values; i++) {
        if (done[i])
            continue;
        dc_matrix_rows *r = &out->rows[out->count++];
        const double *row = matrix + i * kernel;
        *r = (dc_matrix_rows){.row = {i}, .rows = 1};
        for (int j = i + 1; j < values && r->rows == 1; j++)
            if (!done[j] && describe(row, matrix + j * kernel, kernel, r)) {
                r->row[r->rows++] = j;
                done[j] = true;
            }
        if (r->rows == 1)
            describe(row, NULL, kernel, r);
    }
}

/* A phase of one tap has no points: the products of a tile's gradients are the values. */
static void gradient_phase_row(const phase_point *at, int outputs, double *row)
{
    for (int o = 0; o < outputs; o++)
        row[o] = o == at->point;
    if (at->taps > 1)
        weight_row(at->taps + 3, outputs, at->point, row, 1);
}

/* What a sum at a point adds to the position of a phase that is number `tap` there. */
static double back_factor(const phase_point *at, int tap)
{
    if (at->taps == 1)
        return 1;
    if (at->point == INFINITE)
        return tap == at->taps - 1;
    double power = 1;
    for (; tap > 0; tap--)
        power *= points_of(at->taps + 3)[at->point];
    return power;
}

void dc_winograd_gradient_matrices(const dc_winograd_axis *axis, ptrdiff_t kernel,
                                   dc_matrix *grads, dc_matrix *back)
{
    enum { OUTPUTS = 4 };
    double rows[DC_WINOGRAD_POINTS * OUTPUTS], columns[LONGEST_KERNEL * DC_WINOGRAD_POINTS];
    if (axis->stride == 1) {
        dc_winograd_weight_matrix(axis, axis->outputs, grads);
        return;
    }
    for (int point = 0; point < axis->points; point++) {
        const phase_point at = phase_point_at(kernel, point);
        gradient_phase_row(&at, OUTPUTS, rows + point * OUTPUTS);
        for (int k = 0; k < kernel; k++)
            columns[k * axis->points + point] = k % 2 == at.phase ? back_factor(&at, k / 2) : 0;
    }
    pair_rows(rows, axis->points, OUTPUTS, grads);
    pair_rows(columns, (int)kernel, axis->points, back);
}

void dc_winograd_weight_matrix(const dc_winograd_axis *axis, ptrdiff_t kernel, dc_matrix *out)
{
    double matrix[DC_WINOGRAD_POINTS * LONGEST_KERNEL];
    if (axis->points >= STRIDE_2)
        phase_rows(kernel, axis->values, matrix);
    else
        for (int row = 0; row < axis->values; row++)
            weight_row(axis->points, kernel, row, matrix + row * kernel, 1);
    pair_rows(matrix, axis->values, kernel, out);
}
