/* The PROXY protocol, version 2 (HAProxy, proxy-protocol.txt 2.2): what a balancer says of its client before the first byte of the
 * dialogue. Only for peers that are named as balancers: a header is believed. Version 1 is not taken. */
#ifndef NET_PROXY_PROTOCOL_H
#define NET_PROXY_PROTOCOL_H

#include "net/stream.h"

/* After the fixed 16 bytes: addresses, and extensions (TLVs), which are read and dropped. */
#define PROXY_REST_MAX 2048

/* Reads one header off the front of s. PROXY with TCP over IPv4 or IPv6: s->peer and s->local become the client's and what it connected
 * to (an IPv4-mapped client counts as IPv4). LOCAL, and families that have no address: they stay the balancer's own. RC_PROTOCOL: no
 * header of version 2, or a malformed one; RC_TOO_LONG; or what the stream gives. d bounds it whole. Yields. */
enum rc proxy_header_read(struct stream *s, struct deadline d) MUST_CHECK;

/* Puts a header before our dialogue as a client: client with TCP, or LOCAL when its family is IP_NONE. s->peer is given as what the client
 * connected to, IPv4-mapped when the families differ. Yields. */
enum rc proxy_header_write(struct stream *s, const struct ip_endpoint *client, struct deadline d) MUST_CHECK;

#endif
