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

/* Stride 2: even taps, odd taps; the points of a smaller tile come first. */
static void phase_rows(ptrdiff_t kernel, int values, double *matrix)
{
    const int taps[2] = {(int)(kernel + 1) / 2, (int)kernel / 2};
    int done[2] = {0, 0};
    for (int row = 0; row < values;)
        for (int phase = 0; phase < 2; phase++) {
            const int end = done[phase] ? taps[phase] + 3 : taps[phase] + 1;
            for (; done[phase] < end; done[phase]++, row++) {
                for (ptrdiff_t k = 0; k < kernel; k++)
                    matrix[row * kernel + k] = 0;
                weight_row(taps[phase] + 3, taps[phase], done[phase],
                           matrix + row * kernel + phase, 2);
            }
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
