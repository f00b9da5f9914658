/* Backup blobs (contract §11): the service's prefix, then a compact JWE. Ours is sealed with a key of the emulator, so a
 * blob opens only where it was made, as the real ones open only in the same geography. */
#include <string.h>
#include "document.h"
#include "handlers.h"
#include "persist.h"

enum { PAST_VERSIONS_MAX = 500, NONCE = 12, TAG = 16 };

static const char prefix[] = "&AzureKeyVaultKeyBackupV1.microsoft.com";

static char *part(const unsigned char *data, size_t length)
{
    char *text = em_base64url(data, length);
    if (!text)
        em_die("out of memory");
    return text;
}

/* header . (no wrapped key) . nonce . ciphertext . tag */
static char *seal(const struct em_store *store, const char *text)
{
    AUTO_BLOB sealed = { 0 };
    char guid[EM_GUID_SIZE];
    struct em_blob plain = { (unsigned char *)(uintptr_t)text, strlen(text) };
    if (!em_seal(store->backup_key, plain, &sealed))
        return NULL;
    em_guid(guid);
    AUTO_TEXT header = em_format("{\"kid\":\"%s\",\"alg\":\"dir\",\"enc\":\"A256GCM\"}", guid);
    AUTO_TEXT head = part((unsigned char *)header, strlen(header));
    AUTO_TEXT nonce = part(sealed.data, NONCE);
    AUTO_TEXT body = part(sealed.data + NONCE, sealed.len - NONCE - TAG);
    AUTO_TEXT tag = part(sealed.data + sealed.len - TAG, TAG);
    AUTO_TEXT whole = em_format("%s%s..%s.%s.%s", prefix, head, nonce, body, tag);
    return part((unsigned char *)whole, strlen(whole));
}

static bool append(struct em_blob *blob, const char *text)
{
    AUTO_BLOB piece = { 0 };
    if (!text || !em_unbase64url(text, &piece))
        return false;
    unsigned char *longer = realloc(blob->data, blob->len + piece.len + 1);
    if (!longer)
        em_die("out of memory");
    memcpy(longer + blob->len, piece.data, piece.len);
    blob->data = longer;
    blob->len += piece.len;
    return true;
}

static json_t *open_blob(const struct em_store *store, const char *value)
{
    AUTO_BLOB raw = { 0 }, sealed = { 0 }, plain = { 0 };
    if (!em_unbase64url(value, &raw))
        return NULL;
    AUTO_TEXT text = em_format("%.*s", (int)raw.len, (char *)raw.data);
    if (!em_starts(text, prefix))
        return NULL;
    char *rest = text + strlen(prefix);
    const char *piece[5];
    for (int i = 0; i < 5; i++)
        piece[i] = strsep(&rest, ".");
    if (rest || !append(&sealed, piece[2]) || !append(&sealed, piece[3]) || !append(&sealed, piece[4]) ||
        !em_open(store->backup_key, sealed, &plain))
        return NULL;
    return json_loadb((char *)plain.data, plain.len, 0, NULL);
}

bool em_backup_make(struct em_call *call)
{
    struct em_store *store = &call->world->store;
    READ_STORE(store);
    const struct em_key *key = em_store_live(call->vault, call->name, call->now_ms);
    if (!key)
        return em_call_not_found(call);
    if (key->count > PAST_VERSIONS_MAX + 1)
        return em_call_fail(call, EM_BACKUP_TOO_MANY, key->name, PAST_VERSIONS_MAX);
    /* A Managed HSM's blobs open in its own security domain only. */
    AUTO_JSON inside =
        em_json(json_pack("{s:s, s:o}", "domain", call->vault->hsm ? call->vault->host : "vault", "key",
                          em_persist_document(key)));
    AUTO_TEXT text = json_dumps(inside, JSON_COMPACT);
    AUTO_TEXT value = text ? seal(store, text) : NULL;
    if (!value)
        return em_call_fail(call, EM_INTERNAL);
    em_call_json(call, json_pack("{s:s}", "value", value));
    return true;
}

static bool place(struct em_call *call, struct em_key *key)
{
    struct em_store *store = &call->world->store;
    WRITE_STORE(store);
    const struct em_key *old = em_store_find(call->vault, key->name, call->now_ms);
    if (old) {
        static const enum em_error refusals[] = { [EM_LIVE] = EM_NAME_IN_USE,
                                                  [EM_RECOVERING] = EM_BEING_RECOVERED,
                                                  [EM_DELETING] = EM_BEING_DELETED,
                                                  [EM_DELETED] = EM_IS_DELETED,
                                                  [EM_PURGING] = EM_BEING_DELETED };
        em_call_fail(call, refusals[em_key_state(old, call->now_ms)], key->name);
        em_key_free(key);
        return false;
    }
    key->settled_ms = 0;
    em_store_put_key(call->vault, key);
    json_t *bundle = em_document_bundle(call, key, key->latest);
    return em_call_saved(call, key, bundle);
}

bool em_backup_restore(struct em_call *call)
{
    const char *value;
    if (!em_call_required(call, call->body, "value", &value))
        return false;
    AUTO_JSON inside = open_blob(&call->world->store, value);
    const char *domain = json_string_value(json_object_get(inside, "domain"));
    struct em_key *key =
        inside ? em_persist_parse(&call->world->store, json_object_get(inside, "key")) : NULL;
    if (!key || !domain || strcmp(domain, call->vault->hsm ? call->vault->host : "vault") != 0) {
        em_key_free(key);
        return em_call_fail(call, EM_BACKUP_BAD);
    }
    return place(call, key);
}

static struct em_key *twin_of(struct em_call *call)
{
    struct em_store *store = &call->world->store;
    READ_STORE(store);
    const struct em_key *key = em_store_live(call->vault, call->name, call->now_ms);
    if (!key)
        return NULL;
    AUTO_JSON document = em_persist_document(key);
    return em_persist_parse(store, document);
}

/* As a restore leaves a key in another vault; or as another region of one Managed HSM has it, which no blob shows. */
bool em_backup_copy(struct em_call *call)
{
    const char *to;
    if (!em_call_required(call, call->body, "to", &to))
        return false;
    struct em_vault *target = em_store_vault_by_name(&call->world->store, to);
    if (!target || target == call->vault || target->hsm != call->vault->hsm)
        return em_call_error(call, 400, "BadParameter", NULL, "`to` is no other vault of the same kind");
    struct em_key *twin = twin_of(call);
    if (!twin)
        return em_call_not_found(call);
    const char *name = json_string_value(json_object_get(call->body, "as"));
    if (name) {
        free(twin->name);
        twin->name = em_copy(name);
    }
    call->vault = target;
    return place(call, twin);
}
