#include "http_private.h"

#include <string.h>

/* Of "host:port:address": up to the address. */
static size_t place_length(const char *entry)
{
    const char *port = strchr(entry, ':'), *address = port ? strchr(port + 1, ':') : NULL;
    return address ? (size_t)(address - entry) + 1 : strlen(entry);
}

static bool same_place(const char *entry, const char *other)
{
    size_t len = place_length(entry);
    return len == place_length(other) && strncasecmp(entry, other, len) == 0;
}

static bool first_of_its_place(char *const *entries, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (same_place(entries[i], entries[at]))
            return false;
    return true;
}

/* "host:port:address,address": libcurl tries them one after the other; of two entries for one place it would know the last alone. */
static enum kv_status gather(char *const *entries, size_t count, size_t first, struct curl_slist **list)
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    KV_TRY(kv_buffer_format(&text, "%s", entries[first]));
    for (size_t i = first + 1; i < count; i++)
        if (same_place(entries[first], entries[i]))
            KV_TRY(kv_buffer_format(&text, ",%s", entries[i] + place_length(entries[i])));
    struct curl_slist *longer = curl_slist_append(*list, (const char *)text.bytes.data);
    if (!longer)
        return KV_NO_MEMORY;
    *list = longer;
    return KV_OK;
}

enum kv_status kv_http_make_resolve(char *const *entries, size_t count, struct curl_slist **list)
{
    for (size_t i = 0; i < count; i++)
        if (first_of_its_place(entries, i))
            KV_TRY(gather(entries, count, i, list));
    return KV_OK;
}
