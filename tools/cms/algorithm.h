/* The algorithms of envelopes that are known here, by object identifier (RFC 5652, 4055, 5084, 3565), and their parameters. Any thread. */
#ifndef KV_TOOLS_CMS_ALGORITHM_H
#define KV_TOOLS_CMS_ALGORITHM_H

#include "mech/mech.h"

enum {
    KV_CMS_NONCE = 12,
    KV_CMS_NONCE_MAX = 16,
    KV_CMS_TAG_MAX = 16,
    KV_CMS_KEY_MAX = 32,
    KV_CMS_OID_MAX = 12
};

struct kv_cms_oid {
    unsigned char bytes[KV_CMS_OID_MAX];
    size_t len;
};
bool kv_cms_oid_is(const struct kv_cms_oid *oid, struct kv_view contents);
struct kv_view kv_cms_oid_view(const struct kv_cms_oid *oid);
void kv_cms_oid_text(struct kv_view contents, char *ret, size_t size); /* "1.2.840.113549.1.7.3" */

extern const struct kv_cms_oid kv_cms_data, kv_cms_enveloped, kv_cms_auth_enveloped;

/* How the content is encrypted. */
struct kv_cms_cipher {
    struct kv_cms_oid oid;
    const char *name, *evp;
    size_t key_len, block;
    bool authenticated; /* GCM; else CBC */
};
struct kv_cms_content {
    const struct kv_cms_cipher *cipher;
    unsigned char nonce[KV_CMS_NONCE_MAX];
    size_t nonce_len;
    size_t tag_len; /* 0: none */
};
extern const struct kv_cms_cipher kv_cms_aes256_gcm;
/* From the contents of an AlgorithmIdentifier. KV_UNSUPPORTED with its identifier, KV_BAD_DATA. */
KV_MUST_USE enum kv_status kv_cms_content_read(struct kv_view algorithm, struct kv_cms_content *ret,
                                               struct kv_error *err);
/* The most that one nonce may encrypt (NIST SP 800-38D §5.2.1.1). */
#define KV_CMS_GCM_MAX ((UINT64_C(1) << 36) - 32)

/* How its key is encrypted. */
struct kv_cms_transport {
    const char *name;
    CK_MECHANISM_TYPE hash; /* of OAEP; 0: PKCS#1 v1.5 */
};
/* The parameters of OAEP must be there and whole: what is missing is never taken for something else. KV_UNSUPPORTED, KV_BAD_DATA. */
KV_MUST_USE enum kv_status kv_cms_transport_read(struct kv_view algorithm,
                                                 const struct kv_cms_transport **ret, struct kv_error *err);

/* AlgorithmIdentifiers of what is written here: RSA-OAEP with SHA-256, AES-256-GCM with this nonce of 12 bytes and a tag of 16. */
KV_MUST_USE enum kv_status kv_cms_transport_write(struct kv_bytes *ret);
KV_MUST_USE enum kv_status kv_cms_content_write(struct kv_view nonce, struct kv_bytes *ret);

#endif
