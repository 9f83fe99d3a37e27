/* Message bytes as SMTP carries them (RFC 5321 4.1.1.4 and 4.5.2, RFC 3030): what comes in over DATA or BDAT becomes the
 * message, and the message becomes what goes out over DATA. Pure, push-style, any cut of the input gives the same output.
 *
 * Incoming, only CRLF "." CRLF ends DATA, with real CRLFs as received. Everything else that some other server could take
 * for an end (LF "." LF, CR "." CR, CRLF "." LF ...) is a bare CR or LF: refused, or turned into CRLF and so made plain
 * data, which is dot-stuffed when it is sent on. A dot after a bare line end is data and never unstuffed.
 *
 * CR CRLF "." CRLF holds a real CRLF.CRLF behind its bare CR. Refused like any bare CR, but where line ends are mended it ends the
 * message: RFC 5321 4.1.1.4 knows those five bytes as the end whatever stands before them, every server we know takes them so, and a
 * printer that puts a CR before each LF of a text with CRLFs sends no other end and would wait for ever. What remains is a sender that
 * takes them for data: only one that passes on what others wrote could be made to do that, hence no mail server in mail.normalise. */
#ifndef NET_SMTP_DATA_H
#define NET_SMTP_DATA_H

#include "hal/base/span.h"

enum smtp_line_ends { SMTP_BARE_REJECT, SMTP_BARE_NORMALISE };

enum smtp_data_event {
    SMTP_DATA_BYTES,   /* *out holds message bytes: a view of the input, or a constant */
    SMTP_DATA_MORE,    /* the input is used up */
    SMTP_DATA_END,     /* CRLF.CRLF: what is left of the input is the next command */
    SMTP_DATA_BARE_CR, /* refused; the state is stuck there */
    SMTP_DATA_BARE_LF,
    SMTP_DATA_NUL, /* refused under both rules: NUL is no character of mail, and some servers drop it silently */
};

enum smtp_data_state { SMTP_AT_LINE_START, SMTP_AT_TEXT, SMTP_AT_CR, SMTP_AT_DOT, SMTP_AT_DOT_CR, SMTP_AT_END };

struct smtp_data {
    enum smtp_line_ends line_ends;
    bool dots; /* DATA; false for BDAT, where no byte sequence ends anything */
    enum smtp_data_state state;
};

void smtp_data_init(struct smtp_data *d, enum smtp_line_ends line_ends, bool dots);
/* Takes from the front of *in and says what happened; call it until it answers something else than SMTP_DATA_BYTES. */
enum smtp_data_event smtp_data_next(struct smtp_data *d, struct span *in, struct span *out);
/* The last BDAT chunk is in: SMTP_DATA_END, SMTP_DATA_BYTES (then call again), or SMTP_DATA_BARE_CR. */
enum smtp_data_event smtp_data_finish(struct smtp_data *d, struct span *out);

/* Outgoing, over DATA: adds the dots. A bare CR, a bare LF or a NUL is never sent: SMTP_DATA_BARE_*, SMTP_DATA_NUL, and
 * the message cannot go. */
struct smtp_stuff {
    enum smtp_data_state state;
};
void smtp_stuff_init(struct smtp_stuff *u);
enum smtp_data_event smtp_stuff_next(struct smtp_stuff *u, struct span *in, struct span *out);
/* *out is what ends the message: ".\r\n", after a CRLF where the last line has none. SMTP_DATA_END or SMTP_DATA_BARE_CR. */
enum smtp_data_event smtp_stuff_finish(struct smtp_stuff *u, struct span *out);

#endif
