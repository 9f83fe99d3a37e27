/* The trace field that this box prepends (RFC 5321 4.4, RFC 3848 "with" values, TLS facts as a comment as Postfix and others write them). */
#ifndef FIRMWARE_RECEIVED_H
#define FIRMWARE_RECEIVED_H

#include "net/smtp_server.h"

struct received_facts {
    const char *helo; /* sanitised */
    const char *ptr;  /* forward-confirmed name of the client, "" unknown */
    const struct ip_endpoint *client;
    const char *by;              /* host.name */
    const struct tls_facts *tls; /* NULL in plaintext */
    bool esmtp, authenticated, utf8;
    uint32_t id;                /* of the session's mail */
    const char *only_recipient; /* for "for <...>", only when there is just one; else NULL */
    int64_t now;                /* 0: unknown; the date is then left at the floor of time, 1970, as RFC 5321 wants one */
};

#define RECEIVED_MAX 1100 /* three names of 254, two addresses, a recipient of 320 */

/* Appends the folded field with its final CRLF. */
void received_format(struct strbuf *out, const struct received_facts *f);

#endif
