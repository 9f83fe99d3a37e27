/* Bring-up of the counter behind clock_us() on the MPS2 boards. */
#ifndef BOARDS_DRIVERS_FPGAIO_CLOCK_H
#define BOARDS_DRIVERS_FPGAIO_CLOCK_H

/* From now on clock_us() counts from 0. It must be called at least every 171 s, which each idle does. */
void fpgaio_clock_init(void);

#endif
