/* Whether and when to repeat a request: a pure function, no clock and no randomness of its own. Contract §9.3. */
#ifndef KV_NET_RETRY_H
#define KV_NET_RETRY_H

#include "base/bytes.h"

struct kv_retry_input {
    unsigned attempt;      /* attempts made so far, from 1 */
    bool idempotent;       /* GET, sign, decrypt…; never create, rotate, import */
    enum kv_status status; /* of the transport; KV_OK when a reply came */
    bool maybe_processed;  /* with a transport failure */
    int http; /* with KV_PROTOCOL: a reply came and is of no use, which repeating does not change */
    const char *retry_after, *retry_after_ms; /* headers as sent, "" : none */
    const char *date; /* that of the reply as sent, for a Retry-After date; NULL or "": none, then our own */
    int64_t unix_seconds; /* now */
    int64_t left_ms;      /* until the deadline */
    double jitter;        /* 0 ≤ x < 1 */
};

struct kv_retry_verdict {
    bool again;
    bool maybe_done; /* a change that may have been made all the same: find out before doing it again */
    bool for_all;    /* the service asks for the wait, so it holds for every thread: a cool-down */
    int64_t
        wait_ms; /* also without `again`: how long the service or the back-off asks to wait, 0: it does not */
};

struct kv_retry_verdict kv_retry_decide(const struct kv_retry_input *input);

/* A date of HTTP (RFC 9110 §5.6.7, IMF-fixdate) → unix seconds. */
bool kv_retry_read_date(const char *text, int64_t *ret);

#endif
