/* The content's cipher, in pieces. One thread. */
#ifndef KV_TOOLS_CMS_CIPHER_H
#define KV_TOOLS_CMS_CIPHER_H

#include "algorithm.h"

/* --- opening the content --- */
struct kv_cms_opener;
/* `covered`: what the tag covers besides the content. KV_INTERNAL, KV_NO_MEMORY. */
KV_MUST_USE enum kv_status kv_cms_opener_new(const struct kv_cms_content *content, struct kv_view key,
                                             struct kv_view covered, struct kv_cms_opener **ret,
                                             struct kv_error *err);
/* The same for a content that a kv_cms_check has seen to be authentic, piece by piece: it is only deciphered, and has no end to be checked. */
KV_MUST_USE enum kv_status kv_cms_opener_checked(const struct kv_cms_content *content, struct kv_view key,
                                                 struct kv_cms_opener **ret, struct kv_error *err);
void kv_cms_opener_free(struct kv_cms_opener *opener);
KV_DEFINE_CLEANUP(struct kv_cms_opener, kv_cms_opener_free)
#define KV_AUTO_CMS_OPENER KV_CLEANUP(kv_cms_opener_free_cleanup)
/* `to` has KV_CMS_NONCE_MAX bytes more room than the input. What comes out of GCM is not authenticated before the end. KV_DATA_LENGTH: longer than GCM can be. */
KV_MUST_USE enum kv_status kv_cms_opener_update(struct kv_cms_opener *opener, struct kv_view in,
                                                unsigned char *to, size_t *ret_len, struct kv_error *err);
/* The last bytes (CBC), after the padding is seen to be right; GCM: the tag. KV_BAD_CIPHERTEXT, the same words whatever was wrong. */
KV_MUST_USE enum kv_status kv_cms_opener_end(struct kv_cms_opener *opener, struct kv_view tag,
                                             unsigned char *to, size_t *ret_len, struct kv_error *err);

/* The whole of a content that is written here, by AES-256-GCM: `to` has as many bytes as `plain`, the nonce 12, the tag KV_CMS_TAG_MAX. */
KV_MUST_USE enum kv_status kv_cms_seal_content(struct kv_view key, const unsigned char *nonce,
                                               struct kv_view plain, unsigned char *to,
                                               unsigned char *ret_tag, struct kv_error *err);

/* --- for kv_cms_check --- */
struct evp_cipher_ctx_st;
/* GCM under the content's key and nonce, ready for what a tag covers; EVP_CIPHER_CTX_free. NULL: OpenSSL failed. */
struct evp_cipher_ctx_st *kv_cms_gcm_start(const struct kv_cms_content *content, struct kv_view key);
/* One block of 16 bytes through AES alone. */
bool kv_cms_block(struct kv_view key, const unsigned char *in, unsigned char *ret);
/* KV_BAD_CIPHERTEXT, in the same words whatever was wrong. */
KV_MUST_USE enum kv_status kv_cms_not_authentic(struct kv_error *err);

#endif
