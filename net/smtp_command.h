/* SMTP commands as a server reads them (RFC 5321 4.1, with the parameters of RFC 1870, 3030, 3461, 4954, 6152, 6531). Pure:
 * lines in, structs or a refusal out. Whether a command is allowed now is smtp_server's matter. */
#ifndef NET_SMTP_COMMAND_H
#define NET_SMTP_COMMAND_H

#include "net/smtp_server.h"

enum smtp_verb {
    SMTP_VERB_UNKNOWN,
    SMTP_VERB_EHLO,
    SMTP_VERB_HELO,
    SMTP_VERB_MAIL,
    SMTP_VERB_RCPT,
    SMTP_VERB_DATA,
    SMTP_VERB_BDAT,
    SMTP_VERB_STARTTLS,
    SMTP_VERB_AUTH,
    SMTP_VERB_NOOP,
    SMTP_VERB_RSET,
    SMTP_VERB_VRFY,
    SMTP_VERB_EXPN,
    SMTP_VERB_HELP,
    SMTP_VERB_QUIT,
    SMTP_VERB_FOREIGN, /* another protocol's: a browser that was lured here (GET, POST, CONNECT ...) */
    SMTP_VERB_COUNT
};

struct smtp_command {
    enum smtp_verb verb;
    struct span args; /* trimmed, a view of the line */
};

/* line: without its end. RC_INVALID: a control character (also a CR or NUL) or invalid UTF-8; *why says it. */
enum rc smtp_command_parse(struct span line, struct smtp_command *out, const char **why) MUST_CHECK;

/* These parse a command's arguments: true, or false with the refusal in *a. */
bool smtp_command_mail(struct span args, struct smtp_server_mail *out, struct smtp_answer *a);
bool smtp_command_rcpt(struct span args, struct smtp_server_rcpt *out, struct smtp_answer *a);
bool smtp_command_helo(struct span args, char *helo, size_t cap, struct smtp_answer *a);
/* "SIZE" or "SIZE LAST". False: nobody knows where the next command begins. */
bool smtp_command_bdat(struct span args, uint64_t *size_bytes, bool *last);

#endif
