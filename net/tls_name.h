/* Does a certificate's dNSName name a host (RFC 6125 section 6.4, RFC 9525 section 6.3)? Pure. */
#ifndef NET_TLS_NAME_H
#define NET_TLS_NAME_H

#include "hal/base/span.h"

/* host: what we connected to, letters in any case, one trailing dot allowed. dns_name: as it stands in the certificate; it
 * matches by ASCII labels without regard to case, or by a wildcard: a leftmost label that is "*" alone stands for exactly
 * one label, and at least two more follow. Anything but letters, digits, hyphen and underscore in dns_name, U-labels
 * and a trailing dot among it, never matches. */
bool tls_name_matches(struct span host, struct span dns_name);

#endif
