/* Is a content the one that its AES-GCM tag speaks of? Told piece by piece without deciphering it, and by several threads at once; and each piece of a second reading is
 * confirmed to be that of the first, so that nothing is deciphered for anybody that was not seen to be authentic, whatever happened to the file in between.
 *
 * The tag of GCM is a polynomial over its blocks, GHASH, with a mask (NIST SP 800-38D §6.4, §7.1). OpenSSL gives the tag of each piece by itself, as if it were all
 * there is (GMAC): its mark. The marks' polynomials are put together to that of the whole here, because OpenSSL computes the tag of a whole in one thread only, and
 * deciphers it on the way. Marks are made under the content's key and nonce, and never leave the process.
 */
#ifndef KV_TOOLS_CMS_CHECK_H
#define KV_TOOLS_CMS_CHECK_H

#include "algorithm.h"

struct kv_cms_check;
/* All pieces but the last are `piece` bytes long, a multiple of 16; the last is shorter, perhaps empty. `key` is borrowed. */
KV_MUST_USE enum kv_status kv_cms_check_new(const struct kv_cms_content *content, struct kv_view key,
                                            size_t piece, struct kv_cms_check **ret, struct kv_error *err);
void kv_cms_check_free(struct kv_cms_check *check);
KV_DEFINE_CLEANUP(struct kv_cms_check, kv_cms_check_free)
#define KV_AUTO_CMS_CHECK KV_CLEANUP(kv_cms_check_free_cleanup)
/* Any thread, several at a time. */
KV_MUST_USE enum kv_status kv_cms_check_mark(const struct kv_cms_check *check, struct kv_view piece,
                                             unsigned char ret[KV_CMS_TAG_MAX], struct kv_error *err);
/* The next piece's mark, in the order of the first reading; one thread at a time. KV_DATA_LENGTH: longer than GCM can be. */
KV_MUST_USE enum kv_status kv_cms_check_add(struct kv_cms_check *check, size_t len,
                                            const unsigned char mark[KV_CMS_TAG_MAX], struct kv_error *err);
/* After the last: `covered` is what the tag covers besides. KV_BAD_CIPHERTEXT. */
KV_MUST_USE enum kv_status kv_cms_check_tag(const struct kv_cms_check *check, struct kv_view covered,
                                            struct kv_view tag, struct kv_error *err);
/* A piece of the second reading, the first is number 0; `last`: there are no more. KV_BAD_CIPHERTEXT: it is not what was read at first. Any thread. */
KV_MUST_USE enum kv_status kv_cms_check_confirm(const struct kv_cms_check *check, uint64_t number,
                                                struct kv_view piece, bool last, struct kv_error *err);

#endif
