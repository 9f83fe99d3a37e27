/* ARM semihosting (version 2.0): files and the time of the host that runs the board. Synchronous; RC_IO when the host fails. */
#ifndef BOARDS_DRIVERS_SEMIHOSTING_H
#define BOARDS_DRIVERS_SEMIHOSTING_H

#include <stddef.h>
#include <stdint.h>

#include "hal/base/rc.h"

struct semihosting_file {
    int32_t handle;
};

enum semihosting_mode { SEMIHOSTING_READ = 1, SEMIHOSTING_UPDATE = 3 }; /* fopen's "rb" and "r+b" */

/* RC_NOT_FOUND: the host does not open it. */
enum rc semihosting_open(struct semihosting_file *f, const char *name, enum semihosting_mode mode) MUST_CHECK;
enum rc semihosting_length(const struct semihosting_file *f, uint32_t *bytes) MUST_CHECK;
enum rc semihosting_seek(const struct semihosting_file *f, uint32_t offset) MUST_CHECK;
/* All of it, or RC_IO. */
enum rc semihosting_read(const struct semihosting_file *f, void *out, size_t len) MUST_CHECK;
enum rc semihosting_write(const struct semihosting_file *f, const void *data, size_t len) MUST_CHECK;
/* Seconds since 1970. */
uint32_t semihosting_time(void);

/* Opens the host's random device for hal/entropy.h. RC_NOT_FOUND: entropy_read then answers RC_UNSUPPORTED. */
enum rc semihosting_entropy_init(void) MUST_CHECK;

#endif
