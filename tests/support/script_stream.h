/* A peer that follows a script, so that a dialogue is test data. One item a line:
 *
 *   > text      the peer sends text and CRLF          >_text   ... without CRLF
 *                                                     >~text   ... without CRLF; output may overtake what is left of it
 *   < text      the code under test must send text and CRLF; a "*" at the end stands for any rest of the line
 *   <_text      ... without CRLF
 *   close | reset | timeout   what the code's next read gets
 *   tls | tls-fail            the code under test must shake hands here
 *   # remark
 *
 * \r \n \0 \t \\ \xHH are escapes. What stands in order must happen in order: output that comes early or late, a read where
 * output is due, and a part of the script that is never reached are errors. Consecutive ">" arrive together. */
#ifndef TESTS_SUPPORT_SCRIPT_STREAM_H
#define TESTS_SUPPORT_SCRIPT_STREAM_H

#include "net/stream.h"

enum script_kind {
    SCRIPT_END,
    SCRIPT_SEND,
    SCRIPT_EXPECT,
    SCRIPT_CLOSE,
    SCRIPT_RESET,
    SCRIPT_TIMEOUT,
    SCRIPT_TLS,
    SCRIPT_TLS_FAIL
};

struct script_stream {
    const char *text; /* what of the script is still unread */
    unsigned line;
    size_t chunk; /* most bytes a read gives; 0: no limit */
    enum script_kind kind;
    bool late; /* ">~" */
    bool rest; /* "*": anything up to the line end */
    size_t len, at;
    char data[4096];
    char error[400]; /* "" while all goes as written */
    bool closed, aborted;
    uint64_t wait_ms; /* how long the last read would have waited */
    enum rc write_rc; /* what writes give instead of going through, if not RC_OK */
};

void script_stream_init(struct stream *s, struct script_stream *p, const char *script, size_t chunk);
/* For a test's own tls_session_start: true if a handshake is due now; *fail says whether it is to fail. */
bool script_stream_tls(struct script_stream *p, bool *fail);
/* "" when the script was followed to its end; else what went wrong. */
const char *script_stream_verdict(struct script_stream *p);

#endif
