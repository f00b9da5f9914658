/* What depends on which version: backups in the version map, who can open each, and the journal of every change of a fact. Pages are of the caller, freed by
 * their _free. Any thread. Nothing is ever deleted: a recipient that a rewrap takes away and a backup that is gone keep their rows, with the date. */
#ifndef KV_KEYS_BACKUP_MAP_H
#define KV_KEYS_BACKUP_MAP_H

#include "keys/version_map.h"

enum {
    KV_BACKUP_ID_SIZE = 128,
    KV_BACKUP_STORE_SIZE = 512,
    KV_BACKUP_OBJECT_SIZE = 1024,
    KV_RECIPIENT_TEXT_SIZE = 512,
    KV_BACKUP_RECIPIENTS_MAX = 1024,
    KV_BACKUP_PAGE = 256 /* what `limit` 0 means */
};

/* One of those who can open a backup. What makes two the same: kind, key and text. */
struct kv_map_recipient {
    char kind[24];         /* "rsa-oaep-256", "a256kw", "x25519", "ssh-ed25519": what its stanza is */
    unsigned char key[32]; /* SPKI SHA-256 of its public key; of an oct key its CKA_ID */
    size_t key_len;        /* 32, for oct KV_ID_SIZE; 0: it has no such identity */
    char text[KV_RECIPIENT_TEXT_SIZE]; /* what tells it to a person: kid, "age1…"; "" where the key says it */
    int64_t added, removed;            /* set by the map; removed 0: it opens the backup */
};
/* kind and text, for this version of a vault's key. `text` NULL: its kid. False: one of them is too long. */
bool kv_map_recipient_of(const struct kv_version *version, const char *kind, const char *text,
                         struct kv_map_recipient *ret);

/* Told apart by id and store. Texts without control characters; id not empty. */
struct kv_map_backup {
    char id[KV_BACKUP_ID_SIZE];
    char store[KV_BACKUP_STORE_SIZE];   /* a folder, "azblob:account/container", "" */
    char object[KV_BACKUP_OBJECT_SIZE]; /* in that store; "": not told */
    unsigned char header_sha256[32];
    bool has_header;
    int64_t size, created, keep_until; /* bytes, unix seconds; 0: not told */
    int64_t drilled;                   /* last drill, by kv_map_backup_drilled; 0: never */
    char drill_result[64];
    int64_t retired; /* when it was told to be gone, by kv_map_backup_retire; 0: it is there */
    struct kv_map_recipient *recipients;
    size_t recipient_count;
    int64_t row, entry; /* of the map, set by it: where it stands, its last entry in the journal */
};
struct kv_map_backup_list {
    struct kv_map_backup *items;
    size_t count;
};
void kv_map_backup_list_free(struct kv_map_backup_list *list);

/* Registers backups, or says anew what is known of them, all in one transaction; `at`: now. Where recipients are given they are all that can open it from now
 * on: others that the map knows are marked as removed, which is what a rewrap is. What is not told (no recipient, no object, no header, 0) stays as it is.
 * drilled, drill_result and retired are not read; a retired backup that is put is there again. KV_BAD_DATA: not as above, and nothing was written. */
KV_MUST_USE enum kv_status kv_map_backup_put(struct kv_map *map, const struct kv_map_backup *backups,
                                             size_t count, int64_t at, struct kv_error *err);
/* KV_NOT_FOUND. */
KV_MUST_USE enum kv_status kv_map_backup_drilled(struct kv_map *map, const char *id, const char *store,
                                                 int64_t at, const char *result, struct kv_error *err);
KV_MUST_USE enum kv_status kv_map_backup_retire(struct kv_map *map, const char *id, const char *store,
                                                int64_t at, struct kv_error *err);

/* A page of backups with their recipients, in the order in which they were registered. NULL and empty members do not select. */
struct kv_map_backup_query {
    const char *id, *store;
    const char *object; /* selects where id and key do not */
    struct kv_view key; /* those that this key opens now: kv_map_key_of */
    bool retired;       /* also those that are gone (then `key` also selects what it once opened) */
    int64_t after;      /* `row` of the last one seen; 0: from the first */
    size_t limit;       /* 0: KV_BACKUP_PAGE */
};
KV_MUST_USE enum kv_status kv_map_backup_page(struct kv_map *map, const struct kv_map_backup_query *query,
                                              struct kv_map_backup_list *ret, struct kv_error *err);

