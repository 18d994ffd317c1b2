/* Family "row transforms": rows are Fourier transformed, the columns of a kernel summed directly. */
#ifndef DC_FFT_FFT_H
#define DC_FFT_FFT_H

#include "family.h"

extern const dc_family_methods dc_row_transforms;

dc_pack dc_row_transforms_pack;

#endif
