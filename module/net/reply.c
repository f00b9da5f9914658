#include "reply.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { HEADER_BYTES_MAX = 64 << 10, CHALLENGES_MAX = 8 };

void kv_http_reply_free(struct kv_http_reply *reply)
{
    if (!reply)
        return;
    kv_bytes_free(&reply->body);
    for (size_t i = 0; i < reply->challenge_count; i++)
        free(reply->challenges[i]);
    free(reply->challenges);
    *reply = (struct kv_http_reply){ 0 };
}

void kv_reply_free(struct kv_reply *reply)
{
    kv_http_reply_free(&reply->http);
    kv_buffer_free(&reply->body);
}

size_t kv_reply_body(char *data, size_t one, size_t len, void *user)
{
    struct kv_reply *reply = user;
    if (kv_buffer_add(&reply->body, (struct kv_view){ (unsigned char *)data, one * len }) == KV_OK)
        return one * len;
    bool large = one * len > reply->body.limit - reply->body.bytes.len;
    reply->refused = large ? KV_PROTOCOL : KV_NO_MEMORY;
    return 0;
}

static const struct {
    const char *name;
    size_t offset, size;
} kept[] = {
#define KEPT(name, member)                                                                                   \
    name, offsetof(struct kv_http_reply, member), sizeof((struct kv_http_reply *)NULL)->member
    { KEPT("retry-after", retry_after) },
    { KEPT("retry-after-ms", retry_after_ms) },
    { KEPT("x-ms-retry-after-ms", retry_after_ms) },
    { KEPT("x-ms-request-id", request_id) },
    { KEPT("date", date) },
#undef KEPT
};

struct header {
    const char *name, *value;
    size_t name_len, value_len;
};

/* False: not "Name: value", or with characters that have no place in one. */
static bool split(const char *line, size_t len, struct header *ret)
{
    while (len &&
           (line[len - 1] == '\r' || line[len - 1] == '\n' || line[len - 1] == ' ' || line[len - 1] == '\t'))
        len--;
    const char *colon = memchr(line, ':', len), *end = line + len;
    if (!colon)
        return false;
    const char *value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    for (const char *at = value; at < end; at++) {
        if (*at < ' ' || *at > '~')
            return false;
    }
    *ret = (struct header){ line, value, (size_t)(colon - line), (size_t)(end - value) };
    return true;
}

static bool named(const struct header *header, const char *name)
{
    return header->name_len == strlen(name) && strncasecmp(header->name, name, header->name_len) == 0;
}

static bool keep_challenge(struct kv_http_reply *reply, const struct header *header)
{
    if (reply->challenge_count == CHALLENGES_MAX)
        return true;
    if (!reply->challenges)
        reply->challenges = calloc(CHALLENGES_MAX, sizeof *reply->challenges);
    char *copy = reply->challenges ? kv_text_copy_n(header->value, header->value_len) : NULL;
    if (copy)
        reply->challenges[reply->challenge_count++] = copy;
    return copy != NULL;
}

/* False when memory is short. */
static bool keep_header(struct kv_http_reply *reply, const struct header *header)
{
    if (named(header, "www-authenticate"))
        return keep_challenge(reply, header);
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        char *to = (char *)reply + kept[i].offset;
        if (!named(header, kept[i].name) || header->value_len >= kept[i].size)
            continue;
        memcpy(to, header->value, header->value_len);
        to[header->value_len] = 0;
    }
    return true;
}

size_t kv_reply_header(char *data, size_t one, size_t len, void *user)
{
    struct kv_reply *reply = user;
    struct header header;
    len *= one;
    reply->header_bytes += len;
    if (reply->header_bytes > HEADER_BYTES_MAX) {
        reply->refused = KV_PROTOCOL;
        return 0;
    }
    if (len >= 5 && strncmp(data, "HTTP/", 5) == 0) { /* of a 100, or of a connection that libcurl gave up */
        kv_http_reply_free(&reply->http);
        reply->head_whole = false;
        return len;
    }
    reply->head_whole = len && (data[0] == '\r' || data[0] == '\n');
    if (split(data, len, &header) && !keep_header(&reply->http, &header)) {
        reply->refused = KV_NO_MEMORY;
        return 0;
    }
    return len;
}
