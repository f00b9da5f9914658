/* The content's cipher, in pieces. One thread at a time. */
#ifndef KV_TOOLS_CMS_CIPHER_H
#define KV_TOOLS_CMS_CIPHER_H

#include "algorithm.h"

/* --- opening the content --- */
struct kv_cms_opener;
/* `covered`: what the tag covers besides the content. KV_INTERNAL, KV_NO_MEMORY. */
KV_MUST_USE enum kv_status kv_cms_opener_new(const struct kv_cms_content *content, struct kv_view key,
                                             struct kv_view covered, struct kv_cms_opener **ret,
                                             struct kv_error *err);
void kv_cms_opener_free(struct kv_cms_opener *opener);
KV_DEFINE_CLEANUP(struct kv_cms_opener, kv_cms_opener_free)
#define KV_AUTO_CMS_OPENER KV_CLEANUP(kv_cms_opener_free_cleanup)
/* `to` has KV_CMS_NONCE_MAX bytes more room than the input; for GCM it may be the input. What comes out of GCM is not authenticated before the end. KV_DATA_LENGTH: longer than GCM can be. */
KV_MUST_USE enum kv_status kv_cms_opener_update(struct kv_cms_opener *opener, struct kv_view in,
                                                unsigned char *to, size_t *ret_len, struct kv_error *err);
/* The last bytes (CBC), after the padding is seen to be right; GCM: the tag. KV_BAD_CIPHERTEXT, the same words whatever was wrong. */
KV_MUST_USE enum kv_status kv_cms_opener_end(struct kv_cms_opener *opener, struct kv_view tag,
                                             unsigned char *to, size_t *ret_len, struct kv_error *err);

/* The whole of a content that is written here, by AES-256-GCM: `to` has as many bytes as `plain`, the nonce KV_CMS_NONCE, the tag KV_CMS_TAG_MAX. */
KV_MUST_USE enum kv_status kv_cms_seal_content(struct kv_view key, const unsigned char *nonce,
                                               struct kv_view plain, unsigned char *to,
                                               unsigned char *ret_tag, struct kv_error *err);

/* --- pieces of an authenticated content in any order; any thread --- */
/* Only where the nonce has KV_CMS_NONCE bytes is it known by which counter a piece begins. */
bool kv_cms_can_jump(const struct kv_cms_content *content);
/* Deciphers in place, without looking whether it is authentic, what begins at `offset`, a multiple of 16, and ends within KV_CMS_GCM_MAX. */
KV_MUST_USE enum kv_status kv_cms_decipher(const struct kv_cms_content *content, struct kv_view key,
                                           uint64_t offset, unsigned char *bytes, size_t len,
                                           struct kv_error *err);
/* GMAC: the tag as if these bytes were all that it covers. */
KV_MUST_USE enum kv_status kv_cms_gmac(const struct kv_cms_content *content, struct kv_view key,
                                       struct kv_view bytes, unsigned char ret[KV_CMS_TAG_MAX],
                                       struct kv_error *err);
/* The key of GHASH: a block of zeros through AES alone. */
KV_MUST_USE enum kv_status kv_cms_hash_key(const struct kv_cms_content *content, struct kv_view key,
                                           unsigned char ret[KV_CMS_TAG_MAX], struct kv_error *err);
/* KV_BAD_CIPHERTEXT, in the same words whatever was wrong. */
KV_MUST_USE enum kv_status kv_cms_not_authentic(struct kv_error *err);

#endif
