/* Writing an envelope of a size that memory holds: AuthEnvelopedData, AES-256-GCM, the key of the content by RSA-OAEP with SHA-256 for each recipient
 * (RFC 5652, 5083, 5084; all of it DER). One thread. */
#ifndef KV_TOOLS_CMS_SEAL_H
#define KV_TOOLS_CMS_SEAL_H

#include "algorithm.h"

enum { KV_CMS_SEAL_MAX = 16 << 20, KV_CMS_SEAL_RECIPIENTS = 64 };

/* One who can open it: by key identifier or, where that is empty, by issuer and serial number (whole DER elements). */
struct kv_cms_sealed_key {
    unsigned char key_id[20];
    size_t key_id_len;
    struct kv_bytes issuer, serial;
    struct kv_bytes key; /* the content's key, wrapped */
};
void kv_cms_sealed_key_free(struct kv_cms_sealed_key *sealed); /* contents */

struct kv_cms_seal {
    struct kv_bytes key; /* of the content: fresh, to be wrapped for each recipient */
    struct kv_cms_sealed_key recipients[KV_CMS_SEAL_RECIPIENTS];
    size_t count;
};
KV_MUST_USE enum kv_status kv_cms_seal_start(struct kv_cms_seal *ret, struct kv_error *err);
void kv_cms_seal_free(struct kv_cms_seal *seal); /* contents */
/* The whole envelope. */
KV_MUST_USE enum kv_status kv_cms_seal_write(const struct kv_cms_seal *seal, struct kv_view plain,
                                             struct kv_bytes *ret, struct kv_error *err);

#endif
