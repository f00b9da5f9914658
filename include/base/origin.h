/* The origin of an https address, which is who a request would go to, or a token is for (RFC 6454). Any thread. */
#ifndef KV_BASE_ORIGIN_H
#define KV_BASE_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>

/* All of it stands in the address that was read. */
struct kv_origin {
    const char *host;
    size_t host_len;
    unsigned long port; /* 443 where none is told */
    const char *path;   /* behind "https://host:port": "" or "/…" */
};
/* False: it does not begin with "https://host[:port]" of letters, digits, '-' and '.', and a path or its end; NULL does not. */
bool kv_origin_read(const char *url, struct kv_origin *ret);
bool kv_origin_equal(const struct kv_origin *a, const struct kv_origin *b);

#endif
