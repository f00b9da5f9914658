/* kvp11 rewrap: new recipients in the headers of age files, the payload left where and as it is. A run walks its stores; each file is looked at, mended where an earlier run was
 * cut off, planned, and only then is the vault asked. One thread. */
#ifndef KV_TOOLS_REWRAP_H
#define KV_TOOLS_REWRAP_H

#include <sys/stat.h>
#include "age/sidecar.h"
#include "age/vault_stanza.h"
#include "keys/coverage.h"
#include "parties.h"
#include "progress.h"

/* --- pick.c: which stanzas are to go, and what comes instead --- */
/* A version that files shall be for. */
struct kv_rewrap_target {
    struct kv_vault_stanza stanza; /* what its stanza says */
    size_t body;                   /* bytes that its stanza holds */
    struct kv_version *version;    /* NULL: only its public key is known here */
    char *text;                    /* as a recipient */
    bool proven;                   /* it unwrapped what it had wrapped */
};
/* A version that stanzas name. What becomes of them is found out once a run. */
struct kv_rewrap_key {
    struct kv_vault_stanza stanza;
    enum kv_status status; /* of that; then `why` */
    struct kv_error why;
    bool goes;
    size_t target; /* where there is no -r: the current version of the same key */
};
struct kv_rewrap_pick {
    struct kv_parties *parties;
    const struct kv_age_vault *vault;
    const char *from; /* --from */
    char from_name[KV_NAME_SIZE], from_version[KV_VERSION_SIZE];
    unsigned char (*from_digests)[KV_VAULT_DIGEST];
    size_t from_count;
    int64_t before; /* --older-than: made before then; 0: not asked for */
    struct kv_rewrap_target *targets;
    size_t target_count, named; /* the first `named` are those of -r */
    struct kv_rewrap_key *keys;
    size_t key_count;
};
KV_MUST_USE enum kv_status kv_rewrap_pick_begin(struct kv_rewrap_pick *pick, struct kv_parties *parties,
                                                struct kv_error *err);
void kv_rewrap_pick_free(struct kv_rewrap_pick *pick);
/* What becomes of stanzas that name this version. Borrowed until the next call. */
KV_MUST_USE enum kv_status kv_rewrap_pick_key(struct kv_rewrap_pick *pick,
                                              const struct kv_vault_stanza *stanza,
                                              const struct kv_rewrap_key **ret, struct kv_error *err);
bool kv_rewrap_same(const struct kv_vault_stanza *a, const struct kv_vault_stanza *b); /* one key, wherever */

/* --- plan.c: what that makes of a header --- */

struct kv_rewrap_plan {
    bool goes[KV_AGE_STANZAS_MAX];        /* beside the header's stanzas */
    size_t comes[KV_AGE_STANZAS_MAX];     /* targets */
    size_t goes_count, comes_count, ours; /* ours: stanzas of vaults in the header */
    bool break_glass;                     /* they come, too */
    bool short_of_room; /* the kids are left out: hints, of which the version map knows more */
};
/* Nothing goes and nothing comes: the header is right. */
bool kv_rewrap_plan_is_empty(const struct kv_rewrap_plan *plan);
KV_MUST_USE enum kv_status kv_rewrap_pick_plan(struct kv_rewrap_pick *pick,
                                               const struct kv_age_header *header, struct kv_rewrap_plan *ret,
                                               struct kv_error *err);
/* The stanzas of the new header, without spare: kv_age_stanzas_free. `file_key` NULL: what they will look like, with zeroes in them. */
KV_MUST_USE enum kv_status kv_rewrap_pick_stanzas(struct kv_rewrap_pick *pick,
                                                  const struct kv_age_header *header,
                                                  const struct kv_rewrap_plan *plan,
                                                  const unsigned char *file_key, struct kv_age_header *ret,
                                                  struct kv_error *err);

/* --- put.c: a new header, on the disk --- */
enum kv_rewrap_way { KV_REWRAP_IN_PLACE, KV_REWRAP_SIDECAR, KV_REWRAP_COPY };

struct kv_rewrap_file {
    const char *path, *relative; /* `relative`: below its store, for copies */
    int fd;
    struct stat info;
    bool armored;             /* it is text; what is said of its bytes is said of those in it */
    struct kv_age_header own; /* in the file; empty where it cannot be read */
    struct kv_error own_error;
    struct kv_age_sidecar side; /* beside it, and its own; empty: none */
    bool sided;
};
/* Which header is in force, and where the payload begins. */
const struct kv_age_header *kv_rewrap_file_header(const struct kv_rewrap_file *file);
/* As long as the one in the file. What was there is put back when it fails half-way. */
KV_MUST_USE enum kv_status kv_rewrap_put_in_place(const struct kv_rewrap_file *file, struct kv_view header,
                                                  struct kv_error *err);
