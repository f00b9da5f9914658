/* What the version map remembers for alarms: each key in short, and Key Vault's own backups of keys. As of the last sync. Any thread; each function is one transaction. */
#ifndef KV_KEYS_WATCH_H
#define KV_KEYS_WATCH_H

#include "keys/version_map.h"

enum { KV_WATCH_PAGE = 256 };

/* The keys of a vault in short, in the order of their names; `after` "": from the first. A key that is gone has no versions. */
struct kv_map_key {
    char name[KV_NAME_SIZE];
    int64_t versions;     /* that the vault has, as far as is known */
    char recovery[48];    /* of the current one; "": not told */
    int64_t protected_at; /* when purge protection was last seen on any of them; 0: never */
    int64_t newest;       /* when the newest was created */
};
KV_MUST_USE enum kv_status kv_map_key_page(struct kv_map *map, const char *vault, const char *after,
                                           struct kv_map_key **ret, size_t *ret_count,
                                           struct kv_error *err); /* free() the array */

/* Does something need a version of this key that the vault has and that is not current? */
KV_MUST_USE enum kv_status kv_map_needs_old(struct kv_map *map, const char *vault, const char *name,
                                            bool *ret, struct kv_error *err);

/* The newest of Key Vault's own backups of a key that this host has made or looked at. */
struct kv_map_key_backup {
    char vault[33], name[KV_NAME_SIZE];
    int64_t taken; /* 0: none is known */
    char *path;
    unsigned char sha256[32]; /* of the file */
    char *versions;           /* "\nID\nID\n": the versions in it */
};
void kv_map_key_backup_free(struct kv_map_key_backup *backup); /* contents */
bool kv_map_key_backup_has(const struct kv_map_key_backup *backup, const char *version);
/* Fills all but vault and name, which say whose. */
KV_MUST_USE enum kv_status kv_map_key_backup(struct kv_map *map, struct kv_map_key_backup *backup,
                                             struct kv_error *err);
/* An older one than is known changes nothing. */
KV_MUST_USE enum kv_status kv_map_key_backed_up(struct kv_map *map, const struct kv_map_key_backup *backup,
                                                struct kv_error *err);

#endif
