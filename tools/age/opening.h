/* An age file on its way to be opened: by the header in it, or by the one beside it that `kvp11 rewrap` has left. Zero it. One thread. */
#ifndef KV_TOOLS_AGE_OPENING_H
#define KV_TOOLS_AGE_OPENING_H

#include "file.h"
#include "sidecar.h"

struct kv_age_opening {
    struct kv_age_header own; /* in the file; empty, and the error, where there is none that can be read */
    struct kv_error own_error;
    struct kv_buffer ahead;
    struct kv_age_armor_reader armor;
    struct kv_age_sidecar side; /* beside it; empty: none, or none that is this file's */
    struct kv_error passed;     /* why one that lies there was passed over; else no status */
};
void kv_age_opening_free(struct kv_age_opening *opening); /* contents, not the struct */
#define KV_AUTO_AGE_OPENING KV_CLEANUP(kv_age_opening_free)

/* Reads both. `path` NULL: a stream, beside which nothing lies. The stream borrows from the opening. */
void kv_age_opening_read(struct kv_age_stream *stream, const char *path, struct kv_age_opening *ret);
/* Who opens it, by either header; then the payload is next in the stream. */
KV_MUST_USE enum kv_status kv_age_opening_key(const struct kv_age_opening *opening,
                                              struct kv_age_stream *stream,
                                              const struct kv_age_identity *identities, size_t count,
                                              unsigned char ret_file_key[KV_AGE_FILE_KEY],
                                              struct kv_error *err);

#endif
