/* A secret as an age file, in memory: a passphrase or a key, one chunk at the most. Any age opens it, and what any age made of so little is opened here. One thread. */
#ifndef KV_TOOLS_AGE_ENVELOPE_H
#define KV_TOOLS_AGE_ENVELOPE_H

#include "header.h"

enum {
    KV_ENVELOPE_SECRET_MAX = 64 * 1024,
    KV_ENVELOPE_FILE_MAX =
        KV_AGE_HEADER_MAX + 16 + KV_ENVELOPE_SECRET_MAX + 16,    /* header, nonce, chunk, tag */
    KV_ENVELOPE_TEXT_MAX = KV_ENVELOPE_FILE_MAX / 48 * 66 + 4096 /* the same in armor */
};

/* Appended to *ret. */
KV_MUST_USE enum kv_status kv_age_envelope_seal(const struct kv_age_recipient *recipients, size_t count,
                                                struct kv_view secret, struct kv_buffer *ret,
                                                struct kv_error *err);
/* *ret is in locked memory (base/locked.h). KV_BAD_DATA: no age file, changed, cut, or longer than a secret. */
KV_MUST_USE enum kv_status kv_age_envelope_open(const struct kv_age_identity *identities, size_t count,
                                                struct kv_view file, struct kv_bytes *ret,
                                                struct kv_error *err);

#endif
