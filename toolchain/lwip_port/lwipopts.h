/* lwIP 2.2 as Postern uses it: raw API in the main loop, IPv4 and IPv6, TCP and UDP; no threads, no sockets, no DNS.
 * How much memory it gets is the board's affair: boards/<board>/lwip_sizes.h. */
#ifndef POSTERN_LWIPOPTS_H
#define POSTERN_LWIPOPTS_H

#include "board/lwip_sizes.h"

/* --- Shape: one thread, callbacks from the main loop, nothing from interrupts ------------------------------------------- */
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_RAW 0
#define LWIP_ALTCP 0
#define LWIP_SINGLE_NETIF 1
#define LWIP_HOOK_FILENAME "lwip_hooks.h"

/* --- Memory: pools and one fixed heap for outgoing packets; no malloc ---------------------------------------------------- */
#define MEM_LIBC_MALLOC 0
#define MEMP_MEM_MALLOC 0
#define MEM_ALIGNMENT 8
#define MEM_SIZE LWIP_HEAP_BYTES
#define PBUF_POOL_SIZE LWIP_RX_FRAMES
#define PBUF_POOL_BUFSIZE 1536 /* a whole frame: one pbuf a packet received */
#define MEMP_NUM_PBUF LWIP_RX_FRAMES
#define MEMP_NUM_TCP_PCB LWIP_TCP_CONNECTIONS
#define MEMP_NUM_TCP_PCB_LISTEN LWIP_TCP_LISTENERS
#define MEMP_NUM_TCP_SEG LWIP_TCP_SEGMENTS
#define MEMP_NUM_UDP_PCB LWIP_UDP_SOCKETS

/* --- Link ------------------------------------------------------------------------------------------------------------------ */
#define LWIP_ARP 1
#define ETHARP_SUPPORT_STATIC_ENTRIES 0
#define ARP_TABLE_SIZE LWIP_NEIGHBOURS
#define ARP_QUEUEING 1
#define ARP_QUEUE_LEN 4
#define MEMP_NUM_ARP_QUEUE (ARP_TABLE_SIZE * ARP_QUEUE_LEN) /* neighbours that never answer must not use up the others' share */
#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_NETIF_EXT_STATUS_CALLBACK 1
#define LWIP_NETIF_LINK_CALLBACK 1
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_TX_SINGLE_PBUF 0
#define LWIP_NETIF_LOOPBACK 0

/* --- IPv4 -------------------------------------------------------------------------------------------------------------------- */
#define LWIP_IPV4 1
#define IP_FORWARD 0
/* No fragments, neither family: TCP finds the path's size, DNS asks for answers of at most 1232 bytes and goes to TCP for longer ones, and
 * a second fragment is the classic way to forge half an answer. */
#define IP_FRAG 0
#define IP_REASSEMBLY 0
#define IP_SOF_BROADCAST 1
#define IP_SOF_BROADCAST_RECV 1
#define LWIP_ICMP 1
#define LWIP_BROADCAST_PING 0
#define LWIP_MULTICAST_PING 0
#define LWIP_IGMP 0
#define LWIP_AUTOIP 0
#define LWIP_DHCP 1
#define LWIP_DHCP_DOES_ACD_CHECK 0 /* the check costs ten seconds of every boot */
#define LWIP_ACD 0
#define LWIP_DHCP_MAX_DNS_SERVERS 3
#define LWIP_DHCP_GET_NTP_SRV 1 /* option 42, reported to dhcp_set_ntp_servers() of net/lwip_glue.c */
#define LWIP_DHCP_MAX_NTP_SERVERS 1

/* --- IPv6: addresses and resolvers by router advertisement ------------------------------------------------------------------- */
#define LWIP_IPV6 1
#define LWIP_IPV6_MLD 1
#define MEMP_NUM_MLD6_GROUP 6
#define LWIP_IPV6_AUTOCONFIG 1
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 1
#define LWIP_IPV6_DHCP6 0
#define LWIP_IPV6_FORWARD 0
#define LWIP_IPV6_FRAG 0
#define LWIP_IPV6_REASS 0
#define LWIP_IPV6_NUM_ADDRESSES 5 /* link-local, static or up to two prefixes, one in transition */
#define LWIP_ND6_QUEUEING 1
#define LWIP_ND6_NUM_NEIGHBORS LWIP_NEIGHBOURS
#define LWIP_ND6_NUM_DESTINATIONS LWIP_NEIGHBOURS
#define LWIP_ND6_RDNSS_MAX_DNS_SERVERS 2
#define LWIP_HOOK_ND6_GET_GW(netif, dest) lwip_nd6_gateway()

/* --- Resolvers: lwIP's own stub is not built; DHCP and router advertisements report servers to dns_setserver(), which
 * net/lwip_*.c defines (lwip_hooks.h). ------------------------------------------------------------------------------------------ */
#define LWIP_DNS 0
#define LWIP_DHCP_PROVIDE_DNS_SERVERS LWIP_DHCP_MAX_DNS_SERVERS
#define DNS_MAX_SERVERS 4

/* --- TCP ------------------------------------------------------------------------------------------------------------------------- */
#define LWIP_TCP 1
#define TCP_MSS 1460
#define TCP_WND LWIP_TCP_WINDOW_BYTES
#define TCP_SND_BUF LWIP_TCP_SEND_BYTES
#define TCP_SND_QUEUELEN (4 * (TCP_SND_BUF) / (TCP_MSS))
#define TCP_QUEUE_OOSEQ 1
#define TCP_OOSEQ_MAX_PBUFS (LWIP_TCP_WINDOW_BYTES < 6 * TCP_MSS ? 4 : 8) /* a peer's holes must not eat the receive pool */
#define LWIP_TCP_SACK_OUT (LWIP_TCP_WINDOW_BYTES >= 6 * TCP_MSS)          /* of two frames, a duplicate ACK says it all */
#define LWIP_TCP_KEEPALIVE 1
#define TCP_LISTEN_BACKLOG 1
#define TCP_DEFAULT_LISTEN_BACKLOG 8
#define SO_REUSE 0
#define LWIP_TCP_RTO_TIME 1000 /* RFC 6298 2.1: with lwIP's three seconds, four lost segments stop a mail for most of a minute */
#define TCP_SYNMAXRTX 12       /* SYNs, each second: as long as before with three seconds between */
#define TCP_MSL 5000UL         /* TIME_WAIT slots are few; ten seconds outlive what a local path can delay */
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, hdr, optlen, opt1len, opt2, p) lwip_tcp_admit(pcb, hdr, p, tcp_listen_input)
#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port) lwip_tcp_isn(local_ip, local_port, remote_ip, remote_port)

/* --- UDP ------------------------------------------------------------------------------------------------------------------------- */
#define LWIP_UDP 1
#define LWIP_UDPLITE 0

/* --- Checks and counters: of memory alone, which net/lwip_*.c looks at; counting packets costs 1 KB -------------------------- */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 0
#define CHECKSUM_GEN_IP 1
#define CHECKSUM_CHECK_IP 1
#define LWIP_STATS 1
#define LINK_STATS 0
#define ETHARP_STATS 0
#define IP_STATS 0
#define IPFRAG_STATS 0
#define ICMP_STATS 0
#define UDP_STATS 0
#define TCP_STATS 0
#define IP6_STATS 0
#define ICMP6_STATS 0
#define IP6_FRAG_STATS 0
#define MLD6_STATS 0
#define ND6_STATS 0
#define SYS_STATS 0
#define LWIP_STATS_DISPLAY 0
#define LWIP_STATS_LARGE 1
#define LWIP_PERF 0

#endif
