#include "vault_private.h"

#include <string.h>

enum kv_status kv_ops_check(const char *name, const char *version, struct kv_error *err)
{
    if (!kv_kid_name_valid(name))
        return kv_fail(err, KV_ARGUMENTS, "'%.150s' is not a key's name: 1 to 127 letters, digits and '-'",
                       name ? name : "");
    if (version && !kv_kid_version_valid(version))
        return kv_fail(err, KV_ARGUMENTS, "'%.150s' is not a version of a key", version);
    return KV_OK;
}

/* "https://host/keys/name/version/verb?api-version=7.6"; parts that are NULL are left out. */
char *kv_ops_url(const struct kv_vault *vault, const char *kind, const char *name, const char *version,
                 const char *verb)
{
    const struct kv_vault_config *config = vault->parts.config;
    const char *const parts[] = { config->url,        kind,
                                  name ? "/" : "",    name ? name : "",
                                  version ? "/" : "", version ? version : "",
                                  verb ? "/" : "",    verb ? verb : "",
                                  "?api-version=",    config->api_version };
    KV_AUTO_BUFFER struct kv_buffer url = { 0 };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (kv_buffer_add(&url, kv_view_text(parts[i])) != KV_OK)
            return NULL;
    }
    return (char *)kv_bytes_take(&url.bytes).data;
}

static char *make_url(const struct kv_vault *vault, const char *name, const char *version, const char *verb)
{
    return kv_ops_url(vault, "/keys", name, version, verb);
}

enum kv_status kv_ops_in_reply(const struct kv_vault *vault, const struct kv_request *request,
                               enum kv_status status, struct kv_error *err)
{
    if (err)
        err->maybe_done = !request->idempotent;
    return kv_fail_in(err, status, "vault '%s', '%s' of key '%s'%s", vault->parts.config->name,
                      request->operation, request->name,
                      request->idempotent ? "" : " is done, but the reply is of no use");
}

/* What it costs before anything is known of the key (contract §9.1). */
static const struct kv_cost least = { KV_LIMIT_USE, 1 };

static bool is_hsm(const char *kty)
{
    size_t len = kty ? strlen(kty) : 0;
    return len > 4 && kv_text_equal_case(kty + len - 4, "-HSM");
}

static struct kv_cost cost_of_new(enum kv_limit limit, bool hsm)
{
    return (struct kv_cost){ limit, limit == KV_LIMIT_CREATE ? kv_limiter_weight(KV_EC, 0, hsm) : 1 };
}

/* The reply tells what was asked of. */
static void settle_cost(struct kv_vault *vault, const struct kv_request *request,
                        const struct kv_vault_key *key)
{
    struct kv_cost real = request->cost;
    if (real.limit == KV_LIMIT_USE && key->bits >= 0)
        real.weight =
            kv_limiter_weight(key->kind, (unsigned)key->bits, key->hsm && !vault->parts.config->managed_hsm);
    if (real.limit == KV_LIMIT_CREATE)
        real = cost_of_new(real.limit, key->hsm);
    real.weight -= request->cost.weight;
    if (real.weight > 0)
        kv_limiter_owe(&vault->limiter, real, vault->parts.clock->steady_ms(vault->parts.clock));
}

/* A request whose reply is the bundle of the key that was asked for. */
enum kv_status kv_ops_send_for_key(struct kv_vault *vault, const struct kv_request *request,
                                   struct kv_vault_key *ret, struct kv_error *err)
{
    KV_AUTO_JSON struct kv_json *document = NULL;
    KV_CLEANUP(kv_vault_key_free) struct kv_vault_key key = { 0 };
    if (!request->url)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a request");
    KV_TRY(kv_request_send(vault, request, &document, err));
    enum kv_status status = kv_codec_read_key(document, &key, err);
    if (status == KV_OK)
        status = kv_kid_check(key.kid, request->name, request->version, err);
    if (status != KV_OK)
        return kv_ops_in_reply(vault, request, status, err);
    settle_cost(vault, request, &key);
    *ret = key;
    key = (struct kv_vault_key){ 0 };
    return KV_OK;
}

