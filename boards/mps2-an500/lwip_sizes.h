/* lwIP's memory on this board: about 40 KiB of 512 KiB for 6 sessions. */
#ifndef BOARD_LWIP_SIZES_H
#define BOARD_LWIP_SIZES_H

#define LWIP_RX_FRAMES 10 /* receive pool, 1.5 KiB each: data moves to the sessions' rings at once, so these are for holes */
#define LWIP_HEAP_BYTES (10 * 1024) /* outgoing data in flight: 4.5 KiB were seen; two deliveries' windows are 6.5 */
#define LWIP_TCP_CONNECTIONS 12     /* sessions, those still closing, and a margin for TIME_WAIT */
#define LWIP_TCP_LISTENERS 8        /* 25, 80, 443, 465, 587 and spares */
#define LWIP_TCP_SEGMENTS 64        /* queued for sending, all connections together */
#define LWIP_NEIGHBOURS 16          /* on the link that are known at a time, of each IP version */
#define LWIP_UDP_SOCKETS 8          /* DHCP, DNS queries, SNTP, syslog */
#define LWIP_TCP_WINDOW_BYTES (2 * 1460)
#define LWIP_TCP_SEND_BYTES (2 * 1460)

#endif
