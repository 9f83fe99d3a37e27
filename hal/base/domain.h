/* Domain names as text (RFC 1035, RFC 5321 section 4.1.2, RFC 5890 A-labels). Pure.
 * The canonical form: lower-case ASCII, no trailing dot, U-labels already turned into A-labels. */
#ifndef HAL_BASE_DOMAIN_H
#define HAL_BASE_DOMAIN_H

#include "hal/base/rc.h"
#include "hal/base/strbuf.h"

#define DOMAIN_MAX 253      /* characters of a name in text without trailing dot */
#define DOMAIN_TEXT_MAX 254 /* with NUL */
#define DOMAIN_LABEL_MAX 63

/* Canonical form of text into out. Letters, digits, hyphen and underscore; labels 1..63; no empty label but one trailing
 * dot, which is dropped. A U-label (any non-ASCII UTF-8) is lower-cased where Unicode makes that plain and turned into its
 * punycode A-label (RFC 3492). RC_INVALID / RC_TOO_LONG; out is then cleared. */
enum rc domain_canonical(struct span text, struct strbuf *out) MUST_CHECK;
/* True if text is a host name fit for settings: canonical or not, at least one label, no underscore, no label that
 * begins or ends in a hyphen, and not all digits in the last label. */
bool domain_is_hostname(struct span text);
/* Both canonical: name is parent or ends in ".parent". */
bool domain_is_within(struct span name, struct span parent);
/* Number of labels of a canonical name. */
unsigned domain_labels(struct span name);
/* A pattern of the preload list or of an MTA-STS policy: "mx.x" exactly, or ".x" / "*.x" for exactly ONE more label
 * (STARTTLS Everywhere policy.json 0.1; RFC 8461 section 4.1). Both canonical but for the pattern's prefix. */
bool domain_matches_pattern(struct span name, struct span pattern);

#endif
