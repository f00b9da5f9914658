/* The header of an age v1 file (C2SP age.md, "Header"): strict both ways, authenticated by the file key. Bounds of ours: 64 KiB and 256 stanzas; age's and rage's own
 * files keep far below. One thread. */
#ifndef KV_TOOLS_AGE_HEADER_H
#define KV_TOOLS_AGE_HEADER_H

#include "stanza.h"

enum { KV_AGE_HEADER_MAX = 64 * 1024, KV_AGE_STANZAS_MAX = 256, KV_AGE_MAC = 32 };

struct kv_age_header {
    struct kv_age_stanza *stanzas;
    size_t count;
    struct kv_bytes
        text; /* the whole of it as it stands in the file: from the version line to the line feed behind the MAC */
    unsigned char mac[KV_AGE_MAC];
};

void kv_age_header_free(struct kv_age_header *header); /* contents, not the struct; NULL is fine */
#define KV_AUTO_AGE_HEADER KV_CLEANUP(kv_age_header_free)

/* Is the header whole in these first bytes of a file? Then *ret_len is its length. KV_OK with 0: it goes on behind them. KV_BAD_DATA: it is none, or too long,
 * told as early as can be. */
KV_MUST_USE enum kv_status kv_age_header_length(struct kv_view start, size_t *ret_len, struct kv_error *err);
/* `text` begins with a header; what follows is not looked at. KV_BAD_DATA. */
KV_MUST_USE enum kv_status kv_age_header_parse(struct kv_view text, struct kv_age_header *ret,
                                               struct kv_error *err);
/* KV_BAD_DATA: the header is not the one that was written with this key. */
KV_MUST_USE enum kv_status kv_age_header_check(const struct kv_age_header *header,
                                               const unsigned char file_key[KV_AGE_FILE_KEY],
                                               struct kv_error *err);
/* The first identity that a stanza is for gives the file key, and the header is checked with it. When an identity fails, the next is tried and the failure kept:
 * it is told when no other one opens the file. KV_NOT_FOUND: no stanza is for any of them. */
KV_MUST_USE enum kv_status kv_age_header_open(const struct kv_age_header *header,
                                              const struct kv_age_identity *identities, size_t count,
                                              unsigned char ret_file_key[KV_AGE_FILE_KEY],
                                              struct kv_error *err);

/* Written out and authenticated. Appended to *ret. */
KV_MUST_USE enum kv_status kv_age_header_write(const struct kv_age_stanza *stanzas, size_t count,
                                               const unsigned char file_key[KV_AGE_FILE_KEY],
                                               struct kv_buffer *ret, struct kv_error *err);
/* The same for these recipients. */
KV_MUST_USE enum kv_status kv_age_header_seal(const struct kv_age_recipient *recipients, size_t count,
                                              const unsigned char file_key[KV_AGE_FILE_KEY],
                                              struct kv_buffer *ret, struct kv_error *err);

#endif
