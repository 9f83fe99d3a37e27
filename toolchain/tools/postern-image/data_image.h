/* Builds the contents of a box's data flash: settings, key and certificate, and a list image in slot A. */
#ifndef TOOLS_DATA_IMAGE_H
#define TOOLS_DATA_IMAGE_H

#include "toolchain/tools/postern-image/list_image.h"

struct data_image_options {          /* paths; NULL: left out */
    const char *board;               /* "virt", "posix", "mps2-an500" */
    const char *settings;            /* lines KEY VALUE, as the console's show prints them */
    struct list_image_options image; /* with neither list nor roots the slot stays empty */
    const char *key, *cert;          /* PEM; both or none */
    const char *out;
};

/* Every fault is told on stderr; nothing is written then. RC_INVALID, RC_IO. */
enum rc data_image_make(const struct data_image_options *o) MUST_CHECK;

#endif
