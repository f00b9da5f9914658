/* Bytes of an envelope, read from the front: a file, a pipe or memory, through a window of fixed size. Where they must be read twice, a pipe is copied on its
 * way into a file without a name. Text forms are turned into binary on the way. Positions count from the first byte of the binary form. One thread at a time. */
#ifndef KV_TOOLS_CMS_INPUT_H
#define KV_TOOLS_CMS_INPUT_H

#include "text.h"

enum { KV_CMS_WINDOW = 1 << 16 };

struct kv_cms_input {
    const char *name; /* for messages; borrowed */
    int fd;           /* -1: memory */
    bool seekable;
    int64_t start; /* where in fd position 0 is; of a pipe that is kept, where in `copy` minus what was not */
    int copy;      /* what a pipe gave since kv_cms_input_keep; -1: not kept */
    const unsigned char *data; /* the window, or all of it */
    unsigned char *window;
    size_t at, end;
    uint64_t position;        /* of data[at] */
    struct kv_cms_text *text; /* what the window is decoded by; NULL: nothing has to be */
};

/* `path` NULL or "-": the standard input. KV_ARGUMENTS: cannot be opened. */
KV_MUST_USE enum kv_status kv_cms_input_open(const char *path, struct kv_cms_input *ret,
                                             struct kv_error *err);
/* Borrowed. Needs no closing while it is binary. */
void kv_cms_input_memory(struct kv_view bytes, struct kv_cms_input *ret);
void kv_cms_input_close(struct kv_cms_input *input); /* contents */
#define KV_AUTO_CMS_INPUT KV_CLEANUP(kv_cms_input_close)

/* At the first byte, before any was taken: what follows is text. Kinds that are not known are told by the next read. KV_NO_MEMORY. */
KV_MUST_USE enum kv_status kv_cms_input_text(struct kv_cms_input *input, struct kv_error *err);

/* Makes sure that there is a byte in the window; *ret_end: there is none any more. KV_IO. */
KV_MUST_USE enum kv_status kv_cms_input_fill(struct kv_cms_input *input, bool *ret_end, struct kv_error *err);
/* The next bytes without taking them, as many as there are up to `len`, at most half a window. */
KV_MUST_USE enum kv_status kv_cms_input_peek(struct kv_cms_input *input, size_t len, struct kv_view *ret,
                                             struct kv_error *err);
/* One byte. KV_BAD_DATA: the end. */
KV_MUST_USE enum kv_status kv_cms_input_byte(struct kv_cms_input *input, unsigned char *ret,
                                             struct kv_error *err);
/* Up to `room` bytes, at least one; `to` NULL passes over them. KV_BAD_DATA: the end. */
KV_MUST_USE enum kv_status kv_cms_input_some(struct kv_cms_input *input, unsigned char *to, size_t room,
                                             size_t *ret, struct kv_error *err);

/* From here on the input can be read again. Nothing to do for a file. KV_IO. */
KV_MUST_USE enum kv_status kv_cms_input_keep(struct kv_cms_input *input, struct kv_error *err);
/* May a read wait for somebody else, who has not written yet? */
bool kv_cms_input_waits(const struct kv_cms_input *input);
/* Of the binary form, about; 0: nobody knows. */
uint64_t kv_cms_input_size(const struct kv_cms_input *input);
bool kv_cms_input_can_return(const struct kv_cms_input *input);
/* Back to a position since kv_cms_input_keep (of a file: any). */
KV_MUST_USE enum kv_status kv_cms_input_return(struct kv_cms_input *input, uint64_t position,
                                               struct kv_error *err);

#endif
