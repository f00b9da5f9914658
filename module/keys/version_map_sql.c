/* The statements of the version map and the few lines around them. */
#include "version_map_private.h"

#include <string.h>

#define VERSION_COLUMNS                                                                                      \
    "SELECT id, vault, name, version, kid, current, kind, hsm, bits, curve, operations, cka_id, "            \
    "spki_sha256, spki, state, enabled,"                                                                     \
    " nbf, exp, created, first_seen, seen, first_wrap, last_wrap, last_unwrap, wraps, managed,"              \
    " hsm_platform FROM version "
#define VERSION_REST                                                                                         \
    " AND (:vault IS NULL OR vault = :vault) AND (:version IS NULL OR version = :version) AND (:current = "  \
    "0 OR current = 1)"                                                                                      \
    " ORDER BY name, created DESC, version LIMIT :limit"

static const char *const sql[KV_SQL_COUNT] = {
    [KV_SQL_BEGIN] = "BEGIN IMMEDIATE",
    [KV_SQL_COMMIT] = "COMMIT",
    [KV_SQL_ROLLBACK] = "ROLLBACK",
    [KV_SQL_FIND_ID] = VERSION_COLUMNS "WHERE cka_id = :id AND (:name IS NULL OR name = :name)" VERSION_REST,
    [KV_SQL_FIND_SPKI] =
        VERSION_COLUMNS "WHERE spki_sha256 = :spki AND (:name IS NULL OR name = :name)" VERSION_REST,
    [KV_SQL_FIND_NAME] =
        VERSION_COLUMNS "WHERE vault = :vault AND name = :name AND (:version IS NULL OR version = :version)"
                        " AND (:current = 0 OR current = 1) ORDER BY created DESC, version LIMIT :limit",
    [KV_SQL_FIND_ALL] = VERSION_COLUMNS "WHERE (:name IS NULL OR name = :name)" VERSION_REST,
    [KV_SQL_STORE] =
        "INSERT INTO version (vault, name, version, kid, current, kind, hsm, bits, curve, operations, "
        "cka_id, spki_sha256, spki, state,"
        " enabled, nbf, exp, created, first_seen, seen, first_wrap, last_wrap, last_unwrap, wraps, managed,"
        " hsm_platform)"
        " VALUES (:vault, :name, :version, :kid, :current, :kind, :hsm, :bits, :curve, :operations, :id, "
        ":spki_sha256, :spki, :state,"
        " :enabled, :nbf, :exp, :created, :first_seen, :seen, :first_wrap, :last_wrap, :last_unwrap, :wraps,"
        " :managed, :hsm_platform)"
        " ON CONFLICT (vault, name, version) DO UPDATE SET kid = excluded.kid, current = excluded.current, "
        "kind = excluded.kind,"
        " hsm = excluded.hsm, bits = excluded.bits, curve = excluded.curve, operations = "
        "excluded.operations, cka_id = excluded.cka_id,"
        " spki_sha256 = excluded.spki_sha256, spki = excluded.spki, state = excluded.state, enabled = "
        "excluded.enabled,"
        " nbf = excluded.nbf, exp = excluded.exp, created = excluded.created,"
        " first_seen = iif(first_seen = 0, excluded.first_seen, min(first_seen, excluded.first_seen)), seen "
        "= max(seen, excluded.seen),"
        " first_wrap = iif(first_wrap = 0, excluded.first_wrap, first_wrap), last_wrap = max(last_wrap, "
        "excluded.last_wrap),"
        " last_unwrap = max(last_unwrap, excluded.last_unwrap), wraps = max(wraps, excluded.wraps),"
        " managed = max(managed, excluded.managed),"
        " hsm_platform = iif(excluded.hsm_platform = '', hsm_platform, excluded.hsm_platform)",
    [KV_SQL_UNCURRENT] = "UPDATE version SET current = 0 WHERE vault = :vault AND name = :name AND version "
                         "<> :version AND current = 1",
    [KV_SQL_LOCATE] =
        "INSERT INTO location (spki_sha256, kid, first_seen, seen) VALUES (:spki_sha256, :kid, :seen, :seen)"
        " ON CONFLICT (spki_sha256, kid) DO UPDATE SET seen = max(seen, excluded.seen)",
    [KV_SQL_VISITED] = "SELECT at, status FROM visit WHERE vault = :vault AND name = :name",
    [KV_SQL_VISIT] =
        "INSERT OR REPLACE INTO visit (vault, name, at, status) VALUES (:vault, :name, :at, :status)",
    [KV_SQL_CHALLENGE] = "SELECT authority, tenant, scope FROM challenge WHERE host = :host",
    [KV_SQL_LEARN] = "INSERT OR REPLACE INTO challenge (host, authority, tenant, scope) VALUES (:host, "
                     ":authority, :tenant, :scope)",
    [KV_SQL_WRAPPED] = "INSERT OR IGNORE INTO wrap (digest, vault, name, version, at, program)"
                       " VALUES (:digest, :vault, :name, :version, :at, :program)",
    [KV_SQL_WRAPPED_VERSION] =
        "UPDATE version SET wraps = wraps + 1, first_wrap = iif(first_wrap = 0, :at, min(first_wrap, :at)),"
        " last_wrap = max(last_wrap, :at) WHERE vault = :vault AND name = :name AND version = :version",
    [KV_SQL_WHO_WRAPPED] = "SELECT vault, name, version, at, program FROM wrap WHERE digest = :digest",
    [KV_SQL_UNWRAPPED] = "UPDATE version SET last_unwrap = max(last_unwrap, :at) WHERE vault = :vault AND "
                         "name = :name AND version = :version",
    [KV_SQL_CERTIFICATE] =
        "SELECT der, at FROM certificate"
        " WHERE vault = :vault AND name = :name AND version = :version AND source = :source",
    /* One that is known is never replaced: a certificate of a version does not change; that there is none may. */
    [KV_SQL_CERTIFY] =
        "INSERT INTO certificate (vault, name, version, source, der, at)"
        " VALUES (:vault, :name, :version, :source, :der, :at)"
        " ON CONFLICT (vault, name, version, source) DO UPDATE SET der = excluded.der, at = excluded.at"
        " WHERE length(der) = 0",
    [KV_SQL_CERTIFICATES] = "SELECT c.der, v.spki, c.vault, c.name, c.version FROM certificate c"
                            " LEFT JOIN version v USING (vault, name, version) WHERE length(c.der) > 0",
    [KV_SQL_BACKUP_PUT] =
        "INSERT OR REPLACE INTO backup (id, store, vault, name, version, created, keep_until, drilled, "
        "drill_result)"
        " VALUES (:id, :store, :vault, :name, :version, :created, :keep_until, :drilled, :drill_result)",
    [KV_SQL_BACKUPS] =
        "SELECT id, store, vault, name, version, created, keep_until, drilled, drill_result FROM backup"
        " WHERE :name IS NULL OR (vault = :vault AND name = :name AND version = :version) ORDER BY created, "
        "id",
};

