/* What is remembered between observations, as a JSON file:
 *   {"version": "1", "observed": TIME, "domains": {NAME: {"follows": BOOL, "first-valid": TIME, "last-valid": TIME, "max-age": SECONDS,
 *   "id": TEXT}, ...}}
 * with times in RFC 3339. Members that say nothing are left out. */
#ifndef POSTERN_OBSERVE_STATE_H
#define POSTERN_OBSERVE_STATE_H

#include "toolchain/tools/postern-observe/subjects.h"

/* Reads the memory of each subject; a file that is not there yet is an empty one. observed: when that was, 0: never. false: said on stderr. */
bool state_read(const char *path, struct subjects *s, int64_t *observed);
bool state_write(const char *path, const struct subjects *s, int64_t observed);

#endif
