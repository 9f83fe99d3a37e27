/* Bring-up of the entropy device behind hal/entropy.h. */
#ifndef BOARDS_DRIVERS_VIRTIO_RNG_H
#define BOARDS_DRIVERS_VIRTIO_RNG_H

#include "hal/base/rc.h"

/* RC_NOT_FOUND: no such device: entropy_read then answers RC_UNSUPPORTED. RC_UNSUPPORTED, RC_IO. */
enum rc virtio_rng_init(void) MUST_CHECK;

#endif
