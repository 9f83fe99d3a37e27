/* Writes a policy.json (version 0.1) as STARTTLS Everywhere published it. */
#ifndef POSTERN_OBSERVE_PUBLISH_H
#define POSTERN_OBSERVE_PUBLISH_H

#include "toolchain/tools/postern-observe/subjects.h"

/* The subjects that are listed, with the aliases of the list from which they came. false: said on stderr, path is as it was. */
bool publish(const char *path, const struct subjects *s, const struct policy_json *list, const char *author, int64_t timestamp,
             int64_t expires);

#endif