enum kv_status kv_vault_get_key(struct kv_vault *vault, const char *name, const char *version,
                                const struct kv_task *task, struct kv_vault_key *ret, struct kv_error *err)
{
    KV_TRY(kv_ops_check(name, version, err));
    KV_AUTO_FREE char *url = make_url(vault, name, version, NULL);
    struct kv_request request = {
        .method = "GET",
        .url = url,
        .idempotent = true,
        .operation = "get",
        .name = name,
        .version = version,
        .cost = least,
        .task = task,
    };
    return kv_ops_send_for_key(vault, &request, ret, err);
}

enum kv_status kv_vault_get_certificate(struct kv_vault *vault, const char *name, const char *version,
                                        const struct kv_task *task, struct kv_vault_certificate *ret,
                                        struct kv_error *err)
{
    KV_TRY(kv_ops_check(name, version ? version : "", err));
    if (vault->parts.config->managed_hsm)
        return kv_fail(err, KV_NOT_FOUND, "vault '%s' is a Managed HSM, which has no certificates",
                       vault->parts.config->name);
    KV_AUTO_FREE char *url = kv_ops_url(vault, "/certificates", name, version, NULL);
    KV_AUTO_JSON struct kv_json *document = NULL;
    struct kv_request request = {
        .method = "GET",
        .url = url,
        .idempotent = true,
        .operation = "get certificate",
        .name = name,
        .version = version,
        .cost = least,
        .task = task,
    };
    if (!url)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a request");
    KV_TRY(kv_request_send(vault, &request, &document, err));
    enum kv_status status = kv_codec_read_certificate(document, name, version, ret, err);
    return status == KV_OK ? KV_OK : kv_ops_in_reply(vault, &request, status, err);
}

enum kv_status kv_vault_get_deleted(struct kv_vault *vault, const char *name, const struct kv_task *task,
                                    struct kv_vault_deleted *ret, struct kv_error *err)
{
    KV_TRY(kv_ops_check(name, NULL, err));
    KV_AUTO_FREE char *url = kv_ops_url(vault, "/deletedkeys", name, NULL, NULL);
    KV_AUTO_JSON struct kv_json *document = NULL;
    struct kv_request request = {
        .method = "GET",
        .url = url,
        .idempotent = true,
        .operation = "get deleted key",
        .name = name,
        .cost = least,
        .task = task,
    };
    if (!url)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a request");
    KV_TRY(kv_request_send(vault, &request, &document, err));
    enum kv_status status = kv_codec_read_deleted(document, name, ret, err);
    return status == KV_OK ? KV_OK : kv_ops_in_reply(vault, &request, status, err);
}

enum kv_status kv_vault_list_page(struct kv_vault *vault, const struct kv_vault_list *list,
                                  const struct kv_task *task, struct kv_vault_page *ret, struct kv_error *err)
{
    if (list->name)
        KV_TRY(kv_ops_check(list->name, NULL, err));
    if (list->next && !kv_kid_same_origin(list->next, vault->parts.config->url))
        return kv_fail(err, KV_PROTOCOL,
                       "vault '%s' continues its list at '%.200s', another host; not followed",
                       vault->parts.config->name, list->next);
    KV_AUTO_FREE char *url = list->next ? kv_text_copy(list->next)
                                        : make_url(vault, list->name, NULL, list->name ? "versions" : NULL);
    KV_AUTO_JSON struct kv_json *document = NULL;
    struct kv_request request = {
        .method = "GET",
        .url = url,
        .idempotent = true,
        .operation = list->name ? "list versions" : "list",
        .name = list->name,
        .cost = least,
        .task = task,
    };
    if (!url)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a request");
    KV_TRY(kv_request_send(vault, &request, &document, err));
    enum kv_status status = kv_codec_read_page(document, list->name, ret, err);
    return status == KV_OK
               ? KV_OK
               : kv_fail_in(err, status, "vault '%s', '%s'", vault->parts.config->name, request.operation);
}

