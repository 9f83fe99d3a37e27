/* The head of an HTTP/1.x response, line by line, and the chunk lines of its body (RFC 9110, RFC 9112). Push-style, without I/O: whoever
 * has a line gives it. Strict where two readers could differ about where a message ends, and each refusal has a name. */
#ifndef NET_HTTP_MESSAGE_H
#define NET_HTTP_MESSAGE_H

#include "hal/base/rc.h"
#include "hal/base/strbuf.h"

#define HTTP_FIELDS_MAX 100
#define HTTP_HEAD_BYTES_MAX (16u * 1024) /* all lines of a head together */

enum http_fault {
    HTTP_FAULT_NONE = 0,
    HTTP_FAULT_STATUS_LINE, /* no HTTP, or a version that is not 1.x */
    HTTP_FAULT_LINE_END,    /* a bare LF or CR */
    HTTP_FAULT_FIELD,       /* a field line that is none, or holds a control byte */
    HTTP_FAULT_FOLDED,      /* obs-fold */
    HTTP_FAULT_LENGTH,      /* Content-Length is no number */
    HTTP_FAULT_LENGTH_TWICE,
    HTTP_FAULT_LENGTH_AND_CODING, /* Content-Length beside Transfer-Encoding */
    HTTP_FAULT_TRANSFER_CODING,   /* other than one "chunked" */
    HTTP_FAULT_CONTENT_CODING,    /* compressed, though we did not ask for it */
    HTTP_FAULT_HEAD_TOO_LARGE,    /* HTTP_FIELDS_MAX, HTTP_HEAD_BYTES_MAX, or a field that matters is longer than a line may be */
    HTTP_FAULT_UNASKED,           /* 101, an answer before the question, or more than a few 1xx */
    HTTP_FAULT_RANGE,             /* a Content-Range that is none, or a 206 without one */
    HTTP_FAULT_CHUNK,             /* a chunk's size or end */
    HTTP_FAULT_TRUNCATED,         /* the connection ended within the message */
    HTTP_FAULT_BODY_TOO_LARGE,
    HTTP_FAULT_LOCATION,       /* a redirect to nowhere */
    HTTP_FAULT_INSECURE,       /* a redirect from https to http */
    HTTP_FAULT_REDIRECT_LOOP,  /* the same address again */
    HTTP_FAULT_REDIRECTS_MANY, /* more than the request allows */
    HTTP_FAULT_COUNT
};
const char *http_fault_text(enum http_fault f); /* for people, packed: "the answer has two lengths" */

enum http_framing { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED, HTTP_BODY_TO_CLOSE };

struct http_head {
    uint16_t status; /* 100..999; 0: none yet */
    bool complete;   /* the empty line has come */
    bool keep_alive; /* the connection may be used again, once the body is read */
    bool has_length, has_range, chunked;
    enum http_framing framing; /* once complete */
    uint64_t length;           /* with HTTP_BODY_LENGTH; for HEAD and 304 what a GET would have had, if has_length */
    uint64_t range_from, range_to,
        of_size;           /* Content-Range of a 206: both ends included; of_size UINT64_MAX: unknown. 416: of_size */
    int64_t date;          /* with Age added (RFC 9111 4.2.3); 0: none */
    int64_t retry_after_s; /* both forms; a date is counted from Date. -1: none */
    enum http_fault fault;
    /* the parser's own */
    bool to_head, has_coding, minor_0, said_close, said_keep_alive;
    uint16_t fields;
    uint32_t bytes, age_s;
    int64_t retry_at;
};

/* One field of the head: name as sent, value without blanks around it, both views. Called before what the field means is checked. */
typedef void (*http_on_field)(void *ctx, struct span name, struct span value);

/* to_head: the response is to a HEAD request, and so has no body. */
void http_head_init(struct http_head *h, bool to_head);
/* One line without its end. cut: it was longer than the caller's memory and line is its beginning. RC_OK: more is wanted unless
 * h->complete; RC_PROTOCOL, RC_TOO_LONG, RC_UNSUPPORTED with h->fault. on_field may be NULL. */
enum rc http_head_line(struct http_head *h, struct span line, bool cut, http_on_field on_field, void *ctx) MUST_CHECK;
/* chunk-size [chunk-ext]: RC_PROTOCOL unless 1..15 hex digits and then nothing, or an extension. */
enum rc http_chunk_size(struct span line, uint64_t *size) MUST_CHECK;
/* True if text is a token (RFC 9110 5.6.2), or a field value without control bytes: what may go out in a field of ours. */
bool http_is_token(struct span text);
bool http_is_value(struct span text);
/* "3600" or an HTTP-date (RFC 9110 10.2.3). Fills one of the two, the other stays. */
bool http_retry_after(struct span value, int64_t *seconds, int64_t *at);

#endif
