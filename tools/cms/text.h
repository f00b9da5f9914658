/* An envelope as text: PEM (RFC 7468) between its BEGIN and END lines, S/MIME (RFC 8551) behind its header. The base64 is taken off on the way, in constant memory. One
 * thread at a time. */
#ifndef KV_TOOLS_CMS_TEXT_H
#define KV_TOOLS_CMS_TEXT_H

#include "base/bytes.h"

/* By its first bytes. */
bool kv_cms_text_is(struct kv_view start);

struct kv_cms_text;
enum {
    KV_CMS_TEXT_PIECE = 1 << 14 /* bytes of text that are read at once: what was read ahead is no more */
};
/* The text is `ahead` and then what `fd` gives; -1: nothing. `name` for messages, which is borrowed as `ahead` is when there is no fd. */
KV_MUST_USE enum kv_status kv_cms_text_new(const char *name, int fd, struct kv_view ahead,
                                           struct kv_cms_text **ret, struct kv_error *err);
void kv_cms_text_free(struct kv_cms_text *text);
KV_DEFINE_CLEANUP(struct kv_cms_text, kv_cms_text_free)
#define KV_AUTO_CMS_TEXT KV_CLEANUP(kv_cms_text_free_cleanup)
/* From its first byte on, where the caller has put the descriptor again. */
void kv_cms_text_restart(struct kv_cms_text *text);
/* Some bytes of the envelope; 0: its end, and the text's. `room` is at least KV_CMS_TEXT_PIECE. KV_BAD_DATA, KV_UNSUPPORTED, KV_IO. */
KV_MUST_USE enum kv_status kv_cms_text_read(struct kv_cms_text *text, unsigned char *to, size_t room,
                                            size_t *ret, struct kv_error *err);

#endif
