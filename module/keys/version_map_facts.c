/* What the map knows beside versions: visits, challenges, the ledger of wraps, certificates. */
#include "version_map_private.h"

#include <string.h>

/* The status stands in the file by its name: numbers move when a row is added to status.def. */
static enum kv_status status_from_name(const char *name)
{
    for (int i = 0; i < KV_STATUS_COUNT; i++)
        if (!strcmp(name, kv_status_name((enum kv_status)i)))
            return (enum kv_status)i;
    return KV_INTERNAL;
}

enum kv_status kv_map_visited(struct kv_map *map, const char *vault, const char *name,
                              struct kv_map_visit *ret, struct kv_error *err)
{
    bool found = false;

    KV_MAP_LOCK(map);
    KV_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_VISITED, &statement, err));
    kv_map_bind_key(statement, vault, name ? name : "", NULL);
    KV_TRY(kv_map_step_found(map, statement, &found, err));
    *ret = (struct kv_map_visit){ 0 };
    if (found) {
        char status[32];
        kv_map_text(statement, 1, status, sizeof status);
        *ret = (struct kv_map_visit){ sqlite3_column_int64(statement, 0), status_from_name(status) };
    }
    return KV_OK;
}

enum kv_status kv_map_visit(struct kv_map *map, const char *vault, const char *name,
                            const struct kv_map_visit *visit, struct kv_error *err)
{
    KV_MAP_LOCK(map);
    if (!map->writable)
        return kv_map_begin(map, err);
    KV_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_VISIT, &statement, err));
    kv_map_bind_key(statement, vault, name ? name : "", NULL);
    kv_map_bind_int(statement, ":at", visit->at);
    kv_map_bind_text(statement, ":status", kv_status_name(visit->status));
    return kv_map_step_done(map, statement, err);
}

enum kv_status kv_map_challenge(struct kv_map *map, const char *host, struct kv_map_challenge *ret,
                                struct kv_error *err)
{
    bool found = false;

    KV_MAP_LOCK(map);
    KV_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_CHALLENGE, &statement, err));
    kv_map_bind_text(statement, ":host", host);
    KV_TRY(kv_map_step_found(map, statement, &found, err));
    *ret = (struct kv_map_challenge){ 0 };
    if (found) {
        kv_text_fit(ret->host, sizeof ret->host, host);
        kv_map_text(statement, 0, ret->authority, sizeof ret->authority);
        kv_map_text(statement, 1, ret->tenant, sizeof ret->tenant);
        kv_map_text(statement, 2, ret->scope, sizeof ret->scope);
    }
    return KV_OK;
}

enum kv_status kv_map_learn(struct kv_map *map, const struct kv_map_challenge *challenge,
                            struct kv_error *err)
{
    KV_MAP_LOCK(map);
    if (!map->writable)
        return kv_map_begin(map, err);
    KV_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_LEARN, &statement, err));
    kv_map_bind_text(statement, ":host", challenge->host);
    kv_map_bind_text(statement, ":authority", challenge->authority);
    kv_map_bind_text(statement, ":tenant", challenge->tenant);
    kv_map_bind_text(statement, ":scope", challenge->scope);
    return kv_map_step_done(map, statement, err);
}

enum kv_status kv_map_rotation(struct kv_map *map, const char *vault, const char *name,
                               struct kv_map_rotation *ret, struct kv_error *err)
{
    bool found = false;

    KV_MAP_LOCK(map);
    KV_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_ROTATION, &statement, err));
    kv_map_bind_key(statement, vault, name, NULL);
    KV_TRY(kv_map_step_found(map, statement, &found, err));
    *ret = (struct kv_map_rotation){ 0 };
    if (found)
        *ret = (struct kv_map_rotation){ sqlite3_column_int64(statement, 0),
                                         sqlite3_column_int64(statement, 1) };
    return KV_OK;
}

enum kv_status kv_map_rotating(struct kv_map *map, const char *vault, const char *name,
                               const struct kv_map_rotation *rotation, struct kv_error *err)
{
    KV_MAP_LOCK(map);
    if (!map->writable)
        return kv_map_begin(map, err);
    KV_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
    KV_TRY(kv_map_statement(map, rotation->at ? KV_SQL_ROTATING : KV_SQL_ROTATED, &statement, err));
    kv_map_bind_key(statement, vault, name, NULL);
    if (rotation->at) {
        kv_map_bind_int(statement, ":at", rotation->at);
        kv_map_bind_int(statement, ":after", rotation->after);
    }
    return kv_map_step_done(map, statement, err);
}

static void bind_wrap(sqlite3_stmt *statement, const struct kv_map_wrap *entry)
{
    kv_map_bind_key(statement, entry->vault, entry->name, entry->version);
    kv_map_bind_int(statement, ":at", entry->at);
}