/* The identity that recipients and versions share: SPKI SHA-256, of an oct key its CKA_ID. Borrowed from the version. */
struct kv_view kv_map_key_of(const struct kv_version *version);
/* What depends on a version: backups that are there and that its key opens. Without loading them. */
struct kv_map_dependants {
    int64_t backups, bytes;
    int64_t keep_until; /* the latest of those told; 0: none */
    int64_t sole;       /* how many of them nothing else opens */
};
KV_MUST_USE enum kv_status kv_map_dependants(struct kv_map *map, struct kv_view key, bool with_sole,
                                             struct kv_map_dependants *ret, struct kv_error *err);
/* How many backups are there with a reader of whom nobody knew anything when they were scanned (an envelope by a certificate that was not at hand, say): they may
 * need any version. A scan looks again. */
KV_MUST_USE enum kv_status kv_map_unknown_openers(struct kv_map *map, int64_t *ret, struct kv_error *err);
/* How many backups are there that some version of this vault opens (vault NULL: backups at all). */
KV_MUST_USE enum kv_status kv_map_backup_count(struct kv_map *map, const char *vault, int64_t *ret,
                                               struct kv_error *err);

/* What is planned for a version and was done with it. KV_NOT_FOUND: not in the map. */
KV_MUST_USE enum kv_status kv_map_drilled(struct kv_map *map, const struct kv_version *version, int64_t at,
                                          struct kv_error *err); /* a drill that succeeded */
KV_MUST_USE enum kv_status kv_map_retire_after(struct kv_map *map, const struct kv_version *version,
                                               int64_t retire_after, int64_t at, struct kv_error *err);

/* Places where a key was seen, and (accepted) where an operator showed that it is. */
struct kv_map_location {
    unsigned char spki_sha256[32];
    char kid[KV_KID_SIZE];
    int64_t first_seen, seen, accepted; /* accepted 0: a vault's own word */
};
KV_MUST_USE enum kv_status kv_map_locations(struct kv_map *map, struct kv_view spki_sha256,
                                            struct kv_map_location **ret, size_t *ret_count,
                                            struct kv_error *err); /* free() the array */
/* KV_CONFLICT, naming it: the map has another key at this kid. The caller has compared the public keys. */
KV_MUST_USE enum kv_status kv_map_locate(struct kv_map *map, const struct kv_map_location *location,
                                         struct kv_error *err);

/* A page of versions in the order in which they came; `after`: `row` of the last one seen. */
KV_MUST_USE enum kv_status kv_map_version_page(struct kv_map *map, int64_t after, size_t limit,
                                               struct kv_version_list *ret, struct kv_error *err);

/* --- maps that travel --- */
/* An empty map of this thread's own, on disk where it grows large, gone with its handle. */
KV_MUST_USE enum kv_status kv_map_scratch(struct kv_map **ret, struct kv_error *err);
struct kv_map_import { /* some of each, or none */
    struct kv_version *const *versions;
    const struct kv_map_location *locations;
    const struct kv_map_certificate *certificates; /* of versions that the map has */
    const struct kv_map_backup *backups;           /* with all their dates */
    size_t version_count, location_count, certificate_count, backup_count;
};
struct kv_map_imported {
    int64_t versions, locations, certificates, backups; /* what came, or was completed */
};
/* Takes in what the map lacks, in one transaction; nothing that it knows is lowered, replaced or deleted, and the same again changes nothing. A version whose
 * public key the map has at another place becomes a location. KV_CONFLICT names a version or a place whose key the map has otherwise. */
KV_MUST_USE enum kv_status kv_map_import(struct kv_map *map, const struct kv_map_import *what, int64_t at,
                                         struct kv_map_imported *ret, struct kv_error *err);
/* The same with all that another map holds. */
KV_MUST_USE enum kv_status kv_map_merge(struct kv_map *map, struct kv_map *from, int64_t at,
                                        struct kv_map_imported *ret, struct kv_error *err);

/* The journal, oldest first: seq, from 1 on without a gap. */
struct kv_map_entry {
    int64_t seq, at, before; /* before: the entry of the same subject that this one follows; 0: none */
    char program[64], kind[24], subject[KV_BACKUP_ID_SIZE + KV_BACKUP_STORE_SIZE + 16], detail[1024];
    unsigned char facts[32],
        hash[32]; /* digest of all that is known of the subject; of this entry and the hash of the one before */
};
KV_MUST_USE enum kv_status kv_map_journal_page(struct kv_map *map, int64_t after, size_t limit,
                                               struct kv_map_entry **ret, size_t *ret_count,
                                               struct kv_error *err); /* free() the array */
/* How many entries there are, and the hash of the last. */
KV_MUST_USE enum kv_status kv_map_journal_head(struct kv_map *map, int64_t *ret_entries,
                                               unsigned char ret_hash[32], struct kv_error *err);

#endif
