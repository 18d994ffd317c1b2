/* Family "row taps": direct convolution along one axis, of one channel per group. */
#ifndef DC_ROWS_ROW_TAPS_H
#define DC_ROWS_ROW_TAPS_H

#include "family.h"

extern const dc_family_methods dc_row_taps;

#endif
