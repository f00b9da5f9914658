#include "payload.h"

#include <inttypes.h>
#include <string.h>
#include "pipeline.h"
#include "primitives.h"

static enum kv_status payload_key(const unsigned char *file_key, const unsigned char *nonce,
                                  unsigned char ret[KV_AGE_KEY], struct kv_error *err)
{
    return kv_age_hkdf((struct kv_view){ file_key, KV_AGE_FILE_KEY }, (struct kv_view){ nonce, KV_AGE_NONCE },
                       "payload", ret, err);
}

static void add_out(struct kv_age_batch *batch, unsigned char *data, size_t len)
{
    if (len)
        batch->out[batch->out_count++] = (struct iovec){ data, len };
}

/* ---- sealing ---- */

/* Sealed chunks lie one behind the other: one piece to write. */
static void seal_batch(struct kv_age_cipher *cipher, struct kv_age_batch *batch)
{
    size_t chunks = (batch->filled + KV_AGE_CHUNK - 1) / KV_AGE_CHUNK;
    if (batch->last && !batch->filled && !batch->first)
        chunks = 1; /* an empty payload is one empty chunk */
    for (size_t i = 0; i < chunks; i++) {
        bool last = batch->last && i + 1 == chunks;
        size_t len = i + 1 == chunks ? batch->filled - i * KV_AGE_CHUNK : KV_AGE_CHUNK;
        if (!kv_age_cipher_seal(cipher, batch->first + i, last, batch->data + i * KV_AGE_SEALED_CHUNK, len)) {
            batch->status = kv_fail(&batch->err, KV_INTERNAL, "OpenSSL cannot encrypt");
            return;
        }
    }
    add_out(batch, batch->data, batch->filled + chunks * KV_AGE_TAG);
}

enum kv_status kv_age_payload_seal(const struct kv_age_stream *stream,
                                   const unsigned char file_key[KV_AGE_FILE_KEY], struct kv_error *err)
{
    unsigned char nonce[KV_AGE_NONCE], key[KV_AGE_KEY];
    struct kv_age_pipeline pipeline = { stream, key, true, seal_batch };
    KV_TRY(kv_age_random(nonce, sizeof nonce, err));
    KV_TRY(payload_key(file_key, nonce, key, err));
    enum kv_status status = kv_age_stream_put(stream, (struct kv_view){ nonce, sizeof nonce }, err);
    if (status == KV_OK)
        status = kv_age_pipeline_run(&pipeline, err);
    if (status == KV_OK)
        status = kv_age_stream_end(stream, err);
    kv_wipe(key, sizeof key);
    return status;
}

/* ---- opening ---- */

/* Why a chunk is refused: the other mark in its nonce tells an end that is missing, or that is none, from bytes that were changed. */
static void tell(struct kv_age_cipher *cipher, struct kv_age_batch *batch, size_t i, bool last, size_t len)
{
    uint64_t number = batch->first + i;
    const char *what = "bytes of the file were changed";
    if (kv_age_cipher_unseal(cipher, number, !last, batch->data + i * KV_AGE_SEALED_CHUNK, len))
        what = last ? "the file was cut off behind it" : "the file goes on behind its end";
    batch->status =
        kv_fail(&batch->err, KV_BAD_DATA, "chunk %" PRIu64 " (at byte %" PRIu64 " of the contents): %s",
                number, number * KV_AGE_CHUNK, what);
}

static void open_batch(struct kv_age_cipher *cipher, struct kv_age_batch *batch)
{
    size_t chunks = (batch->filled + KV_AGE_SEALED_CHUNK - 1) / KV_AGE_SEALED_CHUNK;
    for (size_t i = 0; i < chunks; i++) {
        bool last = batch->last && i + 1 == chunks;
        unsigned char *data = batch->data + i * KV_AGE_SEALED_CHUNK;
        size_t len = i + 1 == chunks ? batch->filled - i * KV_AGE_SEALED_CHUNK : KV_AGE_SEALED_CHUNK;
        if (len < KV_AGE_TAG || (len == KV_AGE_TAG && batch->first + i)) {
            batch->status =
                kv_fail(&batch->err, KV_BAD_DATA, "chunk %" PRIu64 " is %s: the file was cut off or added to",
                        batch->first + i, len < KV_AGE_TAG ? "shorter than its tag" : "empty");
            return;
        }
        if (!kv_age_cipher_unseal(cipher, batch->first + i, last, data, len - KV_AGE_TAG)) {
            tell(cipher, batch, i, last, len - KV_AGE_TAG);
            return;
        }
        add_out(batch, data, len - KV_AGE_TAG);
    }
    if (!chunks)
        batch->status = kv_fail(&batch->err, KV_BAD_DATA, "the file was cut off: its last chunk is missing");
}

enum kv_status kv_age_payload_open(const struct kv_age_stream *stream,
                                   const unsigned char file_key[KV_AGE_FILE_KEY], struct kv_error *err)
{
    unsigned char nonce[KV_AGE_NONCE], key[KV_AGE_KEY];
    struct kv_age_stream rest = *stream;
    struct kv_age_pipeline pipeline = { &rest, key, false, open_batch };
    KV_TRY(kv_age_stream_take(&rest, nonce, sizeof nonce, err));
    KV_TRY(payload_key(file_key, nonce, key, err));
    enum kv_status status = kv_age_pipeline_run(&pipeline, err);
    kv_wipe(key, sizeof key);
    return status;
}

static void cipher_cleanup(struct kv_age_cipher **cipher)
{
    kv_age_cipher_free(*cipher);
}

enum kv_status kv_age_payload_begins(struct kv_bytes *start, bool more,
                                     const unsigned char file_key[KV_AGE_FILE_KEY], struct kv_error *err)
{
    unsigned char key[KV_AGE_KEY];
    if (start->len < KV_AGE_NONCE + KV_AGE_TAG)
        return kv_fail(err, KV_BAD_DATA, "the file was cut off behind its header");
    KV_TRY(payload_key(file_key, start->data, key, err));
    KV_CLEANUP(cipher_cleanup) struct kv_age_cipher *cipher = kv_age_cipher_open(key, false);
    kv_wipe(key, sizeof key);
    if (!cipher)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (!kv_age_cipher_unseal(cipher, 0, !more, start->data + KV_AGE_NONCE,
                              start->len - KV_AGE_NONCE - KV_AGE_TAG))
        return kv_fail(err, KV_BAD_DATA, "the header is another file's, or the file was changed behind it");
    return KV_OK;
}
