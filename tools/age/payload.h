/* The payload of an age file (C2SP age.md, "Payload") as a stream between two descriptors, in constant memory: some 1 MiB a thread. All threads but the caller's are
 * its own and have ended when it returns. Order is kept; nothing is written before it is authenticated; a failure leaves whole chunks behind, never an end. */
#ifndef KV_TOOLS_AGE_PAYLOAD_H
#define KV_TOOLS_AGE_PAYLOAD_H

#include "armor.h"
#include "stanza.h"

enum { KV_AGE_NONCE = 16, KV_AGE_THREADS_MAX = 16 };

struct kv_age_stream {
    int in, out;
    const char *in_name, *out_name; /* for errors: "the standard input", "'backup.age'" */
    struct kv_view ahead;           /* what was read from `in` already: at most KV_AGE_HEADER_MAX */
    struct kv_age_armor_reader
        *armor_in; /* NULL: `in` has none, or is refused for it; else looked for by kv_age_file_header */
    struct kv_age_armor_writer *armor_out; /* NULL: `out` gets none */
    unsigned threads;                      /* 0: as many as cores are ours; at most KV_AGE_THREADS_MAX */
    /* When the input has ended, before the last chunk is made or released: a failure is the stream's. May be NULL, as the next. */
    enum kv_status (*ended)(void *state, struct kv_error *err);
    /* What is about to be written, in order, from one thread at a time. */
    enum kv_status (*passing)(void *state, struct kv_view part, struct kv_error *err);
    void *state;
};

/* Writes the nonce and the chunks, and the end of an armor. KV_INPUT: `in` cannot be read; KV_IO: `out` cannot be written. */
KV_MUST_USE enum kv_status kv_age_payload_seal(const struct kv_age_stream *stream,
                                               const unsigned char file_key[KV_AGE_FILE_KEY],
                                               struct kv_error *err);
/* Reads the nonce and the chunks. KV_BAD_DATA: cut, changed, or more than there was. */
KV_MUST_USE enum kv_status kv_age_payload_open(const struct kv_age_stream *stream,
                                               const unsigned char file_key[KV_AGE_FILE_KEY],
                                               struct kv_error *err);
/* Are these the nonce and the first chunk of a payload under this key? `start`: all that there is of them, and `more` of the file behind. Bytes are changed. KV_BAD_DATA: they are not. */
KV_MUST_USE enum kv_status kv_age_payload_begins(struct kv_bytes *start, bool more,
                                                 const unsigned char file_key[KV_AGE_FILE_KEY],
                                                 struct kv_error *err);

#endif