enum kv_status kv_vault_create_key(struct kv_vault *vault, const struct kv_vault_create *create,
                                   const struct kv_task *task, struct kv_vault_key *ret, struct kv_error *err)
{
    KV_TRY(kv_ops_check(create->name, NULL, err));
    KV_AUTO_FREE char *url = make_url(vault, create->name, NULL, "create");
    KV_AUTO_TEXT char *body = kv_codec_write_create(create);
    struct kv_request request = {
        .method = "POST",
        .url = body ? url : NULL,
        .body = kv_view_text(body),
        .operation = "create",
        .name = create->name,
        .cost = cost_of_new(KV_LIMIT_CREATE, is_hsm(create->kty)),
        .task = task,
    };
    return kv_ops_send_for_key(vault, &request, ret, err);
}

enum kv_status kv_vault_import_key(struct kv_vault *vault, const struct kv_vault_import *import,
                                   const struct kv_task *task, struct kv_vault_key *ret, struct kv_error *err)
{
    KV_TRY(kv_ops_check(import->name, NULL, err));
    KV_AUTO_FREE char *url = make_url(vault, import->name, NULL, NULL);
    KV_AUTO_BUFFER struct kv_buffer body = { 0 };
    enum kv_status status = kv_codec_write_import(import, &body);
    if (status != KV_OK)
        return kv_fail(err, status, "key '%s': no request to import it can be made", import->name);
    struct kv_request request = {
        .method = "PUT",
        .url = url,
        .body = KV_VIEW(body.bytes),
        .operation = "import",
        .name = import->name,
        .cost = cost_of_new(KV_LIMIT_IMPORT, false),
        .task = task,
    };
    return kv_ops_send_for_key(vault, &request, ret, err);
}

enum kv_status kv_vault_rotate_key(struct kv_vault *vault, const char *name, const struct kv_task *task,
                                   struct kv_vault_key *ret, struct kv_error *err)
{
    KV_TRY(kv_ops_check(name, NULL, err));
    KV_AUTO_FREE char *url = make_url(vault, name, NULL, "rotate");
    struct kv_request request = {
        .method = "POST",
        .url = url,
        .operation = "rotate",
        .name = name,
        .cost = cost_of_new(KV_LIMIT_CREATE,
                            false), /* [U]: a rotation makes a key, so it is taken for a creation */
        .task = task,
    };
    return kv_ops_send_for_key(vault, &request, ret, err);
}

enum kv_status kv_vault_update_key(struct kv_vault *vault, const struct kv_vault_update *update,
                                   const struct kv_task *task, struct kv_vault_key *ret, struct kv_error *err)
{
    KV_TRY(kv_ops_check(update->name, update->version, err));
    KV_AUTO_FREE char *url = make_url(vault, update->name, update->version, NULL);
    KV_AUTO_TEXT char *body = kv_codec_write_update(update);
    struct kv_request request = {
        .method = "PATCH",
        .url = body ? url : NULL,
        .body = kv_view_text(body),
        .idempotent = true, /* it sets values, whatever they were */
        .operation = "update",
        .name = update->name,
        .version = update->version,
        .cost = least,
        .task = task,
    };
    return kv_ops_send_for_key(vault, &request, ret, err);
}

/* ---- operations with a key ---- */

static const char *verb_of(unsigned operation)
{
    static const struct {
        unsigned operation;
        const char *verb;
    } verbs[] = {
        { KV_OP_ENCRYPT, "encrypt" }, { KV_OP_DECRYPT, "decrypt" },  { KV_OP_SIGN, "sign" },
        { KV_OP_WRAP, "wrapkey" },    { KV_OP_UNWRAP, "unwrapkey" }, { KV_OP_VERIFY, "verify" },
    };
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (verbs[i].operation == operation)
            return verbs[i].verb;
    }
    return NULL;
}

