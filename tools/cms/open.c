#include "open.h"

#include "cipher.h"
#include "crew.h"
#include "seen.h"

/* The content on its way. */
struct reading {
    struct kv_cms_opening *opening;
    struct kv_view key;
    struct kv_ber start; /* where the content begins */
    uint64_t start_at;
    struct kv_output *output; /* NULL: nothing is given away */
    struct kv_cms_opener *opener;
    struct kv_bytes covered;  /* attributes that the tag covers, as far as they are known */
    struct kv_cms_seen *seen; /* NULL: there is no second reading */
    bool second;
    struct kv_bytes out;
};

static void reading_free(struct reading *reading)
{
    kv_cms_opener_free(reading->opener);
    kv_cms_seen_free(reading->seen);
    kv_bytes_free(&reading->covered);
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
    if (!reading->seen)
        return KV_OK;
    return reading->second ? kv_cms_seen_confirm(reading->seen, piece->number, bytes, piece->last, err)
                           : kv_cms_seen_mark(reading->seen, piece->number, bytes, piece->mark, err);
}

/* GCM deciphers in place, while the piece is in the cache; CBC, which holds a block back, cannot. */
static enum kv_status open_piece(void *state, struct kv_cms_piece *piece, struct kv_error *err)
{
    struct reading *reading = state;
    unsigned char *to = reading->opening->envelope.authenticated ? piece->data : reading->out.data;
    size_t done = 0;
    if (reading->seen && !reading->second)
        KV_TRY(kv_cms_seen_add(reading->seen, piece->mark, err));
    KV_TRY(
        kv_cms_opener_update(reading->opener, (struct kv_view){ piece->data, piece->len }, to, &done, err));
    return reading->output ? kv_output_write(reading->output, (struct kv_view){ to, done }, err) : KV_OK;
}

/* The content from its first byte to its last. Where a read may wait for somebody else, nobody reads ahead: a failure would have to wait as well. */
static enum kv_status read_content(struct reading *reading, struct kv_error *err)
{
    struct kv_cms_crew crew = { reading, read_piece, look_at, open_piece,
                                kv_cms_input_waits(reading->start.input) };
    kv_cms_opener_free(kv_take(reading->opener));
    KV_TRY(kv_cms_opener_new(&reading->opening->envelope.content, reading->key, KV_VIEW(reading->covered),
                             &reading->opener, err));
    return kv_cms_crew_run(&crew, err);
}

/* The tag; the last bytes of CBC. */
static enum kv_status end_content(struct reading *reading, struct kv_error *err)
{
    size_t done = 0;
    KV_TRY(kv_cms_opener_end(reading->opener, KV_VIEW(reading->opening->envelope.tag), reading->out.data,
                             &done, err));
    return reading->output
               ? kv_output_write(reading->output, (struct kv_view){ reading->out.data, done }, err)
               : KV_OK;
}

/* --- readings --- */
static enum kv_status go_back(struct reading *reading, struct kv_error *err)
{
    reading->opening->ber = reading->start;
    return kv_cms_input_return(reading->start.input, reading->start_at, err);
}

static enum kv_status begin_again(struct reading *reading, struct kv_error *err)
{
    if (!kv_cms_input_can_return(reading->start.input))
        return kv_fail(
            err, KV_UNSUPPORTED,
            "the envelope has authenticated attributes behind its content, and a pipe cannot be read "
            "twice: give a file, or no --out");
    KV_TRY(go_back(reading, err));
    if (reading->output)
        KV_TRY(kv_output_restart(reading->output, err));
    kv_cms_seen_free(kv_take(reading->seen));
    return reading->output ? KV_OK : kv_cms_seen_new(&reading->seen, err);
}

/* Content, tail, tag. Attributes that the tag covers stand behind the content, and come before it in the tag: where there are any, from the start again. */
static enum kv_status read_through(struct reading *reading, struct kv_error *err)
{
    struct kv_cms_envelope *envelope = &reading->opening->envelope;
    KV_TRY(read_content(reading, err));
    KV_TRY(kv_cms_envelope_tail(&reading->opening->ber, envelope, err));
    if (envelope->attributes.len) {
        reading->covered = kv_bytes_take(&envelope->attributes);
        KV_TRY(begin_again(reading, err));
        KV_TRY(read_content(reading, err));
        KV_TRY(kv_cms_envelope_tail(&reading->opening->ber, envelope, err));
    }
    return end_content(reading, err);
}

/* A stream is given nothing before the tag was seen to be right, and then each piece once it is seen to be the one that the tag spoke of. */
static enum kv_status read_twice(struct reading *reading, struct kv_output *output, struct kv_error *err)
{
    KV_TRY(kv_cms_input_keep(reading->start.input, err));
    KV_TRY(kv_cms_seen_new(&reading->seen, err));
    KV_TRY(read_through(reading, err));
    KV_TRY(go_back(reading, err));
    reading->second = true;
    reading->output = output;
    KV_TRY(read_content(reading, err));
    return end_content(reading, err);
}

enum kv_status kv_cms_open_content(struct kv_cms_opening *opening, struct kv_view key,
                                   struct kv_output *output, struct kv_error *err)
{
    KV_CLEANUP(reading_free)
    struct reading reading = {
        .opening = opening, .key = key, .start = opening->ber, .start_at = opening->ber.input->position
    };
    if (kv_bytes_alloc(KV_CMS_PIECE + KV_CMS_NONCE_MAX, &reading.out) != KV_OK)
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    if (opening->envelope.authenticated && !kv_output_holds(output))
        return read_twice(&reading, output, err);
    reading.output = output;
    return read_through(&reading, err);
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
