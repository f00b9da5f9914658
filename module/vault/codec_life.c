/* Documents of a key's life beside its use: deleted keys, backups, rotation policies. */
#include "vault_private.h"

#include <string.h>
#include "base/encode.h"

#define bad(err, what) kv_fail(err, KV_PROTOCOL, "the reply's `%s` cannot be used", what)

void kv_vault_deleted_page_free(struct kv_vault_deleted_page *page)
{
    if (!page)
        return;
    free(page->items);
    kv_text_free(page->next);
    *page = (struct kv_vault_deleted_page){ 0 };
}

static enum kv_status read_item(const struct kv_json *item, struct kv_vault_deleted_item *ret)
{
    struct kv_vault_deleted_item deleted = { 0 };
    struct kv_kid kid;
    const char *text = kv_json_text(kv_json_get(item, "kid"));

    if (!text)
        return KV_PROTOCOL;
    KV_TRY(kv_kid_parse(text, &kid, NULL));
    memcpy(deleted.name, kid.name, sizeof deleted.name);
    KV_TRY(kv_codec_read_dates(item, &deleted.dates, NULL));
    *ret = deleted;
    return KV_OK;
}

enum kv_status kv_codec_read_deleted_page(const struct kv_json *document, struct kv_vault_deleted_page *ret,
                                          struct kv_error *err)
{
    KV_CLEANUP(kv_vault_deleted_page_free) struct kv_vault_deleted_page page = { 0 };
    const struct kv_json *list = NULL;

    KV_TRY(kv_codec_read_list(document, &list, &page.next, err));
    size_t count = kv_json_count(list);
    page.items = calloc(count ? count : 1, sizeof *page.items);
    if (!page.items)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a list of keys");
    for (size_t i = 0; i < count; i++) {
        if (read_item(kv_json_at(list, i), &page.items[page.count]) == KV_OK)
            page.count++;
        else
            page.broken++;
    }
    *ret = page;
    page = (struct kv_vault_deleted_page){ 0 };
    return KV_OK;
}

/* ---- backups ---- */

static bool is_base64url(const char *text)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t len = strlen(text);

    return len && len <= KV_VAULT_BLOB_MAX && strspn(text, allowed) == len;
}

enum kv_status kv_codec_read_backup(const struct kv_json *document, char **ret, struct kv_error *err)
{
    const char *value = kv_json_text(kv_json_get(document, "value"));

    if (!value || !is_base64url(value))
        return bad(err, "value");
    char *copy = kv_text_copy(value);
    if (!copy)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a backup");
    *ret = copy;
    return KV_OK;
}

char *kv_codec_write_restore(const char *blob)
{
    KV_AUTO_JSON struct kv_json *body = kv_json_object();

    if (!is_base64url(blob))
        return NULL;
    kv_json_put_text(body, "value", blob);
    return kv_json_print(body, false);
}

/* ---- rotation policies ---- */

static enum kv_status read_duration(const struct kv_json *object, const char *member,
                                    char ret[KV_DURATION_SIZE], struct kv_error *err)
{
    const struct kv_json *json = kv_json_get(object, member);
    const char *text = kv_json_text(json);

    if (!json)
        return KV_OK;
    if (!text || strspn(text, "PTYMWDHS0123456789.") != strlen(text) ||
        !kv_text_fit(ret, KV_DURATION_SIZE, text))
        return bad(err, member);
    return KV_OK;
}

/* Actions compare case-insensitively: a Managed HSM says "rotate". One that is not known says nothing to us. */
static enum kv_status read_action(const struct kv_json *item, struct kv_vault_policy *policy,
                                  struct kv_error *err)
{
    const struct kv_json *trigger = kv_json_get(item, "trigger");
    const char *type = kv_json_text(kv_json_get(kv_json_get(item, "action"), "type"));

    if (!type)
        return bad(err, "lifetimeActions");
    if (kv_text_equal_case(type, "Notify"))
        return read_duration(trigger, "timeBeforeExpiry", policy->notify_before, err);
    if (!kv_text_equal_case(type, "Rotate"))
        return KV_OK;
    KV_TRY(read_duration(trigger, "timeAfterCreate", policy->rotate_after, err));
    return read_duration(trigger, "timeBeforeExpiry", policy->rotate_before, err);
}

enum kv_status kv_codec_read_policy(const struct kv_json *document, struct kv_vault_policy *ret,
                                    struct kv_error *err)
{
    struct kv_vault_policy policy = { 0 };
    const struct kv_json *actions = kv_json_get(document, "lifetimeActions"),
                         *attributes = kv_json_get(document, "attributes");

    if ((actions && !kv_json_is_array(actions)) || kv_json_count(actions) > 16)
        return bad(err, "lifetimeActions");
    if (attributes && !kv_json_is_object(attributes))
        return bad(err, "attributes");
    for (size_t i = 0; i < kv_json_count(actions); i++)
        KV_TRY(read_action(kv_json_at(actions, i), &policy, err));
    KV_TRY(read_duration(attributes, "expiryTime", policy.expire_after, err));
    KV_TRY(kv_codec_read_time(attributes, "created", &policy.created, err));
    KV_TRY(kv_codec_read_time(attributes, "updated", &policy.updated, err));
    *ret = policy;
    return KV_OK;
}

enum kv_status kv_vault_policy_parse(struct kv_view text, struct kv_vault_policy *ret, struct kv_error *err)
{
    KV_AUTO_JSON struct kv_json *document = NULL;

    KV_TRY(kv_json_parse(text, &document, err));
    if (!kv_json_get(document, "lifetimeActions") && !kv_json_get(document, "attributes"))
        return kv_fail(err, KV_PROTOCOL, "it has neither `lifetimeActions` nor `attributes`");
    return kv_codec_read_policy(document, ret, err);
}

static void put_action(struct kv_json *actions, const char *type, const char *trigger, const char *duration)
{
    if (!*duration)
        return;
    struct kv_json *item = kv_json_object(), *when = kv_json_object(), *what = kv_json_object();
    kv_json_put_text(when, trigger, duration);
    kv_json_put_text(what, "type", type);
    kv_json_put(item, "trigger", when);
    kv_json_put(item, "action", what);
    kv_json_append(actions, item);
}

char *kv_codec_write_policy(const struct kv_vault_policy *policy)
{
    KV_AUTO_JSON struct kv_json *body = kv_json_object();
    struct kv_json *actions = kv_json_array(), *attributes = kv_json_object();

    put_action(actions, "Rotate", "timeAfterCreate", policy->rotate_after);
    put_action(actions, "Rotate", "timeBeforeExpiry", policy->rotate_before);
    put_action(actions, "Notify", "timeBeforeExpiry", policy->notify_before);
    if (*policy->expire_after)
        kv_json_put_text(attributes, "expiryTime", policy->expire_after);
    kv_json_put(body, "lifetimeActions", actions);
    kv_json_put(body, "attributes", attributes);
    return kv_json_print(body, false);
}
