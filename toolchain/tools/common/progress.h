/* How far a long command is, in one line on stderr that is written over; nothing unless it was switched on. */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

void progress_start(bool on);
/* At most ten lines a second are shown. total 0: not known. */
void progress_show(const char *what, uint64_t done, uint64_t total);
void progress_end(void); /* clears the line; before any other message */

#endif
