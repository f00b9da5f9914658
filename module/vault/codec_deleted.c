#include "vault_private.h"

#include <string.h>

static enum kv_status read_date(const struct kv_json *bundle, const char *member, int64_t *ret,
                                struct kv_error *err)
{
    const struct kv_json *date = kv_json_get(bundle, member);

    if (date && (!kv_json_int(date, ret) || *ret < 0))
        return kv_fail(err, KV_PROTOCOL, "the reply's `%s` cannot be used", member);
    return KV_OK;
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
    KV_TRY(read_date(bundle, "deletedDate", &deleted.deleted, err));
    KV_TRY(read_date(bundle, "scheduledPurgeDate", &deleted.purge, err));
    *ret = deleted;
    return KV_OK;
}
