#include "base/bytes.h"

#include <openssl/crypto.h>
#include <string.h>
#include "base/locked.h"

struct kv_view kv_view_text(const char *text)
{
    return (struct kv_view){ (const unsigned char *)text, text ? strlen(text) : 0 };
}

struct kv_view kv_view_minimal(struct kv_view number)
{
    while (number.len && !number.data[0])
        number = (struct kv_view){ number.data + 1, number.len - 1 };
    return number;
}

bool kv_view_equal(struct kv_view a, struct kv_view b)
{
    return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

bool kv_view_equal_ct(struct kv_view a, struct kv_view b)
{
    return a.len == b.len && (!a.len || !CRYPTO_memcmp(a.data, b.data, a.len));
}

enum kv_status kv_bytes_alloc(size_t len, struct kv_bytes *ret)
{
    unsigned char *data = calloc(1, len ? len : 1);

    if (!data)
        return KV_NO_MEMORY;
    *ret = (struct kv_bytes){ data, len, false };
    return KV_OK;
}

enum kv_status kv_bytes_copy(struct kv_view from, struct kv_bytes *ret)
{
    struct kv_bytes copy;

    KV_TRY(kv_bytes_alloc(from.len, &copy));
    if (from.len)
        memcpy(copy.data, from.data, from.len);
    *ret = copy;
    return KV_OK;
}

void kv_bytes_free(struct kv_bytes *bytes)
{
    if (!bytes)
        return;
    if (bytes->locked) {
        kv_locked_free(bytes->data);
    } else {
        kv_wipe(bytes->data, bytes->len);
        free(bytes->data);
    }
    *bytes = (struct kv_bytes){ 0 };
}

struct kv_bytes kv_bytes_take(struct kv_bytes *bytes)
{
    struct kv_bytes taken = *bytes;

    *bytes = (struct kv_bytes){ 0 };
    return taken;
}

void kv_wipe(void *data, size_t len)
{
    if (data && len)
        OPENSSL_cleanse(data, len);
}
