/* lwIP's view of compiler and platform. Types and byte order come from the C library and the compiler. */
#ifndef POSTERN_LWIP_CC_H
#define POSTERN_LWIP_CC_H

#include <stdint.h>
#include <stdio.h>

uint32_t random_u32(void);                                   /* hal/random.h */
void board_panic(const char *why) __attribute__((noreturn)); /* hal/board.h */

#define LWIP_RAND() random_u32()

/* lwIP asserts on its own invariants only: going on after a broken one would corrupt memory. A small board has no room for the 214
 * messages (8 KB), nor for as many calls (1.5 KB): an undefined instruction crashes in place, and the report shows where (pc). */
#if defined(__arm__)
#define LWIP_PLATFORM_ASSERT(message) __builtin_trap()
#else
#define LWIP_PLATFORM_ASSERT(message) board_panic("lwip: " message)
#endif
/* Debug output is not built; a stray diagnostic must not pull printf into the image. */
#define LWIP_PLATFORM_DIAG(message) \
    do {                            \
    } while (0)

/* Pools and heap lie together: a board may use them for its last words. */
#define LWIP_DECLARE_MEMORY_ALIGNED(name, size) _Alignas(MEM_ALIGNMENT) u8_t name[size] __attribute__((section(".bss.lwip")))

/* Names that net/tcp.h and net/udp.h have, too: lwIP's own become others. Who includes both undefines these in between. */
#define tcp_accept lwip_tcp_accept
#define udp_send lwip_udp_send

#endif
