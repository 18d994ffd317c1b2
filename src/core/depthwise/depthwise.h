/* The family "depthwise": each output channel filters one plane of the input. Lanes are neighbouring
 * pixels of a row; rows are read in place, and only their ends are staged or masked. */
#ifndef DC_DEPTHWISE_DEPTHWISE_H
#define DC_DEPTHWISE_DEPTHWISE_H

#include "family.h"

extern const dc_family_methods dc_depthwise;

/* Weights: [output channel][depth][column][row]; the bias as it is. */
dc_pack dc_depthwise_pack;

#endif
