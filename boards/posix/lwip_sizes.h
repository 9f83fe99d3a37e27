/* lwIP's memory on this board: generous, the host has plenty; but for the receive pool, so that tests can exhaust it. */
#ifndef BOARD_LWIP_SIZES_H
#define BOARD_LWIP_SIZES_H

#define LWIP_RX_FRAMES 48            /* receive pool, 1.5 KiB each: a burst, as data moves to the sessions' rings at once */
#define LWIP_HEAP_BYTES (512 * 1024) /* outgoing data in flight */
#define LWIP_TCP_CONNECTIONS 96      /* sessions, those still closing, and a margin for TIME_WAIT */
#define LWIP_TCP_LISTENERS 12        /* 25, 80, 443, 465, 587 and spares; tests want nine */
#define LWIP_TCP_SEGMENTS 512        /* queued for sending, all connections together */
#define LWIP_NEIGHBOURS 64           /* on the link that are known at a time, of each IP version */
#define LWIP_UDP_SOCKETS 8           /* DHCP, DNS queries, SNTP, syslog */
#define LWIP_TCP_WINDOW_BYTES (22 * 1460)
#define LWIP_TCP_SEND_BYTES (16 * 1460)

#endif
