/* Pieces of a stream, read by a thread of their own while the one before is worked on, so that reading and deciphering take two cores. One thread asks for them; while it
 * does, what `fill` works on belongs to the other. */
#ifndef KV_TOOLS_CMS_AHEAD_H
#define KV_TOOLS_CMS_AHEAD_H

#include "base/bytes.h"

struct kv_cms_ahead_source {
    /* Up to `piece` bytes to `to`; fewer mean that it was the last piece. */
    enum kv_status (*fill)(void *user, unsigned char *to, size_t *ret_len, struct kv_error *err);
    void *user;
    size_t piece;
    bool
        alone; /* reads may wait for ever (a pipe): nobody reads ahead, and each piece is read when it is asked for */
};

struct kv_cms_ahead;
KV_MUST_USE enum kv_status kv_cms_ahead_start(const struct kv_cms_ahead_source *source,
                                              struct kv_cms_ahead **ret, struct kv_error *err);
/* Ends the other thread, too. NULL is fine. */
void kv_cms_ahead_free(struct kv_cms_ahead *ahead);
KV_DEFINE_CLEANUP(struct kv_cms_ahead, kv_cms_ahead_free)
#define KV_AUTO_CMS_AHEAD KV_CLEANUP(kv_cms_ahead_free_cleanup)
/* Valid until the next call. Behind the last piece, and behind a failure, there is nothing to ask for. */
KV_MUST_USE enum kv_status kv_cms_ahead_next(struct kv_cms_ahead *ahead, struct kv_view *ret,
                                             struct kv_error *err);

#endif
