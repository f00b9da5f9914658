/* Key Vault's own backups of keys: a file that only the service can read, exactly as `az keyvault key backup` writes it, and beside it FILE.json, which says what is in it.
 * Nothing in FILE.json is secret. One thread. */
#ifndef KV_TOOLS_KEY_BACKUP_H
#define KV_TOOLS_KEY_BACKUP_H

#include "finding.h"

/* What a vault backs up at most: past versions (contract §11); a Managed HSM has no more than that many at all. */
enum { KV_BACKUP_VERSIONS = 500, KV_BACKUP_VERSIONS_HSM = 100, KV_BACKUP_ROOM_PERCENT = 80 };
static inline int kv_key_backup_limit(bool managed_hsm)
{
    return managed_hsm ? KV_BACKUP_VERSIONS_HSM : KV_BACKUP_VERSIONS;
}

/* How near a key with so many versions is to being full: no version can ever be taken away. */
static inline enum kv_level kv_key_backup_room(size_t count, bool managed_hsm)
{
    size_t limit = (size_t)kv_key_backup_limit(managed_hsm);
    if (count > limit || (managed_hsm && count == limit))
        return KV_LEVEL_CRITICAL;
    return count * 100 >= limit * KV_BACKUP_ROOM_PERCENT ? KV_LEVEL_WARNING : KV_LEVEL_OK;
}

struct kv_key_backup_version {
    char version[KV_VERSION_SIZE];
    unsigned char spki_sha256[32]; /* zero for oct */
};

struct kv_key_backup {
    struct kv_bytes blob;
    char vault[33], url[KV_KID_SIZE], name[KV_NAME_SIZE];
    char subscription[64], tenant[64]; /* "": the configuration does not say */
    bool managed_hsm;
    int64_t taken; /* unix seconds */
    struct kv_key_backup_version *versions;
    size_t count;
    bool is_described; /* FILE.json was there; else only `blob` is filled */
    bool is_intact;    /* and speaks of these bytes */
};
void kv_key_backup_free(struct kv_key_backup *backup); /* contents */
#define KV_AUTO_KEY_BACKUP KV_CLEANUP(kv_key_backup_free)

/* The versions that are there go into backup->versions. */
KV_MUST_USE enum kv_status kv_key_backup_take(const struct kv_version_list *list,
                                              struct kv_key_backup *backup, struct kv_error *err);
/* NULL: it is not among them. */
const struct kv_key_backup_version *kv_key_backup_find(const struct kv_key_backup *backup,
                                                       const char *version);

/* So that `kvp11 sync` knows of it: what is described, in this map. A map that cannot be written does not, and that is told. */
void kv_key_backup_remember(const struct kv_tool *tool, const struct kv_key_backup *backup, const char *path);

/* Both files, each whole or not at all; a pair of which only one was written does not fit together, and is found. */
KV_MUST_USE enum kv_status kv_key_backup_write(const struct kv_key_backup *backup, const char *path,
                                               struct kv_error *err);
/* KV_INPUT, KV_BAD_DATA. */
KV_MUST_USE enum kv_status kv_key_backup_read(const char *path, struct kv_key_backup *ret,
                                              struct kv_error *err);
/* FILE.json as text, and back: what is pure of it. */
char *kv_key_backup_describe(const struct kv_key_backup *backup, struct kv_view digest);
KV_MUST_USE enum kv_status kv_key_backup_parse(struct kv_view text, struct kv_key_backup *ret,
                                               struct kv_bytes *ret_digest, struct kv_error *err);

#endif
