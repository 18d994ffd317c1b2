/* Two families for layers whose output channels filter one plane of the input each. "depthwise": lanes are
 * neighbouring pixels of a row; rows are read in place, and only their ends are staged or masked. "depthwise
 * channels": lanes are channels. */
#ifndef DC_DEPTHWISE_DEPTHWISE_H
#define DC_DEPTHWISE_DEPTHWISE_H

#include "family.h"

extern const dc_family_methods dc_depthwise, dc_depthwise_channels;

/* Weights: [output channel][depth][column][row]; the bias as it is. */
dc_pack dc_depthwise_pack;

/* Weights: [block of channels][filter of a channel][depth][column][row][lane]; the bias likewise. The last
 * block begins earlier, so as to end with the channels, if there are as many as lanes. */
dc_pack dc_depthwise_channels_pack;

#endif
