#include "dense/staging.h"

#include <string.h>

/* Neighbouring positions of a row whose sources are equally spaced, or that are all padding. */
typedef struct {
    ptrdiff_t position, length, source, step; /* source -1: padding */
} run;

size_t dc_stage_table_bytes(const dc_schedule *s)
{
    size_t entries = (size_t)(s->span[0].extent + s->span[1].extent + s->span[2].extent);
    return entries * sizeof(ptrdiff_t) + (size_t)s->span[2].extent * sizeof(run);
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

void dc_stage_block(const dc_problem *p, const dc_schedule *s, const dc_kernels *kernels,
                    const dc_block *block, const char *source, const ptrdiff_t strides[4],
                    ptrdiff_t channels, void *tables, char *out)
{
    const ptrdiff_t bytes = (ptrdiff_t)dc_element_bytes(p->element);
    ptrdiff_t *table[3];
    dc_span used[3]; /* a block at the edge needs less than the nominal extents */
    table[0] = tables;
    for (int a = 0; a < 3; a++) {
        used[a] = s->span[a];
        used[a].extent = (block->count[a] - 1) * s->span[a].out_step +
                         (p->axis[a].kernel - 1) * s->span[a].tap_step + 1;
        dc_span_sources(&p->axis[a], p->padding, &used[a], block->first[a], table[a]);
        if (a < 2)
            table[a + 1] = table[a] + s->span[a].extent;
    }
    run *runs = (run *)(void *)(table[2] + s->span[2].extent);
    const ptrdiff_t run_count = find_runs(table[2], used[2].extent, runs);

    for (ptrdiff_t z = 0; z < used[0].extent; z++)
        for (ptrdiff_t y = 0; y < used[1].extent; y++) {
            char *row = out + (z * s->pitch[0] + y * s->pitch[1]) * bytes;
            const ptrdiff_t sz = table[0][z], sy = table[1][y];
            if (sz < 0 || sy < 0) {
                kernels->fill(row, used[2].extent * s->pitch[2], p->padding_value);
                continue;
            }
            const char *from = source + (sz * strides[1] + sy * strides[2]) * bytes;
            for (const run *r = runs; r < runs + run_count; r++) {
                char *to = row + r->position * s->pitch[2] * bytes;
                if (r->source < 0)
                    kernels->fill(to, r->length * s->pitch[2], p->padding_value);
                else
                    kernels->gather(&(dc_gather){
                        .positions = r->length,
                        .channels = channels,
                        .source = from + r->source * strides[3] * bytes,
                        .position_stride = r->step * strides[3],
                        .channel_stride = strides[0],
                        .out = to,
                        .pitch = s->pitch[2],
                    });
            }
        }
}
