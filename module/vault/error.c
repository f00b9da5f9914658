#include "vault_private.h"

#include <stdio.h>
#include <string.h>

/* Contract §8.3. The first row that fits decides; a NULL code and 0 key operations fit everything. */
static const struct {
    int http;
    const char *code; /* the outer or any inner one */
    unsigned key_ops;
    enum kv_status status;
    const char *remedy;
    bool recovers; /* what was deleted can be brought back: the remedy gets the command */
} rows[] = {
    { 400, NULL, KV_OP_DECRYPT, KV_BAD_CIPHERTEXT,
      "the data is not for this version, or not for this algorithm" },
    { 400, NULL, KV_OP_UNWRAP, KV_BAD_WRAPPED_KEY,
      "the data is not for this version, or not for this algorithm" },
    { 400, NULL, 0, KV_BAD_PARAMETER, "see what the service says" },
    { 401, NULL, 0, KV_CREDENTIAL, "check `tenant` and the credential" },
    { 403, "ForbiddenByRbac", 0, KV_DENIED,
      "assign a role that allows it, such as Key Vault Crypto User; it may take minutes to hold" },
    { 403, "ForbiddenByFirewall", 0, KV_BLOCKED, "let the vault's firewall admit this host's address" },
    { 403, "ForbiddenByConnection", 0, KV_BLOCKED, "reach the vault by its private endpoint" },
    { 403, "ForbiddenByPolicy", 0, KV_BLOCKED, "an Azure Policy forbids it: see the policy's assignment" },
    { 403, "KeyDisabled", 0, KV_DISABLED, "enable the version" },
    { 403, "SecretDisabled", 0, KV_DISABLED, "enable the version" },
    { 403, "KeyExpired", 0, KV_NOT_VALID, "it has expired: use a newer version" },
    { 403, "KeyNotYetValid", 0, KV_NOT_VALID,
      "its validity has not begun: use another version, or change `nbf`" },
    { 403, "KeyOperationForbidden", 0, KV_KEY_OPERATION, "add the operation to the version's key_ops" },
    { 403, NULL, 0, KV_DENIED, "grant the permission to this identity" },
    { 404, "KeyNotFound", 0, KV_NOT_FOUND, "if it was deleted, bring it back", true },
    { 404, "CertificateNotFound", 0, KV_NOT_FOUND, "there is no certificate of this version" },
    { 404, "NotFound", 0, KV_NOT_FOUND, "check its name" },
    { 409, "ObjectIsDeletedButRecoverable", 0, KV_CONFLICT,
      "bring the deleted key of this name back, or purge it first", true },
    { 409, "ObjectIsBeingDeleted", 0, KV_CONFLICT, "it is being deleted: repeat in some seconds" },
    { 409, "ObjectIsBeingRecovered", 0, KV_CONFLICT, "it is being recovered: repeat in some seconds" },
    { 409, NULL, 0, KV_CONFLICT, "see the key's state in the vault" },
    { 429, NULL, 0, KV_THROTTLED, "too many requests: repeat later, or spread the load" },
    { 408, NULL, 0, KV_SERVER, "repeat later" },
    { 500, NULL, 0, KV_SERVER, "repeat later" },
    { 502, NULL, 0, KV_SERVER, "repeat later" },
    { 503, NULL, 0, KV_SERVER, "repeat later" },
    { 504, NULL, 0, KV_SERVER, "repeat later" },
};

enum { INNER_MAX = 4 };

/* What the body says; every text "" when it does not, for the body may be empty or a proxy's page. */
struct said {
    char codes[INNER_MAX + 1][64]; /* outer first */
    size_t count;
    char message[400];
};

static const struct kv_json *inner_of(const struct kv_json *error)
{
    static const char *const names[] = { "innererror", "innerError", "InnerError" };
    const struct kv_json *found = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !found; i++)
        found = kv_json_get(error, names[i]);
    return found;
}

static void flatten(const char *text, char *ret, size_t size)
{
    size_t len = 0;
    for (; *text && len + 1 < size; text++) {
        bool space = (unsigned char)*text <= ' ';
        if (!space || (len && ret[len - 1] != ' '))
            ret[len++] = space ? ' ' : *text;
    }
    while (len && (ret[len - 1] == ' ' || ((unsigned char)ret[len - 1] & 0x80 && *text)))
        len--;
    ret[len] = 0;
}

/* As they stand in the contract, and fit to be shown: whatever else is there is no code of the service. */
static bool is_code(const char *text)
{
    return *text && !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")];
}

