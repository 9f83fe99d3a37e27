/* The rules for the parts of a policy.json (STARTTLS Everywhere, version 0.1), and how a breach is told: with the line, the domain and the
 * rule. A rule takes a small JSON value and gives the checked form. */
#ifndef TOOLS_POLICY_RULES_H
#define TOOLS_POLICY_RULES_H

#include <cJSON.h>

#include "toolchain/tools/common/list_writer.h"

#define POLICY_REPORT_MESSAGES_MAX 50
#define POLICY_SHOWN_MAX 100 /* of a name or value from the file, in a message */

struct policy_report {
    const char *file; /* its name, for the messages */
    bool lenient;     /* members that are not known are warned of, else an error */
    unsigned line;    /* that the next messages are about; 0: none */
    struct byte_buffer
        messages; /* lines "error: FILE: line N: DOMAIN: ..." and "warning: ..."; policy_report_print or the caller frees them */
    unsigned errors, warnings; /* counted on when POLICY_REPORT_MESSAGES_MAX lines have been given */
};

void policy_error(struct policy_report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void policy_warn(struct policy_report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* All that was told, to stderr, and how much there was in all; messages are freed. */
void policy_report_print(struct policy_report *r);

struct policy_shown {
    char text[POLICY_SHOWN_MAX + 8];
};
struct policy_shown policy_show(const char *text); /* as it may stand in a message: printable, in its length */

/* A policy in memory of its own: mx[i] point into text. */
struct policy {
    enum list_mode mode;
    unsigned mx_count;
    size_t text_len;
    char *mx[LIST_MX_MAX];
    char text[LIST_MX_BYTES];
};
bool policy_add_mx(struct policy *p, struct span pattern); /* canonical; false: no room for it */

/* All return false after saying what is wrong; where is the domain's or the alias's name as it may be shown. */
bool policy_rule_time(struct policy_report *r, const cJSON *item, const char *name, int64_t *unix_s);
bool policy_rule_version(struct policy_report *r, const cJSON *item);
bool policy_rule_author(struct policy_report *r, const cJSON *item, char author[LIST_AUTHOR_MAX]);
bool policy_rule_domain(struct policy_report *r, const char *text, struct strbuf *canonical);
/* {"mode": ..., "mxs": [...]} */
bool policy_rule_policy(struct policy_report *r, const cJSON *item, const char *where, struct policy *out);
/* *alias becomes a view of the reference's text, or NULL when item is a policy of its own, which is then not looked at yet. */
bool policy_rule_reference(struct policy_report *r, const cJSON *item, const char *where, const char **alias);
/* Says that a member is not known. */
void policy_rule_unknown(struct policy_report *r, const char *where, const char *member);

#endif
