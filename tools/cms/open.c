#include "open.h"

#include "check.h"
#include "cipher.h"
#include "crew.h"

/* The content on its way. */
struct reading {
    struct kv_cms_opening *opening;
    struct kv_view key;
    struct kv_ber start; /* where the content begins */
    uint64_t start_at;
    struct kv_output *output;     /* NULL: nothing is given away, it is only checked */
    struct kv_cms_check *check;   /* NULL: the opener sees whether it is authentic */
    struct kv_cms_opener *opener; /* NULL: pieces are deciphered side by side, or not at all */
    struct kv_bytes out;
};

static void reading_free(struct reading *reading)
{
    kv_cms_opener_free(reading->opener);
    kv_cms_check_free(reading->check);
    kv_bytes_free(&reading->out);
}

/* --- pieces --- */
static enum kv_status read_piece(void *state, unsigned char *to, size_t room, size_t *ret,
                                 struct kv_error *err)
{
    struct reading *reading = state;
    return kv_ber_stream_read(&reading->opening->ber, to, room, ret, err);
}

static enum kv_status look_at(void *state, struct kv_cms_piece *piece, struct kv_error *err)
{
    const struct reading *reading = state;
    struct kv_view bytes = { piece->data, piece->len };
    if (!reading->check)
        return KV_OK;
    if (!reading->output)
        return kv_cms_check_mark(reading->check, bytes, piece->mark, err);
    KV_TRY(kv_cms_check_confirm(reading->check, piece->number, bytes, piece->last, err));
    return reading->opener ? KV_OK
                           : kv_cms_decipher(&reading->opening->envelope.content, reading->key,
                                             piece->number * KV_CMS_PIECE, piece->data, piece->len, err);
}

static enum kv_status give_piece(void *state, struct kv_cms_piece *piece, struct kv_error *err)
{
    struct reading *reading = state;
    struct kv_view bytes = { piece->data, piece->len };
    if (reading->opening->passed)
        reading->opening->passed(reading->opening->state, piece->len);
    if (!reading->output)
        return kv_cms_check_add(reading->check, piece->len, piece->mark, err);
    if (reading->opener) {
        KV_TRY(kv_cms_opener_update(reading->opener, bytes, reading->out.data, &bytes.len, err));
        bytes.data = reading->out.data;
    }
    return kv_output_write(reading->output, bytes, err);
}

/* The content from its first byte to its last. Where a read may wait for somebody else, nobody reads ahead: a failure would have to wait as well. */
static enum kv_status read_content(struct reading *reading, struct kv_error *err)
{
    struct kv_cms_crew crew = { reading, read_piece, look_at, give_piece,
                                kv_cms_input_waits(reading->start.input) };
    return kv_cms_crew_run(&crew, err);
}

static enum kv_status go_back(struct reading *reading, struct kv_error *err)
{
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
    kv_cms_opener_free(kv_take(reading->opener));
    KV_TRY(go_back(reading, err));
    KV_TRY(kv_output_restart(reading->output, err));
    return read_once(reading, KV_VIEW(covered), &again, err);
}

/* --- two readings: a stream, which is given nothing before the tag is seen to be right, and then what it spoke of --- */
static enum kv_status read_twice(struct reading *reading, struct kv_output *output, struct kv_error *err)
{
    struct kv_cms_envelope *envelope = &reading->opening->envelope;
    KV_TRY(kv_cms_input_keep(reading->start.input, err));
    KV_TRY(kv_cms_check_new(&envelope->content, reading->key, KV_CMS_PIECE, &reading->check, err));
    KV_TRY(read_content(reading, err));
    KV_TRY(kv_cms_envelope_tail(&reading->opening->ber, envelope, err));
    KV_TRY(kv_cms_check_tag(reading->check, KV_VIEW(envelope->attributes), KV_VIEW(envelope->tag), err));
    KV_TRY(go_back(reading, err));
    reading->output = output;
    if (!kv_cms_can_jump(&envelope->content))
        KV_TRY(kv_cms_opener_new(&envelope->content, reading->key, (struct kv_view){ 0 }, &reading->opener,
                                 err));
    return read_content(reading, err);
}

unsigned kv_cms_open_readings(const struct kv_cms_opening *opening, const struct kv_output *output)
{
    return opening->envelope.authenticated && !kv_output_holds(output) ? 2 : 1;
}

enum kv_status kv_cms_open_content(struct kv_cms_opening *opening, struct kv_view key,
                                   struct kv_output *output, struct kv_error *err)
{
    bool attributes = false;
    KV_CLEANUP(reading_free)
    struct reading reading = {
        .opening = opening, .key = key, .start = opening->ber, .start_at = opening->ber.input->position
    };
    if (key.len != opening->envelope.content.cipher->key_len)
        return kv_fail(err, KV_INTERNAL, "a key of %zu bytes for %s", key.len,
                       opening->envelope.content.cipher->name);
    if (kv_bytes_alloc(KV_CMS_PIECE + KV_CMS_NONCE_MAX, &reading.out) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (kv_cms_open_readings(opening, output) > 1)
        return read_twice(&reading, output, err);
    reading.output = output;
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
    *ret = (struct kv_cms_opening){ .ber = ber, .envelope = envelope };
    envelope = (struct kv_cms_envelope){ 0 };
    return KV_OK;
}
