/* The domains of one observation: those of the list, and the candidates. */
#ifndef POSTERN_OBSERVE_SUBJECTS_H
#define POSTERN_OBSERVE_SUBJECTS_H

#include "toolchain/tools/common/policy_json.h"
#include "toolchain/tools/postern-observe/decide.h"

struct subjects {
    struct subject *all; /* in the list's order */
    size_t count, cap;
};

/* All return false after saying on stderr what is wrong. */
bool subjects_add_list(struct subjects *s, struct policy_json *list);
bool subjects_add_candidates(struct subjects *s, const char *path);
/* Puts them into order; the same domain from both is one. To be called once, before those below. */
void subjects_sort(struct subjects *s);
struct subject *subjects_find(const struct subjects *s, const char *name); /* NULL: not one of them */
bool subjects_mark_followed(struct subjects *s, const char *path_or_all);
bool subjects_mark_excepted(struct subjects *s, const char *path);
void subjects_free(struct subjects *s);
/* The entry of a subject that was changed or added. */
void subject_set_policy(struct subject *s, const struct policy *p);

#endif
