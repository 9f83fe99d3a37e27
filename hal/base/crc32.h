/* CRC-32 (ISO-HDLC, the one of zlib): guards flash records against accident, not against an attacker. */
#ifndef HAL_BASE_CRC32_H
#define HAL_BASE_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Start with crc 0 and feed pieces in order; crc32_update(0, "123456789", 9) is 0xcbf43926. */
uint32_t crc32_update(uint32_t crc, const void *data, size_t len);

#endif
