/* What the first of two readings has seen: a fingerprint of each piece, so that the second gives nothing away that is not what was authenticated, whatever happened to
 * the file in between. The fingerprint is GMAC (NIST SP 800-38D) under a key that is drawn for one reading and known to nobody, the piece's number its nonce. */
#ifndef KV_TOOLS_CMS_SEEN_H
#define KV_TOOLS_CMS_SEEN_H

#include "algorithm.h"

struct kv_cms_seen;
KV_MUST_USE enum kv_status kv_cms_seen_new(struct kv_cms_seen **ret, struct kv_error *err);
void kv_cms_seen_free(struct kv_cms_seen *seen);
KV_DEFINE_CLEANUP(struct kv_cms_seen, kv_cms_seen_free)
#define KV_AUTO_CMS_SEEN KV_CLEANUP(kv_cms_seen_free_cleanup)
/* Any thread, any number of them. */
KV_MUST_USE enum kv_status kv_cms_seen_mark(const struct kv_cms_seen *seen, uint64_t number,
                                            struct kv_view piece, unsigned char ret[KV_CMS_TAG_MAX],
                                            struct kv_error *err);
/* The next piece's, from number 0 on. One thread at a time. */
KV_MUST_USE enum kv_status kv_cms_seen_add(struct kv_cms_seen *seen, const unsigned char mark[KV_CMS_TAG_MAX],
                                           struct kv_error *err);
/* A piece of the second reading; `last`: there are no more. KV_BAD_CIPHERTEXT: it is not what was read at first. Any thread. */
KV_MUST_USE enum kv_status kv_cms_seen_confirm(const struct kv_cms_seen *seen, uint64_t number,
                                               struct kv_view piece, bool last, struct kv_error *err);

#endif
