/* Opening an envelope: its head is read, somebody gets its key, then the content goes to an output. Nothing of an authenticated content is released before its tag is
 * seen to be right: an output that holds everything back gets it in one reading, a stream in the second of two.
 * Readings of files are shared by the cores. Memory does not grow with the content, but for 16 bytes a piece. One caller. */
#ifndef KV_TOOLS_CMS_OPEN_H
#define KV_TOOLS_CMS_OPEN_H

#include "envelope.h"
#include "output.h"

struct kv_cms_opening {
    struct kv_ber ber;
    struct kv_cms_envelope envelope;
    /* Of the caller, NULL: nobody wants to know. After each piece of each reading; one thread at a time. */
    void (*passed)(void *state, size_t bytes);
    void *state;
};
/* How often the content will be read for this output, as far as that is known. */
unsigned kv_cms_open_readings(const struct kv_cms_opening *opening, const struct kv_output *output);
/* The head; KV_UNSUPPORTED with the option's name when the content is not authenticated and that is not allowed. */
KV_MUST_USE enum kv_status kv_cms_open_head(struct kv_cms_input *input, bool unauthenticated,
                                            struct kv_cms_opening *ret, struct kv_error *err);
void kv_cms_opening_free(struct kv_cms_opening *opening); /* contents */
/* The content. The caller commits the output. */
KV_MUST_USE enum kv_status kv_cms_open_content(struct kv_cms_opening *opening, struct kv_view key,
                                               struct kv_output *output, struct kv_error *err);

#endif