static enum kv_status wrapped_one(struct kv_map *map, const struct kv_map_all *all, size_t i,
                                  struct kv_error *err)
{
    const struct kv_map_wrap *entry = (const struct kv_map_wrap *)all->items + i;
    KV_AUTO_STATEMENT sqlite3_stmt *insert = NULL, *count = NULL;

    KV_TRY(kv_map_statement(map, KV_SQL_WRAPPED, &insert, err));
    KV_TRY(kv_map_statement(map, KV_SQL_WRAPPED_VERSION, &count, err));
    bind_wrap(insert, entry);
    kv_map_bind_blob(insert, ":digest", (struct kv_view){ entry->digest, sizeof entry->digest });
    kv_map_bind_text(insert, ":program", entry->program);
    KV_TRY(kv_map_step_done(map, insert, err));
    if (!sqlite3_changes(map->db))
        return KV_OK; /* known already: it counts once */
    bind_wrap(count, entry);
    return kv_map_step_done(map, count, err);
}

enum kv_status kv_map_wrapped(struct kv_map *map, const struct kv_map_wrap *entries, size_t count,
                              struct kv_error *err)
{
    return kv_map_put_all(map, &(struct kv_map_all){ .items = entries, .count = count, .one = wrapped_one },
                          err);
}

enum kv_status kv_map_who_wrapped(struct kv_map *map, const unsigned char digest[32], struct kv_map_wrap *ret,
                                  struct kv_error *err)
{
    bool found = false;

    KV_MAP_LOCK(map);
    KV_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_WHO_WRAPPED, &statement, err));
    kv_map_bind_blob(statement, ":digest", (struct kv_view){ digest, 32 });
    KV_TRY(kv_map_step_found(map, statement, &found, err));
    *ret = (struct kv_map_wrap){ 0 };
    memcpy(ret->digest, digest, sizeof ret->digest);
    if (found) {
        kv_map_text(statement, 0, ret->vault, sizeof ret->vault);
        kv_map_text(statement, 1, ret->name, sizeof ret->name);
        kv_map_text(statement, 2, ret->version, sizeof ret->version);
        ret->at = sqlite3_column_int64(statement, 3);
        kv_map_text(statement, 4, ret->program, sizeof ret->program);
    }
    return KV_OK;
}

enum kv_status kv_map_unwrapped(struct kv_map *map, const struct kv_version *version, int64_t at,
                                struct kv_error *err)
{
    KV_MAP_LOCK(map);
    if (!map->writable)
        return kv_map_begin(map, err);
    KV_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_UNWRAPPED, &statement, err));
    kv_map_bind_key(statement, version->vault, version->name, version->version);
    kv_map_bind_int(statement, ":at", at);
    return kv_map_step_done(map, statement, err);
}

static void bind_certificate(sqlite3_stmt *statement, const struct kv_map_certificate *certificate)
{
    kv_map_bind_key(statement, certificate->vault, certificate->name, certificate->version);
    kv_map_bind_text(statement, ":source", certificate->source);
}

enum kv_status kv_map_certificate(struct kv_map *map, struct kv_map_certificate *certificate,
                                  struct kv_error *err)
{
    bool found = false;

    KV_MAP_LOCK(map);
    KV_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_CERTIFICATE, &statement, err));
    bind_certificate(statement, certificate);
    KV_TRY(kv_map_step_found(map, statement, &found, err));
    certificate->der = (struct kv_bytes){ 0 };
    certificate->at = 0;
    if (!found)
        return KV_OK;
    struct kv_view der = { sqlite3_column_blob(statement, 0), (size_t)sqlite3_column_bytes(statement, 0) };
    if (der.len && kv_bytes_copy(der, &certificate->der))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    certificate->at = sqlite3_column_int64(statement, 1);
    return KV_OK;
}

enum kv_status kv_map_certify_row(struct kv_map *map, const struct kv_map_certificate *certificate,
                                  struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *statement = NULL;
    KV_TRY(kv_map_statement(map, KV_SQL_CERTIFY, &statement, err));
    bind_certificate(statement, certificate);
    kv_map_bind_blob(statement, ":der", KV_VIEW(certificate->der));
    kv_map_bind_int(statement, ":at", certificate->at);
    return kv_map_step_done(map, statement, err);
}

enum kv_status kv_map_certify(struct kv_map *map, const struct kv_map_certificate *certificate,
                              struct kv_error *err)
{
    KV_MAP_LOCK(map);
    return map->writable ? kv_map_certify_row(map, certificate, err) : kv_map_begin(map, err);
}
