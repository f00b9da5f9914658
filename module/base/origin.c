#include "base/origin.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

enum { PORT_DIGITS = 5 };

bool kv_origin_read(const char *url, struct kv_origin *ret)
{
    static const char scheme[] = "https://";
    if (!url || strncasecmp(url, scheme, sizeof scheme - 1) != 0)
        return false;
    struct kv_origin origin = { .host = url + sizeof scheme - 1, .port = 443 };
    origin.host_len = strspn(origin.host, LETTERS DIGITS "-.");
    origin.path = origin.host + origin.host_len;
    if (*origin.path == ':') {
        size_t len = strspn(++origin.path, DIGITS);
        if (!len || len > PORT_DIGITS)
            return false;
        origin.port = strtoul(origin.path, NULL, 10);
        origin.path += len;
    }
    if (!origin.host_len || (*origin.path && *origin.path != '/'))
        return false;
    *ret = origin;
    return true;
}

bool kv_origin_equal(const struct kv_origin *a, const struct kv_origin *b)
{
    return a->host_len == b->host_len && a->port == b->port &&
           strncasecmp(a->host, b->host, a->host_len) == 0;
}
