/* The commands of postern-list, one a file. Each gets its own name as argv[0] and returns the exit code: 0 good, 1 the input is at fault or
 * what was asked for is not there, 2 wrong usage. */
#ifndef POSTERN_LIST_COMMANDS_H
#define POSTERN_LIST_COMMANDS_H

#include "toolchain/tools/common/list_writer.h"

int command_compile(int argc, char **argv);
int command_show(int argc, char **argv);
int command_find(int argc, char **argv);
int command_stats(int argc, char **argv);
int command_verify(int argc, char **argv);
int command_diff(int argc, char **argv);
int command_export(int argc, char **argv);
int command_observe(int argc, char **argv);
int command_help(int argc, char **argv);

int bad_usage(void);                                                     /* prints the usage; 2 */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2))); /* one line "error: ..." on stderr; 1 */

#endif
