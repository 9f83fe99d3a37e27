/* Keys to changes of the line, changes to echo. Cursor movement uses backspaces and rewriting alone, which every terminal knows. */
#include "firmware/console_edit.h"

#define DEL 0x7f
#define ESC 0x1b
#define CTRL(c) ((c)&0x1f)
#define ECHO_MAX (CONSOLE_ECHO_BYTES - 32) /* leaves room for a line's end and the prompt */

void edit_init(struct console_edit *e)
{
    memset(e, 0, sizeof *e);
    e->echo = STRBUF(e->echo_memory);
}

void edit_start_line(struct console_edit *e)
{
    e->len = e->cursor = 0;
    e->line[0] = '\0';
    e->too_long = false;
    e->history_at = 0;
}

static void send(struct console_edit *e, const char *p, size_t len)
{
    for (size_t i = 0; i < len && !e->hidden; i++) {
        if (e->echo.len == ECHO_MAX && e->flush)
            e->flush(e);
        strbuf_putc(&e->echo, p[i]);
    }
}

static void send_times(struct console_edit *e, char c, size_t times)
{
    while (times-- > 0)
        send(e, &c, 1);
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Columns of bytes: continuation bytes of UTF-8 take none. */
static size_t columns(const char *p, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += !is_continuation(p[i]);
    return n;
}

/* Rewrites what stands from the cursor on, blanks `gone` columns behind it, and goes back to the cursor. */
static void redraw_tail(struct console_edit *e, size_t gone)
{
    send(e, e->line + e->cursor, e->len - e->cursor);
    send_times(e, ' ', gone);
    send_times(e, '\b', columns(e->line + e->cursor, e->len - e->cursor) + gone);
}

static void move_left(struct console_edit *e)
{
    if (!e->cursor)
        return;
    while (--e->cursor && is_continuation(e->line[e->cursor]))
        ;
    send(e, "\b", 1);
}

static void move_right(struct console_edit *e)
{
    if (e->cursor == e->len)
        return;
    size_t from = e->cursor++;
    while (e->cursor < e->len && is_continuation(e->line[e->cursor]))
        e->cursor++;
    send(e, e->line + from, e->cursor - from);
}

static void move_home(struct console_edit *e)
{
    send_times(e, '\b', columns(e->line, e->cursor));
    e->cursor = 0;
}

static void move_end(struct console_edit *e)
{
    send(e, e->line + e->cursor, e->len - e->cursor);
    e->cursor = e->len;
}

/* Takes out the bytes between from and the cursor. */
static void erase_back_to(struct console_edit *e, size_t from)
{
    size_t gone = columns(e->line + from, e->cursor - from);
    memmove(e->line + from, e->line + e->cursor, e->len - e->cursor);
    e->len -= e->cursor - from;
    e->line[e->len] = '\0';
    e->cursor = from;
    send_times(e, '\b', gone);
    redraw_tail(e, gone);
}

static void backspace(struct console_edit *e)
{
    size_t from = e->cursor;
    if (!from)
        return;
    while (--from && is_continuation(e->line[from]))
        ;
    erase_back_to(e, from);
}

static void delete_at_cursor(struct console_edit *e)
{
    size_t before = e->cursor;
    if (before == e->len)
        return;
    move_right(e);
    erase_back_to(e, before);
}

static void erase_word(struct console_edit *e)
{
    size_t from = e->cursor;
    while (from && e->line[from - 1] == ' ')
        from--;
    while (from && e->line[from - 1] != ' ')
        from--;
    erase_back_to(e, from);
}

static void erase_to_end(struct console_edit *e)
{
    size_t gone = columns(e->line + e->cursor, e->len - e->cursor);
    e->len = e->cursor;
    e->line[e->len] = '\0';
    redraw_tail(e, gone);
}

void edit_insert(struct console_edit *e, struct span text)
{
    if (e->len + text.len > CONSOLE_LINE_MAX) {
        e->too_long = true;
        return;
    }
    memmove(e->line + e->cursor + text.len, e->line + e->cursor, e->len - e->cursor);
    memcpy(e->line + e->cursor, text.p, text.len);
    e->len += text.len;
    e->line[e->len] = '\0';
    send(e, text.p, text.len);
    e->cursor += text.len;
    if (e->cursor < e->len)
        redraw_tail(e, 0);
}

void edit_redraw(struct console_edit *e, const char *prompt)
{
    strbuf_puts(&e->echo, prompt);
    send(e, e->line, e->len);
    send_times(e, '\b', columns(e->line + e->cursor, e->len - e->cursor));
}

/* --- history --- */

static const char *history_line(const struct console_edit *e, unsigned n)
{
    size_t at = 0;
    while (n-- > 1 && at < e->history_len)
        at += strlen(e->history + at) + 1;
    return at < e->history_len ? e->history + at : NULL;
}

static void recall(struct console_edit *e, unsigned n)
{
    const char *old = n ? history_line(e, n) : "";
    if (!old)
        return;
    move_end(e);
    erase_back_to(e, 0);
    edit_insert(e, span_of(old));
    e->history_at = n;
}

void edit_remember(struct console_edit *e)
{
    size_t need = e->len + 1;
    const char *newest = history_line(e, 1);
    if (!e->len || need > sizeof e->history || (newest && span_is(span_of(newest), e->line)))
        return;
    size_t keep = e->history_len;
    while (keep + need > sizeof e->history) { /* drops whole lines from the oldest end */
        keep--;
        while (keep && e->history[keep - 1])
            keep--;
    }
    memmove(e->history + need, e->history, keep);
    memcpy(e->history, e->line, need);
    e->history_len = keep + need;
}

/* --- keys --- */

static void escape_key(struct console_edit *e, uint8_t byte)
{
    if (byte == ESC) { /* the one before was a key of its own, or was lost on the line */
        e->escape_state = 1;
        return;
    }
    if (e->escape_state == 1) {
        e->escape_state = byte == '[' || byte == 'O' ? 2 : 0;
        e->escape_arg = 0;
        return;
    }
    if ((byte >= '0' && byte <= '9') || byte == ';') {
        e->escape_arg = byte;
        return;
    }
    e->escape_state = 0;
    switch (byte) {
    case 'A':
        recall(e, e->history_at + 1);
        break;
    case 'B':
        if (e->history_at)
            recall(e, e->history_at - 1);
        break;
    case 'C':
        move_right(e);
        break;
    case 'D':
        move_left(e);
        break;
    case 'H':
        move_home(e);
        break;
    case 'F':
        move_end(e);
        break;
    case '~':
        if (e->escape_arg == '3')
            delete_at_cursor(e);
        else if (e->escape_arg == '1' || e->escape_arg == '7')
            move_home(e);
        else if (e->escape_arg == '4' || e->escape_arg == '8')
            move_end(e);
        break;
    default:
        break;
    }
}

static enum edit_result end_of_line(struct console_edit *e)
{
    strbuf_puts(&e->echo, "\r\n");
    return e->too_long ? EDIT_TOO_LONG : EDIT_LINE;
}

static enum edit_result control_key(struct console_edit *e, uint8_t byte)
{
    switch (byte) {
    case '\b':
    case DEL:
        backspace(e);
        break;
    case '\t':
        return EDIT_COMPLETE;
    case CTRL('A'):
        move_home(e);
        break;
    case CTRL('B'):
        move_left(e);
        break;
    case CTRL('C'):
        strbuf_puts(&e->echo, "^C\r\n");
        return EDIT_CANCEL;
    case CTRL('D'):
        delete_at_cursor(e);
        break;
    case CTRL('E'):
        move_end(e);
        break;
    case CTRL('F'):
        move_right(e);
        break;
    case CTRL('K'):
        erase_to_end(e);
        break;
    case CTRL('N'):
        if (e->history_at)
            recall(e, e->history_at - 1);
        break;
    case CTRL('P'):
        recall(e, e->history_at + 1);
        break;
    case CTRL('U'):
        erase_back_to(e, 0);
        break;
    case CTRL('W'):
        erase_word(e);
        break;
    case ESC:
        e->escape_state = 1;
        break;
    default:
        break; /* other control bytes mean nothing here */
    }
    return EDIT_MORE;
}

enum edit_result edit_byte(struct console_edit *e, uint8_t byte)
{
    bool after_cr = e->last_was_cr;
    char c = (char)byte;
    e->last_was_cr = byte == '\r';
    if (byte == '\n' && after_cr)
        return EDIT_MORE;
    if (byte == '\r' || byte == '\n') {
        e->escape_state = 0;
        return end_of_line(e);
    }
    if (e->escape_state) {
        escape_key(e, byte);
        return EDIT_MORE;
    }
    if (byte < 0x20 || byte == DEL)
        return control_key(e, byte);
    edit_insert(e, span_bytes(&c, 1));
    return EDIT_MORE;
}
