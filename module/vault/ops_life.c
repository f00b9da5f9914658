/* Verbs on a key's life beside its use: deleted keys and their recovery, backups, rotation policies. */
#include "vault_private.h"

#include <string.h>

static const struct kv_cost least = { KV_LIMIT_USE, 1 };

/* Sends and leaves the document to the caller. */
static enum kv_status send(struct kv_vault *vault, const struct kv_request *request, struct kv_json **ret,
                           struct kv_error *err)
{
    if (!request->url)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a request");
    return kv_request_send(vault, request, ret, err);
}

/* ---- deleted keys ---- */

enum kv_status kv_vault_list_deleted(struct kv_vault *vault, const char *next, const struct kv_task *task,
                                     struct kv_vault_deleted_page *ret, struct kv_error *err)
{
    const struct kv_vault_config *config = vault->parts.config;
    if (next && !kv_kid_same_origin(next, config->url))
        return kv_fail(err, KV_PROTOCOL,
                       "vault '%s' continues its list at '%.200s', another host; not followed", config->name,
                       next);
    KV_AUTO_FREE char *url = next ? kv_text_copy(next) : kv_ops_url(vault, "/deletedkeys", NULL, NULL, NULL);
    KV_AUTO_JSON struct kv_json *document = NULL;
    struct kv_request request = {
        .method = "GET",
        .url = url,
        .idempotent = true,
        .operation = "list deleted keys",
        .cost = least,
        .task = task,
    };
    KV_TRY(send(vault, &request, &document, err));
    enum kv_status status = kv_codec_read_deleted_page(document, ret, err);
    return status == KV_OK ? KV_OK
                           : kv_fail_in(err, status, "vault '%s', '%s'", config->name, request.operation);
}

enum kv_status kv_vault_recover_key(struct kv_vault *vault, const char *name, const struct kv_task *task,
                                    struct kv_error *err)
{
    KV_TRY(kv_ops_check(name, NULL, err));
    KV_AUTO_FREE char *url = kv_ops_url(vault, "/deletedkeys", name, NULL, "recover");
    KV_CLEANUP(kv_vault_key_free) struct kv_vault_key key = { 0 };
    struct kv_request request = {
        .method = "POST",
        .url = url,
        .operation = "recover",
        .name = name,
        .cost = least,
        .task = task,
    };
    return kv_ops_send_for_key(vault, &request, &key, err);
}

/* ---- backups ---- */

enum kv_status kv_vault_backup_key(struct kv_vault *vault, const char *name, const struct kv_task *task,
                                   char **ret, struct kv_error *err)
{
    KV_TRY(kv_ops_check(name, NULL, err));
    KV_AUTO_FREE char *url = kv_ops_url(vault, "/keys", name, NULL, "backup");
    KV_AUTO_JSON struct kv_json *document = NULL;
    struct kv_request request = {
        .method = "POST",
        .url = url,
        .idempotent = true, /* it changes nothing in the vault */
        .operation = "backup",
        .name = name,
        .cost = least,
        .task = task,
    };
    KV_TRY(send(vault, &request, &document, err));
    enum kv_status status = kv_codec_read_backup(document, ret, err);
    return status == KV_OK ? KV_OK : kv_ops_in_reply(vault, &request, status, err);
}

enum kv_status kv_vault_restore_key(struct kv_vault *vault, const char *blob, const struct kv_task *task,
                                    struct kv_vault_key *ret, struct kv_error *err)
{
    const char *name = vault->parts.config->name;
    KV_AUTO_FREE char *url = kv_ops_url(vault, "/keys", NULL, NULL, "restore");
    KV_AUTO_TEXT char *body = kv_codec_write_restore(blob);
    KV_AUTO_JSON struct kv_json *document = NULL;
    if (!body)
        return kv_fail(err, KV_BAD_DATA, "vault '%s': this is no backup of a key", name);
    struct kv_request request = {
        .method = "POST",
        .url = url,
        .body = kv_view_text(body),
        .operation = "restore",
        .cost = { KV_LIMIT_IMPORT, 1 },
        .task = task,
    };
    KV_TRY(send(vault, &request, &document, err));
    enum kv_status status = kv_codec_read_key(document, ret, err);
    if (status == KV_OK)
        return KV_OK;
    if (err)
        err->maybe_done = true;
    return kv_fail_in(err, status, "vault '%s': the key is restored, but the reply is of no use", name);
}

/* ---- rotation policies ---- */

static enum kv_status send_policy(struct kv_vault *vault, const struct kv_request *request,
                                  struct kv_vault_policy *ret, struct kv_error *err)
{
    KV_AUTO_JSON struct kv_json *document = NULL;
    KV_TRY(send(vault, request, &document, err));
    enum kv_status status = kv_codec_read_policy(document, ret, err);
    return status == KV_OK ? KV_OK : kv_ops_in_reply(vault, request, status, err);
}

enum kv_status kv_vault_get_policy(struct kv_vault *vault, const char *name, const struct kv_task *task,
                                   struct kv_vault_policy *ret, struct kv_error *err)
{
    KV_TRY(kv_ops_check(name, NULL, err));
    KV_AUTO_FREE char *url = kv_ops_url(vault, "/keys", name, NULL, "rotationpolicy");
    struct kv_request request = {
        .method = "GET",
        .url = url,
        .idempotent = true,
        .operation = "get rotation policy",
        .name = name,
        .cost = least,
        .task = task,
    };
    return send_policy(vault, &request, ret, err);
}

enum kv_status kv_vault_set_policy(struct kv_vault *vault, const char *name,
                                   const struct kv_vault_policy *policy, const struct kv_task *task,
                                   struct kv_vault_policy *ret, struct kv_error *err)
{
    KV_TRY(kv_ops_check(name, NULL, err));
    KV_AUTO_FREE char *url = kv_ops_url(vault, "/keys", name, NULL, "rotationpolicy");
    KV_AUTO_TEXT char *body = kv_codec_write_policy(policy);
    struct kv_request request = {
        .method = "PUT",
        .url = body ? url : NULL,
        .body = kv_view_text(body),
        .idempotent = true, /* it sets values, whatever they were */
        .operation = "set rotation policy",
        .name = name,
        .cost = least,
        .task = task,
    };
    return send_policy(vault, &request, ret, err);
}
