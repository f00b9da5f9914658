/* What moves batches of a stream from one descriptor to another through a crew of threads. Each member reads a batch, works on it and, when its turn has come, writes it: so a batch stays with one core and its cache, and
 * nothing is copied but what waits to be known as the last. Private to the payload. */
#ifndef KV_TOOLS_AGE_PIPELINE_H
#define KV_TOOLS_AGE_PIPELINE_H

#include <sys/uio.h>
#include "payload.h"
#include "cipher.h"

enum { KV_AGE_BATCH = 8 /* chunks: what a core's second cache holds */ };

struct kv_age_batch {
    unsigned char *
        data; /* KV_AGE_BATCH × KV_AGE_SEALED_CHUNK: each chunk of the input where its sealed form has its place */
    uint64_t first;                 /* number of its first chunk */
    size_t filled;                  /* bytes of input, tags counted where there are any */
    bool last;                      /* the input ends with it */
    struct iovec out[KV_AGE_BATCH]; /* what is to be written, set by the work */
    int out_count;
    enum kv_status status; /* of reading it or working on it; what `out` has is good all the same */
    struct kv_error err;
};

struct kv_age_pipeline {
    const struct kv_age_stream *stream;
    const unsigned char *key;
    bool seal;
    void (*work)(struct kv_age_cipher *cipher, struct kv_age_batch *batch); /* any thread */
};

KV_MUST_USE enum kv_status kv_age_pipeline_run(const struct kv_age_pipeline *pipeline, struct kv_error *err);

/* stream.c: descriptors, with all that a read or a write may come back with. `from` is used up.
 * Exactly `len` bytes from the front of the stream, from what was read ahead first. KV_BAD_DATA: it ends before. */
KV_MUST_USE enum kv_status kv_age_stream_take(struct kv_age_stream *stream, unsigned char *ret, size_t len,
                                              struct kv_error *err);
KV_MUST_USE enum kv_status kv_age_stream_put(const struct kv_age_stream *stream, struct kv_view bytes,
                                             struct kv_error *err);
KV_MUST_USE enum kv_status kv_age_stream_write(const struct kv_age_stream *stream, struct iovec *from,
                                               int count, struct kv_error *err);
/* One read, with the armor taken off where there is one: *ret is how much came, 0 at the end, -1 when nothing came but more may. */
KV_MUST_USE enum kv_status kv_age_stream_read(const struct kv_age_stream *stream, const struct iovec *to,
                                              int count, ssize_t *ret, struct kv_error *err);
/* Would that give something, or the end, without a look at the descriptor? */
bool kv_age_stream_has(const struct kv_age_stream *stream);
/* For who has no other descriptor to look at: as above, and never -1. */
KV_MUST_USE enum kv_status kv_age_stream_wait(const struct kv_age_stream *stream, const struct iovec *to,
                                              int count, ssize_t *ret, struct kv_error *err);
/* What an armor still lacks. */
KV_MUST_USE enum kv_status kv_age_stream_end(const struct kv_age_stream *stream, struct kv_error *err);

#endif
