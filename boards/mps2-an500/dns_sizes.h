/* What the resolver (net/dns*.c) may use of this board's RAM. */
#ifndef BOARD_DNS_SIZES_H
#define BOARD_DNS_SIZES_H

#define DNS_CACHE_BYTES (4 * 1024) /* an answer is 100 to 200 bytes */
#define DNS_SLOTS 3                /* questions under way at once, 1.9 KB and a UDP socket each; more wait */
#define DNS_TCP_BYTES 4096         /* longest message taken over TCP, one at a time */

#endif
