/* Who can open a file, by what stands at its front: an age header, or the head of a CMS envelope. Reads no further than that. One thread. */
#ifndef KV_TOOLS_SCAN_HEAD_H
#define KV_TOOLS_SCAN_HEAD_H

#include "age/header.h"
#include "common.h"
#include "keys/coverage.h"

enum kv_head_kind { KV_HEAD_NONE, KV_HEAD_AGE, KV_HEAD_CMS };

/* Recipients of age: keys of vaults by their digest; "x25519", "scrypt", "ssh-ed25519" and what else is known to open without a vault by the type of its stanza;
 * any other type is "unknown", but for grease, which is nobody. Of CMS: "cms-rsa", a version that this host knows; "cms-certificate", somebody else; "cms-unknown",
 * where none of the recipients is known, so that it may be a key of a vault. */
struct kv_head {
    enum kv_head_kind kind;
    unsigned char sha256[32]; /* of the header as it stands in the file */
    struct kv_map_recipient *recipients;
    size_t recipient_count;
    unsigned char (
        *wraps)[32]; /* SHA-256 of the keys that versions have wrapped there: as the ledger knows them */
    size_t wrap_count;
    bool is_beside; /* a sidecar: it opens the file whose own header has this digest */
    unsigned char beside[32];
};
void kv_head_free(struct kv_head *head); /* contents */
#define KV_AUTO_HEAD KV_CLEANUP(kv_head_free)

/* What many files are read with: room, and the certificates of the vaults once something asks for them. */
struct kv_head_reader;
struct kv_head_reader *kv_head_reader_new(struct kv_tool *tool); /* NULL: memory is short */
void kv_head_reader_free(struct kv_head_reader *reader);
KV_DEFINE_CLEANUP(struct kv_head_reader, kv_head_reader_free)
#define KV_AUTO_HEAD_READER KV_CLEANUP(kv_head_reader_free_cleanup)

/* `fd` is read from its first byte, and its place is not moved. KV_OK and KV_HEAD_NONE: it is neither. KV_BAD_DATA, KV_UNSUPPORTED: it begins like one and is broken. KV_INPUT. */
KV_MUST_USE enum kv_status kv_head_read(struct kv_head_reader *reader, int fd, struct kv_head *ret,
                                        struct kv_error *err);

/* One stanza of age. */
KV_MUST_USE enum kv_status kv_head_recipient(const struct kv_age_stanza *stanza, struct kv_map_recipient *ret,
                                             struct kv_error *err);
/* Is it for the version with this key (kv_map_key_of)? */
bool kv_head_is_for(const struct kv_age_stanza *stanza, struct kv_view key);

#endif
