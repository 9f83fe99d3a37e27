/* Makes the patch of policy/IMAGE.md, "The delta". */
#ifndef TOOLS_DELTA_WRITER_H
#define TOOLS_DELTA_WRITER_H

#include "toolchain/tools/common/byte_buffer.h"

/* The section IMAGE_PATCH that makes target from base; both are whole list images without anything behind them. The result is applied with
 * the firmware's own code and compared. RC_INVALID: one of them is no list image; RC_CORRUPT would be a fault of the writer. */
enum rc delta_write(struct span base, struct span target, struct byte_buffer *out) MUST_CHECK;
/* The whole delta image, with nothing signed yet and room for as many signatures as target has. As delta_write. */
enum rc delta_image_write(struct span base, struct span target, struct byte_buffer *out) MUST_CHECK;

#endif