/* Once it is known that all there is to do has been done: the sidecar goes. */
KV_MUST_USE enum kv_status kv_rewrap_put_done(const struct kv_rewrap_file *file, struct kv_error *err);
KV_MUST_USE enum kv_status kv_rewrap_put_sidecar(const struct kv_rewrap_file *file, struct kv_view header,
                                                 struct kv_error *err);
KV_MUST_USE enum kv_status kv_rewrap_put_copy(const struct kv_rewrap_file *file, const char *path,
                                              struct kv_view header, struct kv_error *err);
/* An earlier change in place, brought to its end: the sidecar's header into the file. */
KV_MUST_USE enum kv_status kv_rewrap_put_again(const struct kv_rewrap_file *file, struct kv_error *err);

/* --- map.c: the version map learns who can open it now --- */
/* A file that is no backup in the map is left to `scan`. */
struct kv_rewrap_noted {
    const struct kv_rewrap_file *file;
    const struct kv_age_header *before, *after;
    bool again;       /* `before` may be neither the old header nor the new one */
    bool in_file;     /* `after` stands in the file now */
    bool break_glass; /* the recipients of --break-glass came, too */
};
struct kv_rewrap_map; /* what was found in the map so far */
void kv_rewrap_map_free(struct kv_rewrap_map *map);
/* Before `after` is written: whatever cuts the run off, the map hears of it from whoever sees that header in the file. */
KV_MUST_USE enum kv_status kv_rewrap_map_begin(struct kv_rewrap_map **map, struct kv_parties *parties,
                                               const struct kv_rewrap_noted *noted, struct kv_error *err);
/* `after` is in force, and nothing is to be done to it: the map hears of it if an earlier run could not tell. */
KV_MUST_USE enum kv_status kv_rewrap_map_agree(struct kv_rewrap_map **map, struct kv_parties *parties,
                                               const struct kv_rewrap_noted *noted, bool *ret_told,
                                               struct kv_error *err);
KV_MUST_USE enum kv_status kv_rewrap_map_note(struct kv_rewrap_map **map, struct kv_parties *parties,
                                              const struct kv_rewrap_noted *noted, struct kv_error *err);

/* --- walk.c: stores → files --- */
struct kv_rewrap_visit {
    enum kv_status (*file)(void *state, const char *path, const char *relative); /* KV_OK: go on */
    void (*failed)(void *state, const char *path, enum kv_status status, const struct kv_error *err);
    void *state;
    dev_t skip_device; /* a folder that is none of them */
    ino_t skip_inode;
};
/* Sidecars are no files, and links are not followed, but for a store that is a link to a folder. Returns what `file` said last. */
KV_MUST_USE enum kv_status kv_rewrap_walk(const struct kv_rewrap_visit *visit, const char *store);
/* A path a line. */
KV_MUST_USE enum kv_status kv_rewrap_walk_lines(const struct kv_rewrap_visit *visit, int fd);

/* --- file.c: one file --- */
enum kv_rewrap_result { KV_REWRAP_OTHER, KV_REWRAP_RIGHT, KV_REWRAP_DONE, KV_REWRAP_RESULTS };

struct kv_rewrap {
    struct kv_tool *tool;
    struct kv_parties *parties;
    struct kv_rewrap_pick pick;
    struct kv_rewrap_map *map;
    enum kv_rewrap_way way;
    const char *copy_to;
    bool dry_run;
    int rate;         /* requests a second; 0: as the module's own limiter has it */
    int64_t asked_at; /* ms */
    bool repaired;    /* the file that was looked at last */
    struct kv_rewrap_note {
        char *from, *to, *how; /* of a file that is done, or would be; kv_text_free */
    } note;
};
KV_MUST_USE enum kv_status kv_rewrap_one(struct kv_rewrap *rewrap, const char *path, const char *relative,
                                         enum kv_rewrap_result *ret, struct kv_error *err);
/* SIGINT, SIGTERM, SIGHUP came: what is begun is ended, and nothing more is begun. */
bool kv_rewrap_stopped(void);

#endif
