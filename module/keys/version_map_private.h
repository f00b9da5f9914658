/* What the files of the version map share: the handle, its prepared statements, and how SQLite's errors become ours. */
#ifndef KV_KEYS_VERSION_MAP_PRIVATE_H
#define KV_KEYS_VERSION_MAP_PRIVATE_H

#include <pthread.h>
#include <sqlite3.h>
#include "keys/backup_map.h"

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
    KV_SQL_VERSION_ROW,
    KV_SQL_VERSION_PAGE,
    KV_SQL_KEYS,
    KV_SQL_NEEDS_OLD,
    KV_SQL_KEY_BACKUP,
    KV_SQL_KEY_BACKUP_PUT,
    KV_SQL_VERSION_HINTS,
    KV_SQL_VERSION_ENTRY,
    KV_SQL_VERSION_PLAN,
    KV_SQL_VERSIONS_UNWRITTEN,
    KV_SQL_UNCURRENT,
    KV_SQL_LOCATE,
    KV_SQL_LOCATIONS,
    KV_SQL_LOCATIONS_ALL,
    KV_SQL_LOCATIONS_OF_KID,
    KV_SQL_LOCATIONS_ACCEPTED,
    KV_SQL_LOCATION_PUT,
    KV_SQL_JOURNAL_HEAD,
    KV_SQL_JOURNAL_SEAL,
    KV_SQL_JOURNAL_ADD,
    KV_SQL_JOURNAL_ENTRY,
    KV_SQL_JOURNAL_PAGE,
    KV_SQL_VISITED,
    KV_SQL_VISIT,
    KV_SQL_ROTATION,
    KV_SQL_ROTATING,
    KV_SQL_ROTATED,
    KV_SQL_CHALLENGE,
    KV_SQL_LEARN,
    KV_SQL_WRAPPED,
    KV_SQL_WRAPPED_VERSION,
    KV_SQL_WHO_WRAPPED,
    KV_SQL_UNWRAPPED,
    KV_SQL_CERTIFICATE,
    KV_SQL_CERTIFY,
    KV_SQL_CERTIFICATES_ALL,
    KV_SQL_CERTIFICATES,
    KV_SQL_BACKUP_FIND,
    KV_SQL_BACKUP_PUT,
    KV_SQL_BACKUP_PAGE,
    KV_SQL_BACKUP_PAGE_ID,
    KV_SQL_BACKUP_PAGE_STORE,
    KV_SQL_BACKUP_PAGE_OPENER,
    KV_SQL_BACKUPS_UNWRITTEN,
    KV_SQL_BACKUP_ENTRY,
    KV_SQL_BACKUP_ROW,
    KV_SQL_BACKUP_COUNT,
    KV_SQL_BACKUP_COUNT_VAULT,
    KV_SQL_OPENERS,
    KV_SQL_OPENER_PUT,
    KV_SQL_OPENERS_STRAY,
    KV_SQL_RECIPIENT_FIND,
    KV_SQL_RECIPIENTS,
    KV_SQL_RECIPIENT_PUT,
    KV_SQL_DEPENDANTS,
    KV_SQL_SOLE,
    KV_SQL_BACKUP_PAGE_OBJECT,
    KV_SQL_SETTLE,
    KV_SQL_SETTLED,
    KV_SQL_WRAPS_LEFT,
    KV_SQL_REWRAPPING,
    KV_SQL_REWRAPPING_AGAIN,
    KV_SQL_REWRAP,
    KV_SQL_REWRAPPED,
    KV_SQL_SURVEY_ROOM,
    KV_SQL_SURVEY_OPENERS,
    KV_SQL_SURVEY,
    KV_SQL_RECIPIENT_TEXT,
    KV_SQL_READ,
    KV_SQL_FORMAT,
    KV_SQL_UNKNOWN_OPENERS,
    KV_SQL_SAMPLE,
    KV_SQL_COUNT
};
extern const char *const kv_map_texts[KV_SQL_COUNT];

/* Where the journal ends, during a transaction. */
struct kv_journal_head {
    bool known, moved;
    int64_t entries;
    unsigned char hash[32];
};

