/* See staging.h: the sources of a row as runs, and the kernels that copy a run. */
#include "staging.h"

/* Neighbouring positions whose sources are equally spaced, or that are all padding. */
typedef struct {
    ptrdiff_t position, length, source, step; /* source -1: padding */
} run;

/* A row has a run or three, but padding by a tiny image repeated has many; they are taken in turns. */
enum { MOST_RUNS = 16 };

/* How many positions from i on continue as their numbers do, as far as that is seen without looking each
 * of them up: inside the image, or outside where all is padding. */
static ptrdiff_t straight(const dc_positions *p, ptrdiff_t extent, ptrdiff_t i)
{
    const ptrdiff_t left = dc_min(extent, p->period) - i;
    if (left < 1 || p->step < 1)
        return 1;
    const ptrdiff_t at = p->origin + i * p->step;
    if (at >= 0 && at < p->in)
        return dc_min(left, (p->in - 1 - at) / p->step + 1);
    if (p->padding != DC_CONSTANT)
        return 1;
    return at < 0 ? dc_min(left, dc_ceil_div(-at, p->step)) : left;
}

/* The runs from *position on, which moves past them. */
static int next_runs(const dc_positions *p, ptrdiff_t extent, ptrdiff_t *position, run *runs)
{
    int count = 0;
    ptrdiff_t i = *position;
    while (i < extent && count < MOST_RUNS) {
        run r = {i, straight(p, extent, i), dc_position_source(p, i), 0};
        if (r.source >= 0 && r.length > 1)
            r.step = p->step;
        ptrdiff_t previous = r.source < 0 ? -1 : r.source + (r.length - 1) * r.step;
        for (i += r.length; i < extent; i++, r.length++) {
            const ptrdiff_t source = dc_position_source(p, i);
            if (r.source < 0 || source < 0) {
                if (r.source >= 0 || source >= 0)
                    break;
            } else if (r.length == 1) {
                r.step = source - previous;
            } else if (source - previous != r.step) {
                break;
            }
            previous = source;
        }
        runs[count++] = r;
    }
    *position = i;
    return count;
}

/* The element of the source `at` elements from the first one. */
static const char *source_at(const dc_staging *g, ptrdiff_t at)
{
    const ptrdiff_t half = dc_stored_bytes(DC_FLOAT16, DC_FLOAT32);
    return g->source + at * (g->storage == DC_AS_COMPUTED ? g->bytes : half);
}

/* ---- Positions with their channels together ---- */

/* How many rows from y on can be copied as one, positions following each other in the image as they
 * do in the block: whole rows of the image, none of them padded. */
static ptrdiff_t joined_rows(const dc_staging *g, const dc_positions *rows, ptrdiff_t y,
                             ptrdiff_t row_count, const run *r, ptrdiff_t columns)
{
    const ptrdiff_t source = dc_position_source(rows, y);
    ptrdiff_t count = 1;
    if (r->length != columns || r->step != 1 || g->strides[2] != columns * g->strides[3])
        return 1;
    while (y + count < row_count && dc_position_source(rows, y + count) == source + count)
        count++;
    return count;
}

