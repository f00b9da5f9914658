#include "open.h"

#include "check.h"
#include "cipher.h"

enum { PIECE = KV_CMS_WINDOW };

/* The content on its way. */
struct reading {
    struct kv_cms_opening *opening;
    struct kv_view key;
    struct kv_ber start; /* where the content begins */
    uint64_t start_at;
    struct kv_output *output;
    struct kv_cms_opener *opener; /* NULL: it is only checked */
    struct kv_cms_check *check;   /* NULL: the opener sees whether it is authentic */
    bool second;
    struct kv_bytes in, out;
};

static void reading_free(struct reading *reading)
{
    kv_cms_opener_free(reading->opener);
    kv_cms_check_free(reading->check);
    kv_bytes_free(&reading->in);
    kv_bytes_free(&reading->out);
}

static enum kv_status take_piece(struct reading *reading, struct kv_view piece, struct kv_error *err)
{
    size_t done = 0;
    if (reading->check && !reading->second)
        return kv_cms_check_add(reading->check, piece, err);
    if (reading->check)
        KV_TRY(kv_cms_check_confirm(reading->check, piece, piece.len < PIECE, err));
    KV_TRY(kv_cms_opener_update(reading->opener, piece, reading->out.data, &done, err));
    return kv_output_write(reading->output, (struct kv_view){ reading->out.data, done }, err);
}

/* The content from its first byte to its last, whose piece is the short one. */
static enum kv_status read_content(struct reading *reading, struct kv_error *err)
{
    size_t len = PIECE;
    while (len == PIECE) {
        KV_TRY(kv_ber_stream_read(&reading->opening->ber, reading->in.data, PIECE, &len, err));
        KV_TRY(take_piece(reading, (struct kv_view){ reading->in.data, len }, err));
    }
    return KV_OK;
}

static enum kv_status go_back(struct reading *reading, struct kv_error *err)
{
    kv_cms_opener_free(reading->opener);
    reading->opener = NULL;
    reading->opening->ber = reading->start;
    return kv_cms_input_return(reading->start.input, reading->start_at, err);
}

/* --- one reading: an output that gives nothing away before its end, or a content that nobody can check --- */

/* Content, tail, tag. *ret_attributes: the tag covers attributes that nobody knew of when the reading began. */
static enum kv_status read_once(struct reading *reading, struct kv_view covered, bool *ret_attributes,
                                struct kv_error *err)
{
    struct kv_cms_envelope *envelope = &reading->opening->envelope;
    size_t done = 0;
    KV_TRY(kv_cms_opener_new(&envelope->content, reading->key, covered, &reading->opener, err));
    KV_TRY(read_content(reading, err));
    KV_TRY(kv_cms_envelope_tail(&reading->opening->ber, envelope, err));
    *ret_attributes = envelope->attributes.len && !covered.len;
    if (*ret_attributes)
        return KV_OK;
    KV_TRY(kv_cms_opener_end(reading->opener, KV_VIEW(envelope->tag), reading->out.data, &done, err));
    return kv_output_write(reading->output, (struct kv_view){ reading->out.data, done }, err);
}

/* Attributes that the tag covers stand behind the content, and come before it in the tag: from the start again. */
static enum kv_status read_covered(struct reading *reading, struct kv_error *err)
{
    bool again = false;
    KV_AUTO_BYTES struct kv_bytes covered = kv_bytes_take(&reading->opening->envelope.attributes);
    if (!kv_cms_input_can_return(reading->start.input))
        return kv_fail(
            err, KV_UNSUPPORTED,
            "the envelope has authenticated attributes behind its content, and a pipe cannot be read "
            "twice: give a file, or no --out");
    KV_TRY(go_back(reading, err));
    KV_TRY(kv_output_restart(reading->output, err));
    return read_once(reading, KV_VIEW(covered), &again, err);
}

/* --- two readings: a stream --- */
static enum kv_status read_twice(struct reading *reading, struct kv_error *err)
{
    struct kv_cms_envelope *envelope = &reading->opening->envelope;
    KV_TRY(kv_cms_check_new(&envelope->content, reading->key, PIECE, &reading->check, err));
    KV_TRY(read_content(reading, err));
    KV_TRY(kv_cms_envelope_tail(&reading->opening->ber, envelope, err));
    KV_TRY(kv_cms_check_tag(reading->check, KV_VIEW(envelope->attributes), KV_VIEW(envelope->tag), err));
    KV_TRY(go_back(reading, err));
    reading->second = true;
    KV_TRY(kv_cms_opener_checked(&envelope->content, reading->key, &reading->opener, err));
    return read_content(reading, err);
}

enum kv_status kv_cms_open_content(struct kv_cms_opening *opening, struct kv_view key,
                                   struct kv_output *output, struct kv_error *err)
{
    bool twice = opening->envelope.authenticated && !kv_output_holds(output), attributes = false;
    KV_CLEANUP(reading_free)
    struct reading reading = { .opening = opening, .key = key, .output = output };
    if (twice)
        KV_TRY(kv_cms_input_keep(opening->ber.input, err));
    reading.start = opening->ber;
    reading.start_at = opening->ber.input->position;
    if (kv_bytes_alloc(PIECE, &reading.in) != KV_OK ||
        kv_bytes_alloc(PIECE + KV_CMS_NONCE_MAX, &reading.out) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (twice)
        return read_twice(&reading, err);
    KV_TRY(read_once(&reading, (struct kv_view){ 0 }, &attributes, err));
    return attributes ? read_covered(&reading, err) : KV_OK;
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
