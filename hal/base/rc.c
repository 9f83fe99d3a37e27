#include "hal/base/rc.h"

static const char *const names[RC_COUNT] = {
    [RC_OK] = "ok",
    [RC_TIMEOUT] = "timeout",
    [RC_CANCELLED] = "cancelled",
    [RC_CLOSED] = "closed",
    [RC_RESET] = "reset",
    [RC_REFUSED] = "refused",
    [RC_UNREACHABLE] = "unreachable",
    [RC_PROTOCOL] = "protocol",
    [RC_TOO_LONG] = "too-long",
    [RC_TOO_SLOW] = "too-slow",
    [RC_TLS] = "tls",
    [RC_INVALID] = "invalid",
    [RC_NOT_FOUND] = "not-found",
    [RC_FULL] = "full",
    [RC_NO_MEMORY] = "no-memory",
    [RC_BUSY] = "busy",
    [RC_IO] = "io",
    [RC_CORRUPT] = "corrupt",
    [RC_EXPIRED] = "expired",
    [RC_UNSUPPORTED] = "unsupported",
};

const char *rc_name(enum rc rc)
{
    return (unsigned)rc < RC_COUNT ? names[rc] : "unknown";
}