void dc_stage_positions(const dc_staging *g, const dc_positions at[3],
                        const ptrdiff_t extent[3], const ptrdiff_t pitch[3])
{
    run runs[MOST_RUNS];
    for (ptrdiff_t x = 0; x < extent[2];) {
        const ptrdiff_t first = x;
        const int run_count = next_runs(&at[2], extent[2], &x, runs);
        for (ptrdiff_t z = 0; z < extent[0]; z++)
            for (ptrdiff_t y = 0, joined; y < extent[1]; y += joined) {
                char *row = g->out + (z * pitch[0] + y * pitch[1]) * g->bytes;
                const ptrdiff_t sz = dc_position_source(&at[0], z);
                const ptrdiff_t sy = dc_position_source(&at[1], y);
                joined = 1;
                if (sz < 0 || sy < 0) {
                    g->kernels->fill(row + first * pitch[2] * g->bytes, 1, 0,
                                     (x - first) * pitch[2], g->padding_value);
                    continue;
                }
                if (pitch[1] == extent[2] * pitch[2])
                    joined = joined_rows(g, &at[1], y, extent[1], runs, extent[2]);
                const ptrdiff_t from = sz * g->strides[1] + sy * g->strides[2];
                for (const run *r = runs; r < runs + run_count; r++) {
                    char *to = row + r->position * pitch[2] * g->bytes;
                    if (r->source < 0)
                        g->kernels->fill(to, 1, 0, r->length * pitch[2], g->padding_value);
                    else
                        g->kernels->gather(&(dc_gather){
                            .positions = r->length * joined,
                            .channels = g->channels,
                            .source = source_at(g, from + r->source * g->strides[3]),
                            .position_stride = r->step * g->strides[3],
                            .channel_stride = g->strides[0],
                            /* the next channels, or the next row */
                            .ahead =
                                joined > 1 ? g->kernels->lanes * g->strides[0] : g->strides[2],
                            .out = to,
                            .pitch = pitch[2],
                            .gaps = true,
                            .storage = g->storage,
                        });
                }
            }
    }
}

/* ---- Positions with their channels apart ---- */

/* One run of rows and one of columns, of all channels, from the plane that begins `plane` elements into
 * the source, or of padding where there is none. A call of a kernel copies what there is more of, rows
 * or channels. */
static void stage_run(const dc_staging *g, const ptrdiff_t *plane, const run *rows,
                      const run *columns, ptrdiff_t row_pitch, ptrdiff_t channel_pitch,
                      char *out)
{
    /* Channels that are neighbours in memory are transposed. */
    const bool by_row = rows->length > g->channels && (g->strides[0] != 1 || g->channels == 1);
    const ptrdiff_t inner = by_row ? rows->length : g->channels;
    const ptrdiff_t outer = by_row ? g->channels : rows->length;
    const ptrdiff_t inner_pitch = by_row ? row_pitch : channel_pitch;
    const ptrdiff_t outer_pitch = by_row ? channel_pitch : row_pitch;
    const ptrdiff_t row_step = rows->step * g->strides[2];
    const bool padding = !plane || rows->source < 0 || columns->source < 0;
    for (ptrdiff_t i = 0; i < outer; i++) {
        char *to = out + i * outer_pitch * g->bytes;
        if (padding) {
            g->kernels->fill(to, inner, inner_pitch, columns->length, g->padding_value);
            continue;
        }
        const ptrdiff_t at = *plane + rows->source * g->strides[2] +
                             columns->source * g->strides[3] +
                             i * (by_row ? g->strides[0] : row_step);
        /* The columns take the place of the channels: they become neighbours. */
        g->kernels->gather(&(dc_gather){
            .positions = inner,
            .channels = columns->length,
            .source = source_at(g, at),
            .position_stride = by_row ? row_step : g->strides[0],
            .channel_stride = columns->step * g->strides[3],
            .out = to,
            .pitch = inner_pitch,
            .storage = g->storage,
        });
    }
}

void dc_stage_channels(const dc_staging *g, const dc_positions at[3], const ptrdiff_t extent[3],
                       const ptrdiff_t pitch[3], ptrdiff_t channel_pitch)
{
    run rows[MOST_RUNS], columns[MOST_RUNS];
    for (ptrdiff_t x = 0; x < extent[2];) {
        const int column_runs = next_runs(&at[2], extent[2], &x, columns);
        for (ptrdiff_t y = 0; y < extent[1];) {
            const int row_runs = next_runs(&at[1], extent[1], &y, rows);
            for (ptrdiff_t z = 0; z < extent[0]; z++) {
                const ptrdiff_t sz = dc_position_source(&at[0], z);
                const ptrdiff_t plane = sz * g->strides[1];
                for (const run *r = rows; r < rows + row_runs; r++)
                    for (const run *c = columns; c < columns + column_runs; c++)
                        stage_run(g, sz < 0 ? NULL : &plane, r, c, pitch[1], channel_pitch,
                                  g->out +
                                      (z * pitch[0] + r->position * pitch[1] + c->position) *
                                          g->bytes);
            }
        }
    }
}