/* A value that could not be bound for lack of memory would be NULL, and NULL asks for everything: such a statement is not run. */
static _Thread_local const sqlite3_stmt *unbound;

enum kv_status kv_map_statement(struct kv_map *map, enum kv_map_sql which, sqlite3_stmt **ret,
                                struct kv_error *err)
{
    if (!map->db)
        return kv_map_health(map, err) ? map->health.status
                                       : kv_fail(err, KV_IO, "the version map is not used in this process");

    sqlite3_stmt **kept = &map->statements[which];
    int code = *kept ? SQLITE_OK
                     : sqlite3_prepare_v3(map->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, kept, NULL);

    if (code != SQLITE_OK)
        return kv_map_failed(map, code, err);
    *ret = *kept;
    return KV_OK;
}

void kv_map_statement_cleanup(sqlite3_stmt **statement)
{
    if (!*statement)
        return;
    if (unbound == *statement)
        unbound = NULL;
    sqlite3_reset(*statement);
    sqlite3_clear_bindings(*statement);
}

static void bound(sqlite3_stmt *statement, int code)
{
    if (code != SQLITE_OK && code != SQLITE_RANGE)
        unbound = statement;
}

int kv_map_step(sqlite3_stmt *statement)
{
    if (statement != unbound)
        return sqlite3_step(statement);
    unbound = NULL;
    return SQLITE_NOMEM;
}