static void read_body(struct kv_view body, struct said *ret)
{
    *ret = (struct said){ 0 };
    KV_AUTO_JSON struct kv_json *json = NULL;
    if (kv_json_parse(body, &json, NULL) != KV_OK)
        return;
    const struct kv_json *error = kv_json_get(json, "error");
    const char *message = kv_json_text(kv_json_get(error, "message"));
    if (message)
        flatten(message, ret->message, sizeof ret->message);
    for (; error && ret->count <= INNER_MAX; error = inner_of(error)) {
        const char *code = kv_json_text(kv_json_get(error, "code"));
        if (code && is_code(code))
            kv_text_fit(ret->codes[ret->count++], sizeof ret->codes[0], code);
        else if (!inner_of(error))
            break;
    }
}

static bool has_code(const struct said *said, const char *code)
{
    for (size_t i = 0; i < said->count; i++) {
        if (kv_text_equal_case(said->codes[i], code))
            return true;
    }
    return false;
}

/* What is neither in the table nor a document of the service comes from something between us and it. */
static void choose(const struct kv_refusal *refusal, const struct said *said, enum kv_status *ret_status,
                   const char **ret_remedy, bool *ret_recovers)
{
    *ret_recovers = false;
    *ret_status = KV_PROTOCOL;
    *ret_remedy = "this is not an answer of Key Vault: check the url and any proxy";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].http != refusal->http || (rows[i].code && !has_code(said, rows[i].code)) ||
            (rows[i].key_ops && !(rows[i].key_ops & refusal->key_op)))
            continue;
        *ret_status = rows[i].status;
        *ret_remedy = rows[i].remedy;
        *ret_recovers = rows[i].recovers && refusal->name;
        return;
    }
}

/* "The vault is in read-only mode." is matched by *read-only-mode*. */
static bool matches_words(const struct kv_pair_list *patterns, const char *text)
{
    char joined[400];
    size_t len = 0;
    for (; *text && len + 1 < sizeof joined; text++)
        joined[len++] = *text == ' ' ? '-' : *text;
    joined[len] = 0;
    for (size_t i = 0; i < patterns->count; i++)
        if (kv_text_match(patterns->items[i], joined))
            return true;
    return false;
}

/* During a regional fail-over a vault is read-only (contract §10). What it says then is documented nowhere, so it is a setting. */
static bool is_read_only(const struct kv_refusal *refusal, const struct said *said)
{
    if (!refusal->read_only || refusal->http < 400 || refusal->http == 401 || refusal->http == 404)
        return false;
    for (size_t i = 0; i < said->count; i++)
        if (matches_words(refusal->read_only, said->codes[i]))
            return true;
    return matches_words(refusal->read_only, said->message);
}

static void name_target(const struct kv_refusal *refusal, char *ret, size_t size)
{
    if (!refusal->name)
        snprintf(ret, size, "vault '%s'", refusal->vault);
    else if (!refusal->version)
        snprintf(ret, size, "key '%s' in vault '%s'", refusal->name, refusal->vault);
    else
        snprintf(ret, size, "key '%s' version '%s' in vault '%s'", refusal->name, refusal->version,
                 refusal->vault);
}

enum kv_status kv_error_map(const struct kv_refusal *refusal, struct kv_error *err)
{
    struct said said;
    enum kv_status status;
    bool recovers = false;
    const char *remedy, *identity = refusal->identity ? refusal->identity : "";
    char target[KV_NAME_SIZE + KV_VERSION_SIZE + 128], command[64 + 2 * sizeof(struct kv_word)] = "";
    read_body(refusal->body, &said);
    choose(refusal, &said, &status, &remedy, &recovers);
    if (is_read_only(refusal, &said)) {
        status = KV_READ_ONLY;
        remedy = "the vault takes no changes now, as during the fail-over of a region: reading and "
                 "operations with "
                 "keys go on; repeat the change when it is over";
    }
    if (recovers)
        snprintf(command, sizeof command, ": `" KV_KEY_RECOVER "`", kv_word(refusal->vault).text,
                 kv_word(refusal->name).text);
    name_target(refusal, target, sizeof target);
    const char *code = said.count ? said.codes[said.count - 1] : "";
    const char *request_id = refusal->request_id ? refusal->request_id : "";
    bool who = identity[0] && status == KV_DENIED;
    status = kv_fail(err, status, "%s: %s: %s%s%s%s: HTTP %d%s%s%s%s%s; %s%s%s%s%s", target,
                     refusal->operation, kv_status_text(status), who ? " to identity '" : "",
                     who ? identity : "", who ? "'" : "", refusal->http, code[0] ? " " : "", code,
                     said.message[0] ? ", \"" : "", said.message, said.message[0] ? "\"" : "", remedy,
                     command, request_id[0] ? " (request id " : "", request_id, request_id[0] ? ")" : "");
    if (err) {
        err->http = refusal->http;
        kv_text_fit(err->code, sizeof err->code, code);
        kv_text_fit(err->request_id, sizeof err->request_id, request_id);
    }
    return status;
}