/* ---- Planes of phases ---- */

/* Some runs of columns of all rows of one plane, at position `sz` of the depth. */
static void stage_plane(const dc_staging *g, const dc_phase_planes *planes, bool filled,
                        ptrdiff_t sz, const dc_positions *rows, const run *columns,
                        int column_runs, char *out)
{
    const ptrdiff_t row_pitch = planes->phases[2].length, plane = sz * g->strides[1];
    run row_runs[MOST_RUNS];
    for (ptrdiff_t y = 0; y < planes->used[1];) {
        const int count = next_runs(rows, planes->used[1], &y, row_runs);
        for (const run *r = row_runs; r < row_runs + count; r++)
            for (const run *c = columns; c < columns + column_runs; c++)
                if (!filled || (sz >= 0 && r->source >= 0 && c->source >= 0))
                    stage_run(g, sz < 0 ? NULL : &plane, r, c, row_pitch, planes->channel_pitch,
                              out + (r->position * row_pitch + c->position) * g->bytes);
    }
}

static dc_positions positions_of(const dc_phase_planes *planes, int axis, ptrdiff_t plane)
{
    return dc_phases_positions(&planes->axis[axis], planes->padding, &planes->phases[axis],
                               plane, planes->first[axis]);
}

/* The columns of one plane of columns, of every row and depth. */
static void stage_columns(const dc_staging *g, const dc_phase_planes *planes, bool filled,
                          ptrdiff_t px)
{
    const dc_phases *ph = planes->phases;
    const dc_positions columns = positions_of(planes, 2, px);
    run runs[MOST_RUNS];
    for (ptrdiff_t x = 0; x < planes->used[2];) {
        const int run_count = next_runs(&columns, planes->used[2], &x, runs);
        for (ptrdiff_t pz = 0; pz < ph[0].planes; pz++) {
            const dc_positions depths = positions_of(planes, 0, pz);
            for (ptrdiff_t z = 0; z < planes->used[0]; z++)
                for (ptrdiff_t py = 0; py < ph[1].planes; py++) {
                    const dc_positions rows = positions_of(planes, 1, py);
                    const ptrdiff_t sz = dc_position_source(&depths, z);
                    const ptrdiff_t plane =
                        ((pz * ph[0].length + z) * ph[1].planes + py) * ph[2].planes + px;
                    stage_plane(g, planes, filled, sz, &rows, runs, run_count,
                                g->out + plane * ph[1].length * ph[2].length * g->bytes);
                }
        }
    }
}

/* Whether no position of the block is padding. */
static bool inside(const dc_phase_planes *planes)
{
    for (int a = 0; a < 3; a++)
        for (ptrdiff_t plane = 0; plane < planes->phases[a].planes; plane++) {
            const dc_positions at = positions_of(planes, a, plane);
            if (dc_position_source(&at, 0) < 0 ||
                dc_position_source(&at, planes->used[a] - 1) < 0)
                return false;
        }
    return true;
}

void dc_stage_planes(const dc_staging *g, const dc_phase_planes *planes)
{
    /* Where rows are short, filling all of a block takes less than two ends of each row. */
    enum { SHORT_ROW = 48 };
    bool filled = planes->padded;
    if (!filled && planes->padding == DC_CONSTANT && planes->used[2] <= SHORT_ROW &&
        !inside(planes)) {
        g->kernels->fill(g->out, 1, 0, g->channels * planes->channel_pitch, g->padding_value);
        filled = true;
    }
    for (ptrdiff_t px = 0; px < planes->phases[2].planes; px++)
        stage_columns(g, planes, filled, px);
}
