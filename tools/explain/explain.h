/* What a person at night needs to know of a version: which one is meant, what became of it, what mends it. For `explain` and `resolve`. One thread. */
#ifndef KV_TOOLS_EXPLAIN_H
#define KV_TOOLS_EXPLAIN_H

#include "common.h"

/* --- subject.c: what does the word on the command line name? --- */
enum { KV_SUBJECT_BLOB_MAX = 1 << 20, KV_SUBJECT_PARTS_MAX = 256 };

/* One of those who can open it. What does not tell it is empty. */
struct kv_subject_part {
    bool ours;      /* it can be a key of a vault */
    char text[256]; /* what tells it to a person: "x25519", "key id 0a1b…" */
    unsigned char spki_sha256[32], id[KV_ID_SIZE];
    bool has_spki, has_id;
    char vault[33]; /* token label */
    char host[256];
    char name[KV_NAME_SIZE], version[KV_VERSION_SIZE]; /* version "": current */
};

struct kv_subject {
    const char *form; /* "age file", "CMS envelope", "wrapped blob", "kid", "URI", "key" */
    struct kv_subject_part *parts;
    size_t count;
    struct kv_buffer blob; /* of a wrapped blob alone: the ledger knows whose it is */
};
void kv_subject_free(struct kv_subject *subject); /* contents */
#define KV_AUTO_SUBJECT KV_CLEANUP(kv_subject_free)

/* A wrapped blob, whole. KV_DATA_LENGTH: longer than KV_SUBJECT_BLOB_MAX. */
KV_MUST_USE enum kv_status kv_subject_read_blob(const char *path, struct kv_buffer *ret,
                                                struct kv_error *err);
/* A file, a pkcs11: URI, a kid, or [VAULT/]NAME[@VERSION]. */
KV_MUST_USE enum kv_status kv_subject_read(const char *word, struct kv_subject *ret, struct kv_error *err);
/* "pkcs11:token=…;id=%…" alone. KV_ARGUMENTS: it names no key. */
KV_MUST_USE enum kv_status kv_subject_read_uri(const char *uri, struct kv_subject_part *ret,
                                               struct kv_error *err);

/* --- verdict.c: pure --- */
struct kv_verdict_input {
    const struct kv_version *version;
    int64_t now;
    bool is_file;                             /* old data is to be opened: the key must unwrap or decrypt */
    const struct kv_keyring_deleted *deleted; /* NULL: not asked */
    enum kv_status asked; /* why the vault could not tell; KV_OK: it told, or was not asked */
    const char *why;      /* the same in words */
};
struct kv_verdict {
    enum kv_status status; /* KV_OK: it opens old data */
    int64_t since;         /* of the state; 0: not known */
    int64_t days_left;     /* until the expiry, or until it is purged; -1: nothing runs out */
    char *found;           /* a sentence; NULL: memory was short */
    char *mend;            /* a command; NULL: there is nothing to mend */
};
struct kv_verdict kv_verdict_of(const struct kv_verdict_input *input);
void kv_verdict_free(struct kv_verdict *verdict); /* contents */
#define KV_AUTO_VERDICT KV_CLEANUP(kv_verdict_free)

/* --- find.c: where is it, and what does the vault say of it now? --- */
/* The version that a blob names by the ledger, in a vault that the command works on. KV_NOT_FOUND. */
KV_MUST_USE enum kv_status kv_explain_blob(struct kv_tool *tool, struct kv_view blob, struct kv_version **ret,
                                           struct kv_error *err);
/* The version that a part names: from the map; where that has none and `ask`, from the vault. *ret NULL: nobody knows it, and *err may say why. */
KV_MUST_USE enum kv_status kv_explain_find(struct kv_tool *tool, const struct kv_subject_part *part, bool ask,
                                           struct kv_version **ret, struct kv_error *err);
/* The vault's word on it: one request, another one when it is gone. `verdict` keeps what it needs of *deleted and *why, which are the caller's. */
struct kv_explain_asked {
    struct kv_keyring_deleted deleted;
    struct kv_error why;
};
KV_MUST_USE enum kv_status kv_explain_ask(struct kv_tool *tool, struct kv_version **version,
                                          struct kv_explain_asked *asked, struct kv_verdict_input *verdict,
                                          struct kv_error *err);

#endif
