/* Version maps that travel: `<backup>.kvmap`, JSON lines. The first line says what the file is, each further one is a version, a place, a certificate or a
 * backup, and the last one counts them and has the digest of all before it, so that a file that was cut or edited is refused. What is read comes from
 * strangers: every member is checked, none may be missing or unknown, lines and files have a largest size. One thread. */
#ifndef KV_TOOLS_KVMAP_H
#define KV_TOOLS_KVMAP_H

#include <stdio.h>
#include "base/json.h"
#include "config/config.h"
#include "keys/backup_map.h"

enum { KV_KVMAP_LINE_MAX = 1 << 20, KV_KVMAP_FORMAT = 2 /* 1 is read, too */ };
#define KV_KVMAP_FILE_MAX (INT64_C(16) << 30)

struct kv_kvmap_header {
    char by[64];                    /* "kvp11 0.1.0" */
    char backup[KV_BACKUP_ID_SIZE]; /* only what this one needs; "": the whole map */
    int64_t made;
    /* The journal of the map that it was taken from: its first entry's hash names it, the last one says how far it had come. */
    int64_t entries;
    unsigned char first[32], last[32];
};

enum kv_kvmap_type {
    KV_KVMAP_HEADER,
    KV_KVMAP_VERSION,
    KV_KVMAP_LOCATION,
    KV_KVMAP_CERTIFICATE,
    KV_KVMAP_BACKUP,
    KV_KVMAP_END
};
struct kv_kvmap_certificate {
    char vault[33], name[KV_NAME_SIZE], version[KV_VERSION_SIZE], source[16];
    struct kv_bytes der;
    int64_t at;
};
struct kv_kvmap_end {
    int64_t lines; /* before this one */
    unsigned char sha256[32];
};
/* A line, as it was read. Only what the type says is set. */
struct kv_kvmap_record {
    enum kv_kvmap_type type;
    struct kv_kvmap_header header;
    struct kv_version *version; /* identified: its identity is that of its key */
    struct kv_map_location location;
    struct kv_kvmap_certificate certificate;
    struct kv_map_backup backup;
    struct kv_kvmap_end end;
};
void kv_kvmap_record_free(struct kv_kvmap_record *record);
/* KV_BAD_DATA: what is wrong with it, in one line without the place. */
KV_MUST_USE enum kv_status kv_kvmap_read(struct kv_view line, struct kv_kvmap_record *ret,
                                         struct kv_error *err);
/* The line, without its end; kv_text_free. NULL when memory is short. */
char *kv_kvmap_line(const struct kv_kvmap_record *record);

/* A whole file into a map of its own. The vaults of `config` give their names to versions on their hosts, whatever the file calls them. KV_BAD_DATA
 * names file and line; KV_CONFLICT. `path` "-": the standard input. */
KV_MUST_USE enum kv_status kv_kvmap_load(const char *path, const struct kv_config *config,
                                         struct kv_map **ret, struct kv_kvmap_header *ret_header,
                                         struct kv_error *err);
/* All of a map, or (backup not NULL) what this one backup needs, in any store or in that one, to a stream. KV_NOT_FOUND: no such backup. */
struct kv_kvmap_choice {
    const char *backup, *store;
    const char *by;
    int64_t made;
};
KV_MUST_USE enum kv_status kv_kvmap_save(struct kv_map *map, const struct kv_kvmap_choice *choice, FILE *to,
                                         struct kv_error *err);

#endif
