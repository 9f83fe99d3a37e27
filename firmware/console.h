/* The operator's console over the serial line: the task that reads lines, finds the command and prints what it says. */
#ifndef FIRMWARE_CONSOLE_H
#define FIRMWARE_CONSOLE_H

#include "hal/base/packed_text.h"
#include "hal/base/rc.h"
#include "hal/base/span.h"
#include "hal/clock.h"

/* Starts the console's task. It calls boot first, as nobody can type before that is done and both want a large stack; then it quiets the
 * log's printing and shows banner and prompt. Does not yield. */
void console_start(void (*boot)(void));

/* --- for the commands --- */

/* What a command was given: words by blanks, `json` or `yes` as last word taken off where the command's rule has it. */
#define COMMAND_WORDS_MAX 8
struct command;
struct command_line {
    const struct command *command;
    struct span word[COMMAND_WORDS_MAX]; /* the command itself is word 0 */
    unsigned count;
    struct span rest; /* everything behind the key of `set`: from word 2 on, as typed */
    bool json, yes;
};

/* Prints one line (printf-like, line end added). Yields, so that a long output never holds the box. */
void say(const char *format, ...);
#define say(...) (say)(PACKED_FORMAT(__VA_ARGS__))
void say_error(const char *format, ...); /* "error: ..." */
#define say_error(...) (say_error)(PACKED_FORMAT(__VA_ARGS__))
void say_usage(const struct command *command); /* how it is typed, as an error */
/* A line or a value of JSON on its way out; of 256 bytes, each as \u00XX, fits. For json_out.c. */
#define CONSOLE_PIECE_BYTES 1600
extern char console_piece[CONSOLE_PIECE_BYTES];

/* Prints text as it is, without a line end: for JSON built in pieces. Yields. */
void say_raw(struct span text);
/* Asks "... (yes/no) " unless the command ended in yes; true for yes. The question has at most 100 characters and may be packed. Yields. */
bool confirm(const struct command_line *c, const char *question);
/* Reads one more line from the operator, without history. RC_CANCELLED on ^C, RC_TIMEOUT. The view lasts until the next. Yields. */
enum rc console_more(const char *prompt, bool hidden, struct deadline d, struct span *line) MUST_CHECK;
/* True if the operator wants a command ended that lasts: ^C. What else is typed meanwhile is kept for later, and a ^C behind that. */
bool console_interrupted(void);
/* The same for what a program sends: nothing is printed while it comes. Also RC_TOO_LONG. */
enum rc console_take_line(struct deadline d, struct span *line) MUST_CHECK;

struct command {
    const char *name;
    void (*run)(const struct command_line *c);
    /* How many words there may be, the command itself counts; 0: any number. Behind it J: `json` may follow as last word, or Y: `yes` may.
     * The same for each second word that has a rule of its own, which completion offers: "1J show3J retry3 drop3Y". */
    const char *words;
    bool takes_key; /* completes with settings keys */
};
extern const struct command commands[];
extern const unsigned command_count;
const char *command_arguments(const struct command *c); /* "[PREFIX]"; may be packed */

#endif
