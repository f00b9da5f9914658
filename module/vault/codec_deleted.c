#include "vault_private.h"

#include <string.h>

enum kv_status kv_codec_read_dates(const struct kv_json *bundle, struct kv_vault_deleted *ret,
                                   struct kv_error *err)
{
    KV_TRY(kv_codec_read_time(bundle, "deletedDate", &ret->deleted, err));
    return kv_codec_read_time(bundle, "scheduledPurgeDate", &ret->purge, err);
}

/* Contract §5: a DeletedKeyBundle; a vault without soft delete leaves its dates out. */
enum kv_status kv_codec_read_deleted(const struct kv_json *bundle, const char *name,
                                     struct kv_vault_deleted *ret, struct kv_error *err)
{
    struct kv_vault_deleted deleted = { 0 };
    const char *kid = kv_json_text(kv_json_get(kv_json_get(bundle, "key"), "kid"));

    if (!kid)
        return kv_fail(err, KV_PROTOCOL, "the reply's `kid` cannot be used");
    KV_TRY(kv_kid_check(kid, name, NULL, err));
    KV_TRY(kv_codec_read_dates(bundle, &deleted, err));
    *ret = deleted;
    return KV_OK;
}
