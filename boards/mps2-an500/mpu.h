/* Memory protection of mps2-an500. */
#ifndef BOARDS_MPS2_AN500_MPU_H
#define BOARDS_MPS2_AN500_MPU_H

/* Code becomes read-only and RAM not executable; the first KiB is closed, so that a NULL pointer faults, and so is what lies
 * below RAM, where the main stack would grow to. */
void mpu_start(void);

#endif