enum kv_status kv_map_step_done(struct kv_map *map, sqlite3_stmt *statement, struct kv_error *err)
{
    int code = kv_map_step(statement);

    return code == SQLITE_DONE ? KV_OK : kv_map_failed(map, code, err);
}

enum kv_status kv_map_run(struct kv_map *map, enum kv_map_sql which, struct kv_error *err)
{
    KV_AUTO_STATEMENT sqlite3_stmt *statement = NULL;

    KV_TRY(kv_map_statement(map, which, &statement, err));
    return kv_map_step_done(map, statement, err);
}

enum kv_status kv_map_begin(struct kv_map *map, struct kv_error *err)
{
    if (!map->writable)
        return kv_fail(err, KV_READ_ONLY, "version map '%s' is read-only: nothing was written to it",
                       map->path);
    return kv_map_run(map, KV_SQL_BEGIN, err);
}

enum kv_status kv_map_end(struct kv_map *map, enum kv_status status, struct kv_error *err)
{
    if (!status)
        status = kv_map_run(map, KV_SQL_COMMIT, err);
    /* A failed COMMIT and some failed statements leave the transaction open, others have rolled it back already. */
    if (status && !sqlite3_get_autocommit(map->db))
        (void)!kv_map_run(map, KV_SQL_ROLLBACK, NULL);
    return status;
}

#define REBUILD "restore a copy of it, or move it away and rebuild it with `kvp11 keys --refresh`"

static const struct {
    int code;
    enum kv_status status;
    const char *cause, *remedy;
} failures[] = {
    { SQLITE_FULL, KV_IO, "the disk is full",
      "free some space; what could not be written is learnt again from the vault" },
    { SQLITE_IOERR, KV_IO, "reading or writing failed",
      "look at the disk; what could not be written is learnt again from the vault" },
    { SQLITE_BUSY, KV_IO, "another process holds it for too long", "try again" },
    { SQLITE_LOCKED, KV_IO, "another process holds it for too long", "try again" },
    { SQLITE_READONLY, KV_READ_ONLY, "it is read-only",
      "give this user write permission on the file and its folder, or set `map` to another path" },
    { SQLITE_PERM, KV_IO, "permission denied",
      "give this user permission on the file and its folder, or set `map` to another path" },
    { SQLITE_CANTOPEN, KV_IO, "it cannot be opened",
      "look at its folder and permissions, or set `map` to another path" },
    { SQLITE_CORRUPT, KV_MAP_CORRUPT, "it is damaged", REBUILD },
    { SQLITE_NOTADB, KV_MAP_CORRUPT, "it is not a version map, or damaged", REBUILD },
    { SQLITE_ERROR, KV_MAP_CORRUPT, "its tables are not those of its format", REBUILD },
    { SQLITE_NOMEM, KV_NO_MEMORY, "out of memory", "try again" },
};

enum kv_status kv_map_failed(const struct kv_map *map, int code, struct kv_error *err)
{
    const char *path = map->file ? map->path : "in memory";

    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        if (failures[i].code == (code & 0xff))
            return kv_fail(err, failures[i].status, "version map '%s': %s: %s", path, failures[i].cause,
                           failures[i].remedy);
    return kv_fail(err, KV_IO, "version map '%s': %s (SQLite %d)", path, sqlite3_errstr(code), code);
}

void kv_map_bind_text(sqlite3_stmt *statement, const char *name, const char *value)
{
    bound(statement, sqlite3_bind_text(statement, sqlite3_bind_parameter_index(statement, name), value, -1,
                                       SQLITE_TRANSIENT));
}

void kv_map_bind_int(sqlite3_stmt *statement, const char *name, int64_t value)
{
    bound(statement, sqlite3_bind_int64(statement, sqlite3_bind_parameter_index(statement, name), value));
}

void kv_map_bind_blob(sqlite3_stmt *statement, const char *name, struct kv_view value)
{
    bound(statement,
          sqlite3_bind_blob(statement, sqlite3_bind_parameter_index(statement, name),
                            value.len ? (const void *)value.data : "", (int)value.len, SQLITE_TRANSIENT));
}

void kv_map_text(sqlite3_stmt *statement, int column, char *ret, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);

    kv_text_fit(ret, size, text ? text : "");
}
