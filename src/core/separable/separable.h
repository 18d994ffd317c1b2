/* Family "separable filters": filters of rank one as two passes, along columns and along rows. */
#ifndef DC_SEPARABLE_SEPARABLE_H
#define DC_SEPARABLE_SEPARABLE_H

#include "family.h"

extern const dc_family_methods dc_separable_filters;

dc_pack dc_separable_pack;

#endif
