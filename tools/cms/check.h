/* Is a content the one that its AES-GCM tag speaks of? Told piece by piece without deciphering it, which takes a third of the time; and each piece of a second reading is
 * confirmed to be that of the first, so that nothing is deciphered for anybody that was not seen to be authentic, whatever happened to the file in between.
 *
 * The tag of GCM is a polynomial over its blocks, GHASH, with a mask (NIST SP 800-38D §6.4, §7.1). OpenSSL gives the tag of each piece by itself, as if it were all
 * there is (GMAC); the pieces' polynomials are put together to that of the whole here. One thread. */
#ifndef KV_TOOLS_CMS_CHECK_H
#define KV_TOOLS_CMS_CHECK_H

#include "algorithm.h"

struct kv_cms_check;
/* All pieces but the last are `piece` bytes long, a multiple of 16. */
KV_MUST_USE enum kv_status kv_cms_check_new(const struct kv_cms_content *content, struct kv_view key,
                                            size_t piece, struct kv_cms_check **ret, struct kv_error *err);
void kv_cms_check_free(struct kv_cms_check *check);
KV_DEFINE_CLEANUP(struct kv_cms_check, kv_cms_check_free)
#define KV_AUTO_CMS_CHECK KV_CLEANUP(kv_cms_check_free_cleanup)
/* The next piece of the first reading. KV_DATA_LENGTH: longer than GCM can be. */
KV_MUST_USE enum kv_status kv_cms_check_add(struct kv_cms_check *check, struct kv_view piece,
                                            struct kv_error *err);
/* After the last: `covered` is what the tag covers besides. KV_BAD_CIPHERTEXT. */
KV_MUST_USE enum kv_status kv_cms_check_tag(struct kv_cms_check *check, struct kv_view covered,
                                            struct kv_view tag, struct kv_error *err);
/* The next piece of the second reading; `last`: there are no more. KV_BAD_CIPHERTEXT: it is not what was read at first. */
KV_MUST_USE enum kv_status kv_cms_check_confirm(struct kv_cms_check *check, struct kv_view piece, bool last,
                                                struct kv_error *err);

#endif
