/* Staging for both families: tables of source indices along each axis, runs of them along the last,
 * and the kernels that copy a run. */
#include "dense/staging.h"

/* Neighbouring positions whose sources are equally spaced, or that are all padding. */
typedef struct {
    ptrdiff_t position, length, source, step; /* source -1: padding */
} run;

/* Of a table of source indices along each axis, and of runs along the last. */
static ptrdiff_t table_length(const dc_schedule *s, int axis)
{
    return s->family == DC_CHANNEL_LANES ? s->span[axis].extent : s->phases[axis].length;
}

size_t dc_stage_table_bytes(const dc_schedule *s)
{
    size_t entries = 0;
    for (int a = 0; a < 3; a++)
        entries += (size_t)table_length(s, a);
    return entries * sizeof(ptrdiff_t) + (size_t)table_length(s, 2) * sizeof(run);
}

static void place_tables(const dc_staging *g, ptrdiff_t *table[3], run **runs)
{
    table[0] = g->tables;
    table[1] = table[0] + table_length(g->schedule, 0);
    table[2] = table[1] + table_length(g->schedule, 1);
    *runs = (run *)(void *)(table[2] + table_length(g->schedule, 2));
}

static ptrdiff_t find_runs(const ptrdiff_t *source, ptrdiff_t extent, run *runs)
{
    ptrdiff_t count = 0;
    for (ptrdiff_t i = 0; i < extent;) {
        run r = {i, 1, source[i], 0};
        ptrdiff_t j = i + 1;
        if (r.source < 0) {
            while (j < extent && source[j] < 0)
                j++;
        } else if (j < extent && source[j] >= 0) {
            r.step = source[j] - source[i];
            while (j < extent && source[j] >= 0 && source[j] - source[j - 1] == r.step)
                j++;
        }
        r.length = j - i;
        runs[count++] = r;
        i = j;
    }
    return count;
}

/* ---- Channel lanes ---- */

void dc_stage_for_channel_lanes(const dc_staging *g)
{
    const dc_problem *p = g->problem;
    const dc_schedule *s = g->schedule;
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element);
    ptrdiff_t *table[3];
    run *runs;
    dc_span used[3]; /* a block at the edge needs less than the nominal extents */
    place_tables(g, table, &runs);
    for (int a = 0; a < 3; a++) {
        used[a] = s->span[a];
        used[a].extent = (g->block->count[a] - 1) * s->span[a].out_step +
                         (p->axis[a].kernel - 1) * s->span[a].tap_step + 1;
        dc_span_sources(&p->axis[a], p->padding, &used[a], g->block->first[a], table[a]);
    }
    const ptrdiff_t run_count = find_runs(table[2], used[2].extent, runs);

    for (ptrdiff_t z = 0; z < used[0].extent; z++)
        for (ptrdiff_t y = 0; y < used[1].extent; y++) {
            char *row = g->out + (z * s->pitch[0] + y * s->pitch[1]) * bytes;
            const ptrdiff_t sz = table[0][z], sy = table[1][y];
            if (sz < 0 || sy < 0) {
                g->kernels->fill(row, 1, 0, used[2].extent * s->pitch[2], p->padding_value);
                continue;
            }
            const char *from = g->source + (sz * g->strides[1] + sy * g->strides[2]) * bytes;
            for (const run *r = runs; r < runs + run_count; r++) {
                char *to = row + r->position * s->pitch[2] * bytes;
                if (r->source < 0)
                    g->kernels->fill(to, 1, 0, r->length * s->pitch[2], p->padding_value);
                else
                    g->kernels->gather(&(dc_gather){
                        .positions = r->length,
                        .channels = g->channels,
                        .source = from + r->source * g->strides[3] * bytes,
                        .position_stride = r->step * g->strides[3],
                        .channel_stride = g->strides[0],
                        .out = to,
                        .pitch = s->pitch[2],
                    });
            }
        }
}

/* ---- Pixel lanes ---- */

/* One plane of rows and columns. */
static void stage_plane(const dc_staging *g, const char *source, const ptrdiff_t *rows,
                        ptrdiff_t row_count, const run *runs, ptrdiff_t run_count, char *out)
{
    const dc_problem *p = g->problem;
    const dc_schedule *s = g->schedule;
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element);
    for (ptrdiff_t y = 0; y < row_count; y++)
        for (const run *r = runs; r < runs + run_count; r++) {
            char *to = out + (y * s->phases[2].length + r->position) * bytes;
            if (rows[y] < 0 || r->source < 0) {
                g->kernels->fill(to, g->channels, s->channel_pitch, r->length,
                                 p->padding_value);
                continue;
            }
            /* Here the columns take the place of the channels: they become neighbours. */
            g->kernels->gather(&(dc_gather){
                .positions = g->channels,
                .channels = r->length,
                .source =
                    source + (rows[y] * g->strides[2] + r->source * g->strides[3]) * bytes,
                .position_stride = g->strides[0],
                .channel_stride = r->step * g->strides[3],
                .out = to,
                .pitch = s->channel_pitch,
            });
        }
}

void dc_stage_for_pixel_lanes(const dc_staging *g)
{
    const dc_problem *p = g->problem;
    const dc_schedule *s = g->schedule;
    const dc_phases *ph = s->phases;
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element);
    const ptrdiff_t plane = ph[1].length * ph[2].length; /* elements */
    ptrdiff_t *table[3], used[3];
    run *runs;
    place_tables(g, table, &runs);
    /* Beyond the last output of a block at the edge only the taps are needed. */
    for (int a = 0; a < 3; a++)
        used[a] = ph[a].length - (s->block[a] - g->block->count[a]);

    for (ptrdiff_t px = 0; px < ph[2].planes; px++) {
        dc_phases_sources(&p->axis[2], p->padding, &ph[2], px, g->block->first[2], used[2],
                          table[2]);
        const ptrdiff_t run_count = find_runs(table[2], used[2], runs);
        for (ptrdiff_t py = 0; py < ph[1].planes; py++) {
            dc_phases_sources(&p->axis[1], p->padding, &ph[1], py, g->block->first[1], used[1],
                              table[1]);
            for (ptrdiff_t pz = 0; pz < ph[0].planes; pz++) {
                dc_phases_sources(&p->axis[0], p->padding, &ph[0], pz, g->block->first[0],
                                  used[0], table[0]);
                for (ptrdiff_t z = 0; z < used[0]; z++) {
                    const ptrdiff_t at =
                        ((pz * ph[0].length + z) * ph[1].planes + py) * ph[2].planes + px;
                    char *out = g->out + at * plane * bytes;
                    if (table[0][z] < 0)
                        g->kernels->fill(out, g->channels, s->channel_pitch, plane,
                                         p->padding_value);
                    else
                        stage_plane(g, g->source + table[0][z] * g->strides[1] * bytes,
                                    table[1], used[1], runs, run_count, out);
                }
            }
        }
    }
}
