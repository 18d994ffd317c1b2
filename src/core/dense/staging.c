/* Staging for both families: the sources of a row as runs, and the kernels that copy a run. */
#include "dense/staging.h"

/* Neighbouring positions whose sources are equally spaced, or that are all padding. */
typedef struct {
    ptrdiff_t position, length, source, step; /* source -1: padding */
} run;

/* A row has a run or three, but padding by a tiny image repeated has many; they are taken in turns. */
enum { MOST_RUNS = 16 };

/* The runs from *position on, which moves past them. */
static int next_runs(const dc_positions *p, ptrdiff_t extent, ptrdiff_t *position, run *runs)
{
    int count = 0;
    ptrdiff_t i = *position;
    while (i < extent && count < MOST_RUNS) {
        run r = {i, 1, dc_position_source(p, i), 0};
        ptrdiff_t previous = r.source;
        for (i++; i < extent; i++, r.length++) {
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

/* ---- Channel lanes ---- */

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

void dc_stage_for_channel_lanes(const dc_staging *g)
{
    const dc_problem *p = g->problem;
    const dc_schedule *s = g->schedule;
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element);
    dc_positions at[3];
    ptrdiff_t used[3]; /* a block at the edge needs less than the nominal extents */
    for (int a = 0; a < 3; a++) {
        at[a] = dc_span_positions(&p->axis[a], p->padding, &s->span[a], g->block->first[a]);
        used[a] = (g->block->count[a] - 1) * s->span[a].out_step +
                  (p->axis[a].kernel - 1) * s->span[a].tap_step + 1;
    }
    run runs[MOST_RUNS];
    for (ptrdiff_t x = 0; x < used[2];) {
        const ptrdiff_t first = x;
        const int run_count = next_runs(&at[2], used[2], &x, runs);
        for (ptrdiff_t z = 0; z < used[0]; z++)
            for (ptrdiff_t y = 0, joined; y < used[1]; y += joined) {
                char *row = g->out + (z * s->pitch[0] + y * s->pitch[1]) * bytes;
                const ptrdiff_t sz = dc_position_source(&at[0], z);
                const ptrdiff_t sy = dc_position_source(&at[1], y);
                joined = 1;
                if (sz < 0 || sy < 0) {
                    g->kernels->fill(row + first * s->pitch[2] * bytes, 1, 0,
                                     (x - first) * s->pitch[2], p->padding_value);
                    continue;
                }
                if (used[2] == s->span[2].extent)
                    joined = joined_rows(g, &at[1], y, used[1], runs, used[2]);
                const char *from =
                    g->source + (sz * g->strides[1] + sy * g->strides[2]) * bytes;
                for (const run *r = runs; r < runs + run_count; r++) {
                    char *to = row + r->position * s->pitch[2] * bytes;
                    if (r->source < 0)
                        g->kernels->fill(to, 1, 0, r->length * s->pitch[2], p->padding_value);
                    else
                        g->kernels->gather(&(dc_gather){
                            .positions = r->length * joined,
                            .channels = g->channels,
                            .source = from + r->source * g->strides[3] * bytes,
                            .position_stride = r->step * g->strides[3],
                            .channel_stride = g->strides[0],
                            .ahead = joined * g->strides[2], /* the next row */
                            .out = to,
                            .pitch = s->pitch[2],
                        });
                }
            }
    }
}

/* ---- Pixel lanes ---- */

/* Some runs of all rows of one plane. */
static void stage_plane(const dc_staging *g, const char *source, const dc_positions *rows,
                        ptrdiff_t row_count, const run *runs, int run_count, char *out)
{
    const dc_problem *p = g->problem;
    const dc_schedule *s = g->schedule;
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element);
    for (ptrdiff_t y = 0; y < row_count; y++) {
        const ptrdiff_t sy = source ? dc_position_source(rows, y) : -1;
        for (const run *r = runs; r < runs + run_count; r++) {
            char *to = out + (y * s->phases[2].length + r->position) * bytes;
            if (sy < 0 || r->source < 0) {
                g->kernels->fill(to, g->channels, s->channel_pitch, r->length,
                                 p->padding_value);
                continue;
            }
            /* Here the columns take the place of the channels: they become neighbours. */
            g->kernels->gather(&(dc_gather){
                .positions = g->channels,
                .channels = r->length,
                .source = source + (sy * g->strides[2] + r->source * g->strides[3]) * bytes,
                .position_stride = g->strides[0],
                .channel_stride = r->step * g->strides[3],
                .out = to,
                .pitch = s->channel_pitch,
            });
        }
    }
}

/* The columns of one plane of columns, of every row and depth. */
static void stage_columns(const dc_staging *g, ptrdiff_t px, const ptrdiff_t used[3])
{
    const dc_problem *p = g->problem;
    const dc_schedule *s = g->schedule;
    const dc_phases *ph = s->phases;
    const ptrdiff_t *first = g->block->first;
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element);
    const dc_positions columns =
        dc_phases_positions(&p->axis[2], p->padding, &ph[2], px, first[2]);
    run runs[MOST_RUNS];
    for (ptrdiff_t x = 0; x < used[2];) {
        const int run_count = next_runs(&columns, used[2], &x, runs);
        for (ptrdiff_t pz = 0; pz < ph[0].planes; pz++)
            for (ptrdiff_t z = 0; z < used[0]; z++)
                for (ptrdiff_t py = 0; py < ph[1].planes; py++) {
                    const dc_positions depths =
                        dc_phases_positions(&p->axis[0], p->padding, &ph[0], pz, first[0]);
                    const dc_positions rows =
                        dc_phases_positions(&p->axis[1], p->padding, &ph[1], py, first[1]);
                    const ptrdiff_t sz = dc_position_source(&depths, z);
                    const ptrdiff_t plane =
                        ((pz * ph[0].length + z) * ph[1].planes + py) * ph[2].planes + px;
                    stage_plane(g, sz < 0 ? NULL : g->source + sz * g->strides[1] * bytes,
                                &rows, used[1], runs, run_count,
                                g->out + plane * ph[1].length * ph[2].length * bytes);
                }
    }
}

void dc_stage_for_pixel_lanes(const dc_staging *g)
{
    const dc_schedule *s = g->schedule;
    ptrdiff_t used[3];
    /* Beyond the last output of a block at the edge only the taps are needed. */
    for (int a = 0; a < 3; a++)
        used[a] = s->phases[a].length - (s->block[a] - g->block->count[a]);
    for (ptrdiff_t px = 0; px < s->phases[2].planes; px++)
        stage_columns(g, px, used);
}
