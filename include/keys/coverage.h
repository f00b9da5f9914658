/* Which backups can be opened by whom, summed up inside the map without loading any: what a vault's loss, or a mass restore, would cost. As of the last sync. Any
 * thread; each function is one reading. */
#ifndef KV_KEYS_COVERAGE_H
#define KV_KEYS_COVERAGE_H

#include "keys/backup_map.h"

struct kv_map_choice {
    const char *store;  /* NULL: all */
    const char *vaults; /* "\nprod\ndr\n": those that can be asked; NULL: all that the map knows */
};

/* By a vault: a version of its key is enabled or merely expired, and may unwrap. By break-glass: a recipient that is no key of a vault. */
struct kv_map_coverage {
    int64_t backups, bytes;
    int64_t by_vault, by_break_glass;
    int64_t by_nobody, by_nobody_bytes;
    int64_t without_break_glass, without_break_glass_bytes;
    int64_t unmapped; /* a key of a vault opens it that no version of the map has */
};

/* What depends on a key that opens something. */
struct kv_map_covered {
    unsigned char key[32]; /* kv_map_key_of */
    size_t key_len;
    int64_t version; /* `row` of a version of it, an enabled one before others; 0: the map has none */
    bool is_enabled; /* and that is its state */
    int64_t backups, bytes, keep_until;
    int64_t sole; /* how many of them nobody else opens now */
};

/* What it takes to open by vault all that can be: one operation a backup, by kinds of keys. */
struct kv_map_cost {
    char vault[33];
    enum kv_kind kind;
    unsigned bits;
    bool hsm;
    int64_t calls, bytes;
};

/* All of it in one pass over the backups: memory grows with the recipients and keys, not with the backups. */
struct kv_map_survey {
    struct kv_map_coverage sums;
    struct kv_map_covered *keys; /* in their order */
    size_t key_count;
    struct kv_map_cost *costs;
    size_t cost_count;
    int64_t *lost; /* `row` of the first backups that nobody opens */
    size_t lost_count;
};
void kv_map_survey_free(struct kv_map_survey *survey); /* contents */
KV_MUST_USE enum kv_status kv_map_survey(struct kv_map *map, const struct kv_map_choice *choice,
                                         size_t lost_most, struct kv_map_survey *ret, struct kv_error *err);
/* Where such a key was, as a backup says. */
KV_MUST_USE enum kv_status kv_map_covered_text(struct kv_map *map, const struct kv_map_covered *covered,
                                               char ret[KV_KID_SIZE], struct kv_error *err);

/* Backups for a drill: of each key and store those that were drilled longest ago; with `break_glass`, of each store those that such a recipient opens. */
struct kv_map_sample {
    unsigned char key[32];
    size_t key_len;
    int64_t row; /* of the backup */
};
KV_MUST_USE enum kv_status kv_map_sample(struct kv_map *map, const char *store, bool break_glass, int count,
                                         struct kv_map_sample **ret, size_t *ret_count, struct kv_error *err);

/* These wrapped bytes (SHA-256 each) stand in backups that the map knows: from now on the backup is what depends on a version, and the wrap no longer. */
KV_MUST_USE enum kv_status kv_map_wraps_settle(struct kv_map *map, const unsigned char (*digests)[32],
                                               size_t count, int64_t at, struct kv_error *err);
/* How many wraps of this version stand in no backup that the map knows. */
KV_MUST_USE enum kv_status kv_map_wraps_left(struct kv_map *map, const struct kv_version *version,
                                             int64_t *ret, struct kv_error *err);

/* A header that is about to be written into a file, told before that is done. Whatever cuts the writer off: who sees that header in its file later, by its SHA-256, ends what was begun. */
struct kv_map_rewrap {
    unsigned char header_sha256[32];
    const unsigned char (*digests)[32]; /* of wraps that no longer count then */
    size_t count;
    const char *id, *store; /* of the backup that the file is; "": of none */
};
KV_MUST_USE enum kv_status kv_map_rewrap_begin(struct kv_map *map, const struct kv_map_rewrap *rewrap,
                                               struct kv_error *err);
struct kv_map_rewrap_begun {
    bool found;
    char id[KV_BACKUP_ID_SIZE], store[KV_BACKUP_STORE_SIZE];
};
KV_MUST_USE enum kv_status kv_map_rewrap_find(struct kv_map *map, const unsigned char header_sha256[32],
                                              struct kv_map_rewrap_begun *ret, struct kv_error *err);
/* It stands in its file, and the backup has been put. */
KV_MUST_USE enum kv_status kv_map_rewrap_end(struct kv_map *map, const unsigned char header_sha256[32],
                                             int64_t at, struct kv_error *err);

#endif
