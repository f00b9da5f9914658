#include "seen.h"

#include <string.h>
#include "cipher.h"
#include "mech/local.h"

struct kv_cms_seen {
    unsigned char key[KV_CMS_KEY_MAX];
    unsigned char (*marks)[KV_CMS_TAG_MAX];
    size_t count, room;
};

enum kv_status kv_cms_seen_new(struct kv_cms_seen **ret, struct kv_error *err)
{
    KV_AUTO_CMS_SEEN struct kv_cms_seen *seen = calloc(1, sizeof(*seen));
    if (!seen)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (kv_random_bytes(seen->key, sizeof(seen->key)) != KV_OK)
        return kv_fail(err, KV_INTERNAL, "no random bytes");
    *ret = kv_take(seen);
    return KV_OK;
}

void kv_cms_seen_free(struct kv_cms_seen *seen)
{
    if (!seen)
        return;
    free(seen->marks);
    kv_wipe(seen, sizeof(*seen));
    free(seen);
}

enum kv_status kv_cms_seen_mark(const struct kv_cms_seen *seen, uint64_t number, struct kv_view piece,
                                unsigned char ret[KV_CMS_TAG_MAX], struct kv_error *err)
{
    unsigned char nonce[KV_CMS_NONCE] = { 0 };
    for (size_t i = 0; i < sizeof(number); i++)
        nonce[sizeof(nonce) - 1 - i] = (unsigned char)(number >> (8 * i));
    return kv_cms_gmac((struct kv_view){ seen->key, sizeof(seen->key) }, nonce, piece, ret, err);
}

enum kv_status kv_cms_seen_add(struct kv_cms_seen *seen, const unsigned char mark[KV_CMS_TAG_MAX],
                               struct kv_error *err)
{
    if (seen->count == seen->room) {
        size_t room = seen->room ? 2 * seen->room : 64;
        void *marks = reallocarray(seen->marks, room, sizeof(*seen->marks));
        if (!marks)
            return kv_fail(err, KV_NO_MEMORY, "out of memory");
        seen->marks = marks;
        seen->room = room;
    }
    memcpy(seen->marks[seen->count++], mark, KV_CMS_TAG_MAX);
    return KV_OK;
}

enum kv_status kv_cms_seen_confirm(const struct kv_cms_seen *seen, uint64_t number, struct kv_view piece,
                                   bool last, struct kv_error *err)
{
    unsigned char mark[KV_CMS_TAG_MAX];
    bool known = number < seen->count && last == (number == seen->count - 1);
    if (known)
        KV_TRY(kv_cms_seen_mark(seen, number, piece, mark, err));
    return known && kv_view_equal_ct((struct kv_view){ mark, sizeof(mark) },
                                     (struct kv_view){ seen->marks[number], sizeof(mark) })
               ? KV_OK
               : kv_fail(
                     err, KV_BAD_CIPHERTEXT,
                     "the file was changed while it was read: it is not the content that was authenticated");
}