static enum kv_status send_op(struct kv_vault *vault, const struct kv_request *request,
                              struct kv_vault_result *ret, struct kv_error *err)
{
    KV_AUTO_JSON struct kv_json *document = NULL;
    KV_CLEANUP(kv_vault_result_free) struct kv_vault_result result = { 0 };
    char kid[KV_KID_SIZE];
    KV_TRY(kv_request_send(vault, request, &document, err));
    bool verifies = request->key_op == KV_OP_VERIFY;
    enum kv_status status = verifies ? kv_codec_read_verdict(document, &result, kid, err)
                                     : kv_codec_read_result(document, &result, kid, err);
    if (status == KV_OK && (kid[0] || !verifies))
        status = kv_kid_check(kid, request->name, request->version, err);
    if (status != KV_OK)
        return kv_ops_in_reply(vault, request, status, err);
    *ret = result;
    result = (struct kv_vault_result){ 0 };
    return KV_OK;
}

enum kv_status kv_vault_key_op(struct kv_vault *vault, const struct kv_vault_op *op,
                               const struct kv_task *task, struct kv_vault_result *ret, struct kv_error *err)
{
    const char *verb = verb_of(op->operation);
    KV_TRY(kv_ops_check(op->name, op->version ? op->version : "", err));
    if (!verb)
        return kv_fail(err, KV_ARGUMENTS, "key '%s': there is no such operation", op->name);
    KV_AUTO_FREE char *url = make_url(vault, op->name, op->version, verb);
    KV_AUTO_BUFFER struct kv_buffer body = { 0 };
    enum kv_status status = kv_codec_write_op(op, &body);
    if (!url || status == KV_NO_MEMORY)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a request");
    if (status != KV_OK)
        return kv_fail(err, status, "key '%s': '%s' cannot be asked for with algorithm '%.40s'", op->name,
                       verb, op->alg);
    struct kv_request request = {
        .method = "POST",
        .url = url,
        .body = KV_VIEW(body.bytes),
        .idempotent = true,
        .operation = verb,
        .key_op = op->operation,
        .name = op->name,
        .version = op->version,
        .alg = op->alg,
        .cost = { KV_LIMIT_USE,
                  kv_limiter_weight(op->kind, op->bits, op->hsm && !vault->parts.config->managed_hsm) },
        .task = task,
    };
    return send_op(vault, &request, ret, err);
}

/* ---- random bytes ---- */

enum kv_status kv_vault_random(struct kv_vault *vault, size_t len, const struct kv_task *task,
                               struct kv_bytes *ret, struct kv_error *err)
{
    const struct kv_vault_config *config = vault->parts.config;
    KV_AUTO_JSON struct kv_json *document = NULL;
    if (!len || len > KV_VAULT_RANDOM_MAX)
        return kv_fail(err, KV_ARGUMENTS, "vault '%s': 1 to %d random bytes can be asked for, not %zu",
                       config->name, KV_VAULT_RANDOM_MAX, len);
    KV_AUTO_TEXT char *url = kv_text_format("%s/rng?api-version=%s", config->url, config->api_version);
    KV_AUTO_TEXT char *body = kv_codec_write_random(len);
    if (!url || !body)
        return kv_fail(err, KV_NO_MEMORY, "no memory for a request");
    struct kv_request request = {
        .method = "POST",
        .url = url,
        .body = kv_view_text(body),
        .idempotent = true, /* bytes that got lost are nobody's */
        .operation = "rng",
        .cost = least,
        .task = task,
    };
    KV_TRY(kv_request_send(vault, &request, &document, err));
    enum kv_status status = kv_codec_read_random(document, len, ret, err);
    return status == KV_OK ? KV_OK : kv_fail_in(err, status, "vault '%s', 'rng'", config->name);
}
