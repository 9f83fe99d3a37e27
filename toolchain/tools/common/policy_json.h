/* Reads a STARTTLS Everywhere policy.json (version 0.1) as published: aliases, suffix patterns, timestamps as RFC 3339 text or as seconds
 * since 1970. Names are folded to their canonical form (lower case, A-labels). Every fault is told, with the domain and the rule. */
#ifndef TOOLS_POLICY_JSON_H
#define TOOLS_POLICY_JSON_H

#include "toolchain/tools/common/list_writer.h"

struct policy_json_report {
    const char *file;            /* its name, for the messages */
    struct byte_buffer messages; /* lines "error: FILE: ..." and "warning: FILE: ..." */
    unsigned errors, warnings;   /* counted on when POLICY_JSON_MESSAGES_MAX lines have been given */
};
#define POLICY_JSON_MESSAGES_MAX 50

/* RC_OK; RC_INVALID: report->errors is over 0 and *out is empty. The caller frees *out and report->messages. */
enum rc policy_json_read(struct span text, struct list_source *out, struct policy_json_report *report) MUST_CHECK;

#endif
