/* A line editor over bytes: pure, so that every key sequence can be tested. It sends no escape byte before the operator has sent one: until
 * then the cursor only stands at the line's end, and moving is not possible. */
#ifndef FIRMWARE_CONSOLE_EDIT_H
#define FIRMWARE_CONSOLE_EDIT_H

#include "hal/base/strbuf.h"

#define CONSOLE_LINE_MAX 1200 /* a setting's value, its key and the verb */
#define CONSOLE_HISTORY_BYTES 1024
#define CONSOLE_ECHO_BYTES 512

enum edit_result {
    EDIT_MORE,     /* the line goes on */
    EDIT_LINE,     /* a whole line is in e->line */
    EDIT_TOO_LONG, /* a line ended that was longer than CONSOLE_LINE_MAX; it was dropped */
    EDIT_CANCEL,   /* ^C: the line was given up */
    EDIT_COMPLETE, /* TAB: the caller may call edit_insert with the rest of a word, then edit_redraw */
};

struct console_edit {
    char line[CONSOLE_LINE_MAX + 1];
    size_t len, cursor;
    bool too_long, last_was_cr, hidden /* no echo: a secret or PEM is typed */;
    uint8_t escape_state; /* 0 none, 1 ESC, 2 CSI */
    uint8_t escape_arg;
    char history[CONSOLE_HISTORY_BYTES]; /* lines, newest first, each NUL-terminated */
    size_t history_len;
    unsigned history_at; /* 0: the line being edited */
    /* Bytes to send to the operator, set by each call; the caller writes and clears it. A key that changes a long line makes more than
     * fits: then flush, if it is set, must write and clear it on the way. */
    struct strbuf echo;
    char echo_memory[CONSOLE_ECHO_BYTES];
    void (*flush)(struct console_edit *e);
};

void edit_init(struct console_edit *e);
void edit_start_line(struct console_edit *e); /* forgets the line, keeps the history */
enum edit_result edit_byte(struct console_edit *e, uint8_t byte);
void edit_insert(struct console_edit *e, struct span text); /* at the cursor, with echo */
/* The whole line once more, after other text was printed. */
void edit_redraw(struct console_edit *e, const char *prompt);
void edit_remember(struct console_edit *e); /* puts the line into the history; lines with secrets are not given */

#endif
