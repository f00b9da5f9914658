#include "open.h"

#include "ahead.h"
#include "cipher.h"

enum { PIECE = KV_CMS_WINDOW };

/* One reading of the content. */
struct reading {
    struct kv_cms_opening *opening;
    struct kv_view key;
    struct kv_ber start; /* where the content begins */
    uint64_t start_at;
    struct kv_cms_opener *opener;
    struct kv_cms_witness *witness; /* NULL: one reading is all there is */
    size_t confirmed;               /* pieces of the second reading */
    bool second;
    struct kv_output *output; /* NULL: nothing is released */
    struct kv_bytes out;
};

static void reading_free(struct reading *reading)
{
    kv_cms_opener_free(reading->opener);
    kv_cms_witness_free(reading->witness);
    kv_bytes_free(&reading->out);
}

static enum kv_status witness(struct reading *reading, struct kv_view piece, struct kv_error *err)
{
    if (!reading->witness)
        return KV_OK;
    return reading->second ? kv_cms_witness_check(reading->witness, reading->confirmed++, piece, err)
                           : kv_cms_witness_add(reading->witness, piece, err);
}

static enum kv_status release(struct reading *reading, size_t len, struct kv_error *err)
{
    return reading->output && len
               ? kv_output_write(reading->output, (struct kv_view){ reading->out.data, len }, err)
               : KV_OK;
}

/* In the other thread. */
static enum kv_status fill_piece(void *user, unsigned char *to, size_t *ret_len, struct kv_error *err)
{
    return kv_ber_stream_read(user, to, PIECE, ret_len, err);
}

/* The content from its first byte to its last. */
static enum kv_status read_content(struct reading *reading, struct kv_error *err)
{
    struct kv_cms_ahead_source source = { fill_piece, &reading->opening->ber, PIECE,
                                          .alone = !kv_cms_input_is_file(reading->start.input) };
    KV_AUTO_CMS_AHEAD struct kv_cms_ahead *ahead = NULL;
    struct kv_view piece = { NULL, PIECE };
    size_t done = 0;
    KV_TRY(kv_cms_ahead_start(&source, &ahead, err));
    while (piece.len == PIECE) {
        KV_TRY(kv_cms_ahead_next(ahead, &piece, err));
        KV_TRY(witness(reading, piece, err));
        KV_TRY(kv_cms_opener_update(reading->opener, piece, reading->out.data, &done, err));
        KV_TRY(release(reading, done, err));
    }
    return KV_OK;
}

static enum kv_status end_content(struct reading *reading, struct kv_error *err)
{
    size_t done = 0;
    if (reading->second && reading->confirmed != kv_cms_witness_count(reading->witness))
        return kv_fail(err, KV_BAD_CIPHERTEXT, "the file became shorter while it was read");
    KV_TRY(kv_cms_opener_end(reading->opener, KV_VIEW(reading->opening->envelope.tag), reading->out.data,
                             &done, err));
    return release(reading, done, err);
}

/* One reading to its end: content, tail, tag. *ret_attributes: the tag covers attributes that nobody knew of when the reading began. */
static enum kv_status read_once(struct reading *reading, struct kv_view covered, bool *ret_attributes,
                                struct kv_error *err)
{
    struct kv_cms_envelope *envelope = &reading->opening->envelope;
    KV_TRY(kv_cms_opener_new(&envelope->content, reading->key, covered, &reading->opener, err));
    KV_TRY(read_content(reading, err));
    if (!reading->second)
        KV_TRY(kv_cms_envelope_tail(&reading->opening->ber, envelope, err));
    *ret_attributes = envelope->attributes.len && !covered.len;
    return *ret_attributes ? KV_OK : end_content(reading, err);
}

static enum kv_status go_back(struct reading *reading, struct kv_error *err)
{
    kv_cms_opener_free(reading->opener);
    reading->opener = NULL;
    reading->opening->ber = reading->start;
    return kv_cms_input_return(reading->start.input, reading->start_at, err);
}

/* Attributes that the tag covers stand behind the content, and come before it in the tag: from the start again. */
static enum kv_status read_covered(struct reading *reading, struct kv_bytes *covered, struct kv_error *err)
{
    bool again = false;
    if (!kv_cms_input_can_return(reading->start.input))
        return kv_fail(
            err, KV_UNSUPPORTED,
            "the envelope has authenticated attributes behind its content, and a pipe cannot be read "
            "twice: give a file, or no --out");
    KV_TRY(go_back(reading, err));
    if (reading->output)
        KV_TRY(kv_output_restart(reading->output, err));
    bool witnessed = reading->witness;
    kv_cms_witness_free(reading->witness);
    reading->witness = NULL;
    if (witnessed)
        KV_TRY(kv_cms_witness_new(&reading->witness, err));
    *covered = kv_bytes_take(&reading->opening->envelope.attributes);
    KV_TRY(read_once(reading, KV_VIEW(*covered), &again, err));
    return KV_OK;
}

/* Now that all of it is known to be authentic. */
static enum kv_status read_again(struct reading *reading, struct kv_view covered, struct kv_output *output,
                                 struct kv_error *err)
{
    bool again = false;
    KV_TRY(go_back(reading, err));
    reading->second = true;
    reading->output = output;
    KV_TRY(read_once(reading, covered, &again, err));
    return KV_OK;
}

enum kv_status kv_cms_open_content(struct kv_cms_opening *opening, struct kv_view key,
                                   struct kv_output *output, struct kv_error *err)
{
    bool twice = opening->envelope.authenticated && !kv_output_holds(output), attributes = false;
    KV_CLEANUP(reading_free) struct reading reading = { .opening = opening, .key = key };
    KV_AUTO_BYTES struct kv_bytes covered = { 0 };
    if (twice) {
        KV_TRY(kv_cms_input_keep(opening->ber.input, err));
        KV_TRY(kv_cms_witness_new(&reading.witness, err));
    }
    reading.start = opening->ber;
    reading.start_at = opening->ber.input->position;
    reading.output = twice ? NULL : output;
    if (kv_bytes_alloc(PIECE + KV_CMS_NONCE_MAX, &reading.out) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    KV_TRY(read_once(&reading, KV_VIEW(covered), &attributes, err));
    if (attributes)
        KV_TRY(read_covered(&reading, &covered, err));
    return twice ? read_again(&reading, KV_VIEW(covered), output, err) : KV_OK;
}

/* --- head --- */
void kv_cms_opening_free(struct kv_cms_opening *opening)
{
    kv_cms_envelope_free(&opening->envelope);
}

enum kv_status kv_cms_open_head(struct kv_cms_input *input, bool unauthenticated, struct kv_cms_opening *ret,
                                struct kv_error *err)
{
    struct kv_ber ber;
    kv_ber_open(input, &ber);
    KV_AUTO_CMS_ENVELOPE struct kv_cms_envelope envelope = { 0 };
    KV_TRY(kv_cms_envelope_head(&ber, &envelope, err));
    if (!envelope.authenticated && !unauthenticated)
        return kv_fail(
            err, KV_UNSUPPORTED,
            "'%s' is encrypted with %s, which protects nothing against change: whoever can write the "
            "file can flip bits of what comes out, and nobody notices. If that is acceptable, say "
            "--allow-unauthenticated",
            input->name, envelope.content.cipher->name);
    *ret = (struct kv_cms_opening){ ber, envelope };
    envelope = (struct kv_cms_envelope){ 0 };
    return KV_OK;
}
