/* The commands of postern-image. Each gets its own argc and argv, with its name as argv[0], and returns the tool's exit code: 0 good, 1 the
 * input is at fault, 2 wrong usage. */
#ifndef TOOLS_POSTERN_IMAGE_COMMANDS_H
#define TOOLS_POSTERN_IMAGE_COMMANDS_H

#include "hal/base/rc.h"

int command_data(int argc, char **argv);
int command_list(int argc, char **argv);
int command_keys(int argc, char **argv);
int command_keyring(int argc, char **argv);
int command_sign(int argc, char **argv);
int command_verify(int argc, char **argv);
int command_delta(int argc, char **argv);
int command_text(int argc, char **argv);
int command_rescue(int argc, char **argv);

/* A rescued message as ID.eml and ID.json in that folder. RC_IO, RC_INVALID: said on stderr. */
struct rescued_mail;
enum rc rescued_mail_write(const struct rescued_mail *m, const char *folder) MUST_CHECK;

/* Prints the usage; returns 2. */
int bad_usage(void);
/* Prints "error: ..."; returns RC_INVALID. */
enum rc fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
