/* The content's cipher, in pieces, and the witness that two readings of it saw the same bytes. One thread. */
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

/* --- two readings --- */

/* A keyed tag of each piece, GMAC under a key that nobody else ever sees: what the second reading gives away was authenticated in the first, whatever
 * happened to the file in between. Pieces are told by number, from 0 on. */
struct kv_cms_witness;
KV_MUST_USE enum kv_status kv_cms_witness_new(struct kv_cms_witness **ret, struct kv_error *err);
void kv_cms_witness_free(struct kv_cms_witness *witness);
KV_DEFINE_CLEANUP(struct kv_cms_witness, kv_cms_witness_free)
#define KV_AUTO_CMS_WITNESS KV_CLEANUP(kv_cms_witness_free_cleanup)
/* The next piece of the first reading. */
KV_MUST_USE enum kv_status kv_cms_witness_add(struct kv_cms_witness *witness, struct kv_view piece,
                                              struct kv_error *err);
/* KV_BAD_CIPHERTEXT: it is not what was read at first. */
KV_MUST_USE enum kv_status kv_cms_witness_check(struct kv_cms_witness *witness, size_t number,
                                                struct kv_view piece, struct kv_error *err);
size_t kv_cms_witness_count(const struct kv_cms_witness *witness);

#endif
