/* The operator's settings: one table (settings.def) gives each key its type, bounds, default and help; console, web API, page and docs read
 * that table. Changes are staged by set/unset, checked on entry, and take effect together, durably, on commit, as on a router. */
#ifndef FIRMWARE_SETTINGS_H
#define FIRMWARE_SETTINGS_H

#include "hal/base/ipaddr.h"
#include "hal/base/rc.h"
#include "hal/base/strbuf.h"

#define SETTING_VALUE_MAX 1024
#define SETTING_KEY_MAX 95

enum setting_type {
    SETTING_HOSTNAME,
    SETTING_TEXT,
    SETTING_SECRET /* never shown */,
    SETTING_PASSWORD /* typed as it is, kept as its hash (password.h), never shown */,
    SETTING_NUMBER,
    SETTING_BYTES /* 20M, 512K */,
    SETTING_CHOICE /* off|pin|ca */,
    SETTING_CIDR,
    SETTING_CIDR_OR_DHCP,
    SETTING_CIDR_OR_AUTO_OFF,
    SETTING_ADDRESS,
    SETTING_ENDPOINTS /* list of ADDRESS[:PORT] */,
    SETTING_HOSTPORT,
    SETTING_HOSTPORTS /* list of HOST:PORT */,
    SETTING_DOMAINS /* list */,
    SETTING_CIDRS /* list */,
    SETTING_CIDRS_OR_OFF,
    SETTING_HOSTS /* list of names or addresses */,
    SETTING_URL,
    SETTING_EMAIL,
    SETTING_SENDERS /* list of mail addresses and whole domains */,
    SETTING_EXCEPTION /* RFC3339 [reason] */
};

struct setting_def {
    const char *key; /* "mail.route.*": a family, whose last part is a domain (or name) */
    enum setting_type type;
    const char *bounds; /* "1..365"; choices "off|pin"; "" none */
    const char *preset; /* the default's text; "" unset */
};
extern const struct setting_def settings_table[];
extern const unsigned settings_count;
/* What it is for: a packed text (hal/base/packed_text.h). */
const char *setting_help(const struct setting_def *d);

/* At boot, after settings_log_open. */
void settings_load(void);

/* The committed value as text (canonical), or the default; "" when unset. A view until the next settings_* call with the same key or a
 * commit. NULL: no such key. */
const char *settings_get(const char *key);
/* The same as it will be after a commit. A view until the next change. */
const char *settings_coming(const char *key);
bool settings_get_bool(const char *key);       /* "on" */
uint64_t settings_get_number(const char *key); /* NUMBER and BYTES */
/* A family's member: settings_get_member("mail.route.", domain). NULL: not set. */
const char *settings_get_member(const char *family, struct span member);
/* CRC of the values of these keys, going on from sum: tells whether one of them has changed. */
uint32_t settings_sum(uint32_t sum, const char *const *keys, unsigned count);
/* Walks committed members of a family: index from 0; false past the end. */
bool settings_member_at(const char *family, unsigned index, struct strbuf *member, const char **value);

/* Staging. why gets one line of words on RC_INVALID, RC_NOT_FOUND (no such key), RC_FULL. */
enum rc settings_stage(struct span key, struct span value, struct strbuf *why) MUST_CHECK; /* Yields for a PASSWORD */
enum rc settings_stage_unset(struct span key, struct strbuf *why) MUST_CHECK;
unsigned settings_staged(void);                         /* number of staged changes */
enum rc settings_commit(struct strbuf *why) MUST_CHECK; /* durable, then listeners are told. Yields. */
void settings_discard(void);
/* One change at once, durable, with the listeners told, whatever is staged; value empty: unset. Errors as above. Yields. */
enum rc settings_change(struct span key, struct span value, struct strbuf *why) MUST_CHECK;

/* Told after each commit. Up to 16 listeners. */
void settings_on_change(void (*fn)(void));

/* For show: every key that is set or has a default, in table order then by member; staged ones are marked. */
struct setting_view {
    char key[SETTING_KEY_MAX + 1];
    const char *value;
    bool is_default, is_staged, is_secret, staged_unset;
};
bool settings_view_at(const char *prefix, unsigned index, struct setting_view *out);

#endif