struct kv_map {
    char *path;         /* as it was asked for; NULL: in memory by wish */
    char *file;         /* the same without links; NULL: in memory */
    sqlite3 *db;        /* NULL: SQLite may not be called, or the handle was forgotten */
    sqlite3 *inherited; /* a parent's: never to be touched, but not lost sight of */
    bool writable;
    bool ready;   /* its format is this release's */
    bool scratch; /* in a file without a name, that nobody else sees and that goes with the handle */
    struct kv_error health; /* status KV_OK: it is the file */
    pthread_mutex_t lock;
    struct kv_journal_head head;
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
/* To the first row of what it answers with, if there is one. */
KV_MUST_USE enum kv_status kv_map_step_found(struct kv_map *map, sqlite3_stmt *statement, bool *ret_found,
                                             struct kv_error *err);
/* All rows of what it answers with, as items of one size; one that `read` refuses is passed over: kv_map_verify names it. free() the items; a failure leaves
 * none. */
struct kv_map_array {
    bool (*read)(sqlite3_stmt *row, void *to);
    size_t size;
    void *items;
    size_t count;
};
KV_MUST_USE enum kv_status kv_map_collect(struct kv_map *map, sqlite3_stmt *rows, struct kv_map_array *array,
                                          struct kv_error *err);
/* The number in the first row of what it answers with, which must have one. */
KV_MUST_USE enum kv_status kv_map_answer(struct kv_map *map, sqlite3_stmt *statement, int64_t *ret,
                                         struct kv_error *err);
/* BEGIN IMMEDIATE; then COMMIT when status is KV_OK, else ROLLBACK; returns the status or what COMMIT made of it. KV_READ_ONLY when the map is. */
KV_MUST_USE enum kv_status kv_map_begin(struct kv_map *map, struct kv_error *err);
KV_MUST_USE enum kv_status kv_map_end(struct kv_map *map, enum kv_status status, struct kv_error *err);
/* All of them or none: `one` for each, in one transaction. */
struct kv_map_all {
    const void *items;
    size_t count;
    int64_t at;
    enum kv_status (*one)(struct kv_map *map, const struct kv_map_all *all, size_t i, struct kv_error *err);
};
KV_MUST_USE enum kv_status kv_map_put_all(struct kv_map *map, const struct kv_map_all *all,
                                          struct kv_error *err);
/* SQLite's code as a status, with path, cause and remedy in the text. */
KV_MUST_USE enum kv_status kv_map_failed(const struct kv_map *map, int code, struct kv_error *err);

/* By parameter name (":vault"); a name that the statement does not have is passed over, so that several statements share one set of bindings. */
void kv_map_bind_text(sqlite3_stmt *statement, const char *name, const char *value); /* NULL: null */
void kv_map_bind_int(sqlite3_stmt *statement, const char *name, int64_t value);
void kv_map_bind_blob(sqlite3_stmt *statement, const char *name,
                      struct kv_view value); /* empty: zero-length */
/* ":vault" and ":name": whose row it is; ":version" as well, where it is not NULL. */
void kv_map_bind_key(sqlite3_stmt *statement, const char *vault, const char *name, const char *version);
/* Column texts into bounded arrays. */
void kv_map_text(sqlite3_stmt *statement, int column, char *ret, size_t size);

/* --- pieces of larger changes; inside kv_map_begin and kv_map_end --- */
KV_MUST_USE enum kv_status kv_map_settle_wrap(struct kv_map *map, const unsigned char digest[32], int64_t at,
                                              struct kv_error *err);
/* Inserts or updates, takes `current` from the others when it has it, and notes it. */
KV_MUST_USE enum kv_status kv_map_store_one(struct kv_map *map, const struct kv_version *version, int64_t at,
                                            const char *kind, struct kv_error *err);
KV_MUST_USE enum kv_status
kv_map_certify_row(struct kv_map *map, const struct kv_map_certificate *certificate, struct kv_error *err);
/* ret->row is 0 when there is none. */
KV_MUST_USE enum kv_status kv_map_backup_find(struct kv_map *map, const char *id, const char *store,
                                              struct kv_map_backup *ret, struct kv_error *err);
KV_MUST_USE enum kv_status kv_map_backup_check(const struct kv_map_backup *backup, struct kv_error *err);
struct kv_map_recipient *kv_map_backup_recipient(const struct kv_map_backup *backup,
                                                 const struct kv_map_recipient *recipient);
KV_MUST_USE enum kv_status kv_map_backup_add(struct kv_map_backup *backup,
                                             const struct kv_map_recipient *recipient, struct kv_error *err);

/* --- the journal (version_map_journal.c); inside kv_map_begin and kv_map_end --- */
/* What is now known of a row is written down, unless its last entry says the same. kind NULL: what became of it is told by the two.
 * They also set the row's `entry`. */
KV_MUST_USE enum kv_status kv_map_note_version(struct kv_map *map, int64_t row, int64_t at, const char *kind,
                                               struct kv_error *err);
KV_MUST_USE enum kv_status kv_map_note_backup(struct kv_map *map, int64_t row, int64_t at, const char *kind,
                                              struct kv_error *err);
/* The entry for a location that is about to be written, with `before` its last one. */
KV_MUST_USE enum kv_status kv_map_note_location(struct kv_map *map, const struct kv_map_location *location,
                                                int64_t before, int64_t *ret_entry, struct kv_error *err);
/* Every row that stands in no journal yet: those of a file that was made before there was one. */
KV_MUST_USE enum kv_status kv_map_note_all(struct kv_map *map, struct kv_error *err);
/* Before COMMIT: the head goes where the journal ends. */
KV_MUST_USE enum kv_status kv_map_journal_seal(struct kv_map *map, struct kv_error *err);
void kv_map_read_entry(sqlite3_stmt *row, struct kv_map_entry *ret);
/* ret->seq is 0 when there is none. */
KV_MUST_USE enum kv_status kv_map_entry_of(struct kv_map *map, int64_t seq, struct kv_map_entry *ret,
                                           struct kv_error *err);
/* What an entry's hash has to be, behind `before`. */
KV_MUST_USE enum kv_status kv_map_entry_hash(const struct kv_map_entry *entry, const unsigned char before[32],
                                             unsigned char ret[32]);
/* --- digests of all that is known, and the names in the journal (version_map_digest.c) --- */
KV_MUST_USE enum kv_status kv_map_digest_version(const struct kv_version *version, unsigned char ret[32]);
KV_MUST_USE enum kv_status kv_map_digest_backup(const struct kv_map_backup *backup, unsigned char ret[32]);
KV_MUST_USE enum kv_status kv_map_digest_location(const struct kv_map_location *location,
                                                  unsigned char ret[32]);
enum { KV_SUBJECT_SIZE = sizeof((struct kv_map_entry *)0)->subject };
void kv_map_subject_version(const struct kv_version *version, char ret[KV_SUBJECT_SIZE]);
void kv_map_subject_backup(const struct kv_map_backup *backup, char ret[KV_SUBJECT_SIZE]);
void kv_map_subject_location(const struct kv_map_location *location, char ret[KV_SUBJECT_SIZE]);

/* --- backups (version_map_backup_rows.c); the map's lock is held --- */
/* The row that a statement of BACKUP_COLUMNS stands on, with its recipients; freed by kv_map_backup_list_free in a list of one, or by this. KV_BAD_DATA as kv_map_row. */
KV_MUST_USE enum kv_status kv_map_backup_row(struct kv_map *map, sqlite3_stmt *row, struct kv_map_backup *ret,
                                             struct kv_error *err);
void kv_map_backup_free(struct kv_map_backup *backup);
/* The rest of what such a statement answers with, appended; rows that cannot be read are passed over. */
KV_MUST_USE enum kv_status kv_map_backup_collect(struct kv_map *map, sqlite3_stmt *rows,
                                                 struct kv_map_backup_list *to, struct kv_error *err);
/* All of it as it is given, with the recipients' dates, and its entry of this kind; sets backup->row. */
KV_MUST_USE enum kv_status kv_map_backup_write(struct kv_map *map, struct kv_map_backup *backup, int64_t at,
                                               const char *kind, struct kv_error *err);
KV_MUST_USE enum kv_status kv_map_locate_row(struct kv_map *map, const struct kv_map_location *location,
                                             struct kv_error *err);
void kv_map_location_row(sqlite3_stmt *row, struct kv_map_location *ret);
bool kv_map_blob_fixed(sqlite3_stmt *row, int column, unsigned char *ret, int size);
/* Did memory suffice for the columns that were read? One that it did not suffice for reads as empty. */
bool kv_map_row_is_whole(sqlite3_stmt *row);

/* The row that a find statement stands on; one reference for the caller. KV_BAD_DATA: a value out of its range. KV_NO_MEMORY. */
KV_MUST_USE enum kv_status kv_map_row(sqlite3_stmt *statement, struct kv_version **ret);

#endif
