/* The front of an age file that is a stream: its header, and what was read with it. One thread. */
#ifndef KV_TOOLS_AGE_FILE_H
#define KV_TOOLS_AGE_FILE_H

#include "header.h"
#include "payload.h"

/* Reads from stream->in as far as the header goes, and a little further: the rest is left in *ret_ahead and stands in stream->ahead, for kv_age_payload_open.
 * An armor is taken off where stream->armor_in is one to do it with. KV_INPUT, KV_BAD_DATA. */
KV_MUST_USE enum kv_status kv_age_file_header(struct kv_age_stream *stream, struct kv_age_header *ret,
                                              struct kv_buffer *ret_ahead, struct kv_error *err);
/* The other way: the header goes in front of what kv_age_payload_seal writes. KV_IO. */
KV_MUST_USE enum kv_status kv_age_file_begin(const struct kv_age_stream *stream, struct kv_view header,
                                             struct kv_error *err);

#endif
