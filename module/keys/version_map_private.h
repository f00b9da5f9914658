/* What the files of the version map share: the handle, its prepared statements, and how SQLite's errors become ours. */
#ifndef KV_KEYS_VERSION_MAP_PRIVATE_H
#define KV_KEYS_VERSION_MAP_PRIVATE_H

#include <pthread.h>
#include <sqlite3.h>
#include "keys/version_map.h"

extern const char *const kv_map_steps[];
extern const int kv_map_step_count;

/* Every statement that is used more than once in the life of a process, by what it does. */
enum kv_map_sql {
    KV_SQL_BEGIN,
    KV_SQL_COMMIT,
    KV_SQL_ROLLBACK,
    KV_SQL_FIND_ID,
    KV_SQL_FIND_SPKI,
    KV_SQL_FIND_NAME,
    KV_SQL_FIND_ALL,
    KV_SQL_STORE,
    KV_SQL_UNCURRENT,
    KV_SQL_LOCATE,
    KV_SQL_VISITED,
    KV_SQL_VISIT,
    KV_SQL_CHALLENGE,
    KV_SQL_LEARN,
    KV_SQL_WRAPPED,
    KV_SQL_WRAPPED_VERSION,
    KV_SQL_WHO_WRAPPED,
    KV_SQL_UNWRAPPED,
    KV_SQL_CERTIFICATE,
    KV_SQL_CERTIFY,
    KV_SQL_CERTIFICATES,
    KV_SQL_BACKUP_PUT,
    KV_SQL_BACKUPS,
    KV_SQL_COUNT
};

struct kv_map {
    char *path;         /* as it was asked for; NULL: in memory by wish */
    char *file;         /* the same without links; NULL: in memory */
    sqlite3 *db;        /* NULL: SQLite may not be called, or the handle was forgotten */
    sqlite3 *inherited; /* a parent's: never to be touched, but not lost sight of */
    bool writable;
    struct kv_error health; /* status KV_OK: it is the file */
    pthread_mutex_t lock;
    sqlite3_stmt *statements[KV_SQL_COUNT];
};

/* In a child: was its parent inside SQLite when it forked? kv_map_forked asks once, before the first map of the child. */
bool kv_map_torn(void);
void kv_map_forked(void);

/* Holds the map's lock for a scope. */
void kv_map_enter(struct kv_map *map);
void kv_map_leave(struct kv_map *map);
static inline void kv_map_leave_cleanup(struct kv_map **map)
{
    kv_map_leave(*map);
}
#define KV_MAP_LOCK(map)                                                                                     \
    kv_map_enter(map);                                                                                       \
    __attribute__((cleanup(kv_map_leave_cleanup), unused)) struct kv_map *kv_map_locked = (map)

/* The file, without SQLite. Makes it when it is missing; its path without links, and whether it can be written. KV_CONFIG, KV_IO. */
KV_MUST_USE enum kv_status kv_map_file_ready(const char *path, char **ret_file, bool *ret_writable,
                                             struct kv_error *err);
/* An empty file of ours (0600) in the place of whatever is there. */
KV_MUST_USE enum kv_status kv_map_file_fresh(const char *file, struct kv_error *err);
/* Brings the schema up to date. KV_MAP_NEWER, KV_MAP_CORRUPT. */
KV_MUST_USE enum kv_status kv_map_migrate(struct kv_map *map, struct kv_error *err);

/* SQL that is run once in the life of a handle. */
KV_MUST_USE enum kv_status kv_map_exec(struct kv_map *map, const char *text, struct kv_error *err);
KV_MUST_USE enum kv_status kv_map_pragma_int(struct kv_map *map, const char *text, int *ret,
                                             struct kv_error *err);

/* A statement ready to be bound; the map's lock is held. KV_AUTO_STATEMENT resets it when its scope ends. */
KV_MUST_USE enum kv_status kv_map_statement(struct kv_map *map, enum kv_map_sql which, sqlite3_stmt **ret,
                                            struct kv_error *err);
void kv_map_statement_cleanup(sqlite3_stmt **statement);
#define KV_AUTO_STATEMENT KV_CLEANUP(kv_map_statement_cleanup)

/* sqlite3_step() of a statement whose values are all bound; else SQLITE_NOMEM. */
int kv_map_step(sqlite3_stmt *statement);

/* Runs a statement that answers nothing. */
KV_MUST_USE enum kv_status kv_map_run(struct kv_map *map, enum kv_map_sql which, struct kv_error *err);
KV_MUST_USE enum kv_status kv_map_step_done(struct kv_map *map, sqlite3_stmt *statement,
                                            struct kv_error *err);
/* BEGIN IMMEDIATE; then COMMIT when status is KV_OK, else ROLLBACK; returns the status or what COMMIT made of it. KV_READ_ONLY when the map is. */
KV_MUST_USE enum kv_status kv_map_begin(struct kv_map *map, struct kv_error *err);
KV_MUST_USE enum kv_status kv_map_end(struct kv_map *map, enum kv_status status, struct kv_error *err);
/* SQLite's code as a status, with path, cause and remedy in the text. */
KV_MUST_USE enum kv_status kv_map_failed(const struct kv_map *map, int code, struct kv_error *err);

/* By parameter name (":vault"); a name that the statement does not have is passed over, so that several statements share one set of bindings. */
void kv_map_bind_text(sqlite3_stmt *statement, const char *name, const char *value); /* NULL: null */
void kv_map_bind_int(sqlite3_stmt *statement, const char *name, int64_t value);
void kv_map_bind_blob(sqlite3_stmt *statement, const char *name,
                      struct kv_view value); /* empty: zero-length */
/* Column texts into bounded arrays. */
void kv_map_text(sqlite3_stmt *statement, int column, char *ret, size_t size);

/* The row that a find statement stands on; one reference for the caller. KV_BAD_DATA: a value out of its range. KV_NO_MEMORY. */
KV_MUST_USE enum kv_status kv_map_row(sqlite3_stmt *statement, struct kv_version **ret);

#endif
