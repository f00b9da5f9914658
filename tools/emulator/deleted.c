/* Soft delete: asynchronous in a vault, at once on a Managed HSM and for the control API. Contract §10. */
#include "document.h"
#include "handlers.h"
#include "persist.h"

static int64_t settled(const struct em_call *call, enum em_setting latency)
{
    int64_t seconds = call->vault->hsm || call->at_once ? 0 : call->world->settings.value[latency];
    return call->now_ms + seconds * 1000;
}

static json_t *deleted_bundle(const struct em_call *call, const struct em_key *key)
{
    return em_document_deleted(call, key, em_document_shown(call, key, key->latest));
}

static bool deleted_not_found(struct em_call *call)
{
    if (call->vault->hsm)
        return em_call_not_found(call);
    return em_call_fail(call, call->certificate ? EM_DELETED_CERTIFICATE_NOT_FOUND : EM_DELETED_NOT_FOUND,
                        call->name);
}

/* A certificate is deleted, recovered and purged with its key; of the key alone only the state can be read. */
static struct em_key *find_deleted(const struct em_call *call)
{
    struct em_key *key = em_store_find(call->vault, call->name, call->now_ms);
    if (call->certificate && key && !key->certificate)
        return NULL;
    return key && em_key_state(key, call->now_ms) == EM_DELETED ? key : NULL;
}

static bool is_for_certificate(const struct em_call *call, const struct em_key *key)
{
    return key->certificate && !call->certificate;
}

/* Saves the key and answers; takes the reply. */
static bool finish(struct em_call *call, struct em_key *key, json_t *reply)
{
    if (em_persist_save(&call->world->store, call->vault, key, EM_DURABLE)) {
        em_call_json(call, reply);
        return true;
    }
    json_decref(reply);
    return em_call_fail(call, EM_STORAGE_FAILED);
}

bool em_deleted_delete(struct em_call *call)
{
    WRITE_STORE(&call->world->store);
    struct em_key *key = em_store_live(call->vault, call->name, call->now_ms);
    if (!key || (call->certificate && !key->certificate))
        return em_call_not_found(call);
    if (is_for_certificate(call, key))
        return em_call_fail(call, EM_KEY_IS_MANAGED, key->name);
    key->deleted = call->now;
    key->purge_at = call->now + (call->vault->hsm ? EM_RETENTION_HSM : EM_RETENTION_KV) * INT64_C(86400);
    key->settled_ms = settled(call, EM_DELETE_LATENCY);
    return finish(call, key, deleted_bundle(call, key));
}

bool em_deleted_get(struct em_call *call)
{
    READ_STORE(&call->world->store);
    const struct em_key *key = find_deleted(call);
    if (!key)
        return deleted_not_found(call);
    em_call_json(call, deleted_bundle(call, key));
    return true;
}

bool em_deleted_recover(struct em_call *call)
{
    WRITE_STORE(&call->world->store);
    struct em_key *key = find_deleted(call);
    if (!key)
        return deleted_not_found(call);
    if (is_for_certificate(call, key))
        return em_call_fail(call, EM_KEY_IS_MANAGED, key->name);
    key->deleted = key->purge_at = 0;
    key->settled_ms = settled(call, EM_RECOVER_LATENCY);
    return finish(call, key, em_document_shown(call, key, key->latest));
}

bool em_deleted_purge(struct em_call *call)
{
    struct em_store *store = &call->world->store;
    WRITE_STORE(store);
    struct em_key *key = find_deleted(call);
    if (!key)
        return deleted_not_found(call);
    if (call->world->settings.value[EM_PURGE_PROTECTION])
        return em_call_fail(call, EM_PURGE_FORBIDDEN);
    if (is_for_certificate(call, key))
        return em_call_fail(call, EM_KEY_IS_MANAGED, key->name);
    key->gone_ms = settled(call, EM_PURGE_LATENCY);
    bool at_once = em_key_state(key, call->now_ms) == EM_GONE;
    bool ok = at_once ? em_persist_remove(store, call->vault, key)
                      : em_persist_save(store, call->vault, key, EM_DURABLE);
    if (!ok)
        return em_call_fail(call, EM_STORAGE_FAILED);
    em_reply_text(call->reply, 204, NULL, "");
    return true;
}
