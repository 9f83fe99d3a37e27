/* Whether what is staged fits to the other settings, to the clock and to the box's addresses. To be asked before settings_commit. */
#ifndef FIRMWARE_SETTINGS_AGREE_H
#define FIRMWARE_SETTINGS_AGREE_H

#include "firmware/settings.h"

/* False: why has one line that names the settings. Does not yield. */
bool settings_agree(struct strbuf *why) MUST_CHECK;

#endif
