/* Authenticated time: what the Date of verified HTTPS answers says, of the two hosts that the box asks anyway: the list's and the ACME
 * directory's. With both set up only what they agree on counts (to HTTPS_AGREE_S), the earlier of the two; a single one's word counts alone,
 * but cannot move a running clock that is trusted (firmware/wallclock.h). Two URLs with one host are one witness. */
#ifndef FIRMWARE_TIME_WITNESS_H
#define FIRMWARE_TIME_WITNESS_H

#include <stdbool.h>
#include <stdint.h>

enum time_witness { WITNESS_LIST, WITNESS_ACME, TIME_WITNESSES };

#define HTTPS_AGREE_S 300

/* At boot, after errand_init: asks the ACME directory once a day. */
void time_witness_init(void);
/* w's answer said that it is unix_s now. 0: nothing said. Yields. */
void time_witness_heard(enum time_witness w, int64_t unix_s);

struct time_witness_view {
    const char *name; /* "list host" */
    bool configured, heard;
    int64_t says;   /* unix time that it is by its word, now */
    uint32_t age_s; /* since it was heard */
};
void time_witness_look(enum time_witness w, struct time_witness_view *out);

#endif
