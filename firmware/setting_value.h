/* Checks one setting's text and writes its canonical form: what is stored and shown. Pure. */
#ifndef FIRMWARE_SETTING_VALUE_H
#define FIRMWARE_SETTING_VALUE_H

#include "firmware/settings.h"

/* RC_INVALID with one line of words in why; out is then cleared. Control characters (a newline above all) and texts over
 * SETTING_VALUE_MAX are refused for every type. */
enum rc setting_value_check(const struct setting_def *def, struct span value, struct strbuf *out, struct strbuf *why) MUST_CHECK;

/* The parts of what check has made canonical. */
struct setting_hostport {
    struct span host; /* name or address text, without brackets */
    uint16_t port;
};
enum rc setting_hostport_parse(struct span text, uint16_t default_port, struct setting_hostport *out) MUST_CHECK;
/* Takes the next item off a comma-separated list, blanks trimmed. Start with *more = true. False at the end. */
bool setting_list_next(struct span *rest, bool *more, struct span *item);
/* "RFC3339 REASON": false when malformed. */
bool setting_exception_parse(struct span text, int64_t *until, struct span *reason);
/* True if the CIDR list holds a. */
bool setting_cidrs_contain(const char *list, const struct ip_addr_any *a);
/* True if the list of domains holds domain (canonical). */
bool setting_domains_contain(const char *list, struct span domain);

#endif
